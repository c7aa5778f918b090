/* tools/list and the other list requests of clients (server/utilities/pagination). */
#ifndef LN_PROXY_ROUTE_LISTS_H
#define LN_PROXY_ROUTE_LISTS_H

#include "proxy/exchange/exchange.h"

/* done gets a page of the view of x's client, after lists that may have changed were fetched again.
 * When no server offers such lists, the request goes to the only server. */
void ln_lists_request(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);

#endif
