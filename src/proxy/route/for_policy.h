/* What a policy may ask of the proxy (script/policy.h, ln_policy_host). */
#ifndef LN_PROXY_ROUTE_FOR_POLICY_H
#define LN_PROXY_ROUTE_FOR_POLICY_H

#include "proxy/core/host.h"

/* For the policies of this host, which must outlive them. */
struct ln_policy_host ln_for_policy(struct ln_host *h);

#endif
