/* tools/list and the other list requests of clients. */
#ifndef LN_PROXY_ROUTE_LISTS_H
#define LN_PROXY_ROUTE_LISTS_H

#include "proxy/exchange/exchange.h"

/* A page of what x's client sees: from the index, made anew where the servers' lists may have
 * changed; or, when nobody offers such lists, what the only server says to that. */
void ln_lists_request(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);

#endif
