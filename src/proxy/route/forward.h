/* Sending a client's request to a server. */
#ifndef LN_PROXY_ROUTE_FORWARD_H
#define LN_PROXY_ROUTE_FORWARD_H

#include "proxy/exchange/exchange.h"

/* To this server: log levels and subscriptions in the link that lasts, others in the one for a call
 * (client/pool.h). name_at, name_with: see ln_call_request. done gets the reply with the client's
 * names. */
void ln_forward(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                struct ln_str name_at, struct ln_bytes *name_with, ln_reply_fn done, void *arg);
/* To the only server; with several, "Method not found". */
void ln_forward_to_only(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);

#endif
