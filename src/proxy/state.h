/* What a client sets at servers for as long as its session lasts: the level of their log and what
 * it listens to. Repeated to a server that starts later (link.c); of a server that many share
 * it is one voice among others (share.h). */
#ifndef LN_PROXY_STATE_H
#define LN_PROXY_STATE_H

#include "proxy/upstream.h"

/* logging/setLevel: to the only server, or to all that log; those that are not there yet are told
 * when they are. done gets their first error, else what the last of them said. */
void ln_state_set_level(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);
/* resources/subscribe or unsubscribe, with the server's own URI. */
void ln_state_subscribe(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                        ln_reply_fn done, void *arg);
/* Some server of the session has the capability, or is not known well enough to say no. */
bool ln_state_some_have(const struct ln_session *s, const char *capability);

#endif
