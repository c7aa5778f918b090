/* Copies of what a policy declares of a server, and whether two declarations mean the same one. */
#ifndef LN_PROXY_SERVER_CONF_H
#define LN_PROXY_SERVER_CONF_H

#include "script/policy.h"

/* A copy with strings of its own, the caller's to free. NULL: out of memory. */
struct ln_server_conf *ln_conf_copy(const struct ln_server_conf *from);
/* NULL is fine. */
void ln_conf_free(struct ln_server_conf *c);
/* True when both declare the same server, reached in the same way. Time limits, prefix and optional
 * are not compared: a server keeps its links when they change. */
bool ln_conf_same(const struct ln_server_conf *a, const struct ln_server_conf *b);

#endif
