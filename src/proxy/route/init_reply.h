/* The answer to a client's initialize (basic/lifecycle, "Capability Negotiation"), made of its
 * servers' initialize results. */
#ifndef LN_PROXY_ROUTE_INIT_REPLY_H
#define LN_PROXY_ROUTE_INIT_REPLY_H

#include "proxy/exchange/exchange.h"
#include "proxy/lists/index.h"

/* The only server's own result, with the version that we speak and the capabilities of the policy's
 * components. One reference; NULL: out of memory. */
struct ln_msg *ln_init_reply_of(const struct ln_exchange *x, const struct ln_index *only);
/* The union of all servers' capabilities. The same. */
struct ln_msg *ln_init_reply_merged(const struct ln_exchange *x);

#endif
