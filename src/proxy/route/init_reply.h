/* What initialize is answered, out of what the session's servers are known to offer. */
#ifndef LN_PROXY_ROUTE_INIT_REPLY_H
#define LN_PROXY_ROUTE_INIT_REPLY_H

#include "proxy/exchange/exchange.h"
#include "proxy/lists/index.h"

/* The only server's own answer, with our version and what the policy's components add. One
 * reference; NULL: out of memory. */
struct ln_msg *ln_init_reply_of(const struct ln_exchange *x, const struct ln_index *only);
/* The union of what all servers offer. The same. */
struct ln_msg *ln_init_reply_merged(const struct ln_exchange *x);

#endif
