/* resources/subscribe and unsubscribe: what a client listens to at its servers, for as long as its
 * session lasts. */
#ifndef LN_PROXY_ROUTE_SUBSCRIPTION_H
#define LN_PROXY_ROUTE_SUBSCRIPTION_H

#include "proxy/route/shared_state.h"

/* A request with the server's own URI in it. */
void ln_subscription_request(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                             ln_reply_fn done, void *arg);
/* The link, its owner's own, is open: it learns what the client listens to. */
void ln_subscription_restore(struct ln_link *link);
/* The session is over, or the server that it listens at is another now (NULL: has gone). */
void ln_subscription_session_ends(struct ln_session *s);
void ln_subscription_move(struct ln_subscription *sub, struct ln_server *to);

#endif
