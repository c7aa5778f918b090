/* logging/setLevel (server/utilities/logging): a client's level at its servers, for as long as its
 * session lasts. Of a server that many share it is one voice among others (shared_state.h). */
#ifndef LN_PROXY_ROUTE_LEVEL_H
#define LN_PROXY_ROUTE_LEVEL_H

#include "proxy/exchange/exchange.h"

/* To the only server, or to all that log; those that are not there yet are told when they are. done
 * gets their first error, else what the last of them said. */
void ln_level_request(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);
/* The link, its owner's own, is open: it learns the level that the client has set. */
void ln_level_restore(struct ln_link *link);
/* The session is over: its level counts no more. */
void ln_level_session_ends(struct ln_session *s);

#endif
