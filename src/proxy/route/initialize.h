/* initialize towards clients: each hop negotiates for itself. The client's request goes to every
 * server that its session needs (or is answered from what such a client's servers said before), and
 * the answers become one. */
#ifndef LN_PROXY_ROUTE_INITIALIZE_H
#define LN_PROXY_ROUTE_INITIALIZE_H

#include "proxy/exchange/exchange.h"

/* Starts the session with the client's initialize; done gets the reply. */
void ln_initialize(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);

#endif
