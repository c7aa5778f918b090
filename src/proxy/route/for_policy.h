/* The functions of the proxy that policies can call (script/policy_host.h). */
#ifndef LN_PROXY_ROUTE_FOR_POLICY_H
#define LN_PROXY_ROUTE_FOR_POLICY_H

#include "proxy/core/host.h"

/* For policies of this host, which must live longer than they. */
struct ln_policy_host ln_for_policy(struct ln_host *h);

#endif
