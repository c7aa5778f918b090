/* Using one component: tools/call (server/tools, "Calling Tools"), resources/read and subscribing
 * (server/resources), prompts/get (server/prompts), completion (server/utilities/completion). */
#ifndef LN_PROXY_ROUTE_USE_H
#define LN_PROXY_ROUTE_USE_H

#include "proxy/exchange/exchange.h"

/* The request msg of x after handlers: through the transform of its tool, then to the policy's
 * component or to the server, with the server's own name. done gets the reply. When handlers have
 * changed the name in msg, it is resolved again. */
void ln_use_forwarded(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);

#endif
