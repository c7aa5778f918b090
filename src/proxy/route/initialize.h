/* initialize from a client (basic/lifecycle, "Initialization"). Its servers are initialized with
 * the client's capabilities, unless an index for such clients exists already, and their results are
 * merged into one. */
#ifndef LN_PROXY_ROUTE_INITIALIZE_H
#define LN_PROXY_ROUTE_INITIALIZE_H

#include "proxy/exchange/exchange.h"

enum { LN_INITIALIZE_WHY = 128 };
/* True, and the sentence is in why, when it is an initialize that is longer than may be kept. */
bool ln_initialize_too_long(const struct ln_host *h, const struct ln_msg *msg,
                            char why[LN_INITIALIZE_WHY]);
/* The request msg of x; done gets the reply. */
void ln_initialize(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);

#endif
