/* A client's request on its way to a server. */
#ifndef LN_PROXY_ROUTE_FORWARD_H
#define LN_PROXY_ROUTE_FORWARD_H

#include "proxy/exchange/exchange.h"

/* To this server: in the link that lasts where the request is about that (log level,
 * subscriptions), else in the one for a single call. name_at, name_with: see ln_call_request. done
 * gets the reply as the client is to see it. */
void ln_forward(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                struct ln_str name_at, struct ln_bytes *name_with, ln_reply_fn done, void *arg);
/* What has no better place goes to the only server; with several the method is not found. */
void ln_forward_to_only(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);

#endif
