/* Using one component: tools/call, resources/read, prompts/get, subscribing, completion. */
#ifndef LN_PROXY_ROUTE_USE_H
#define LN_PROXY_ROUTE_USE_H

#include "proxy/exchange/exchange.h"

/* The request msg of x, which was resolved: through the transforms of its entry, and to whoever
 * answers it, under the name that it has there. When msg names something else than x is about (a
 * handler forwarded it), that is found first, by the same rules. */
void ln_use_forwarded(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);

#endif
