/* Copies of what a policy declares of a server, and whether two declarations mean the same one. */
#ifndef LN_PROXY_SERVER_CONF_H
#define LN_PROXY_SERVER_CONF_H

#include "script/policy.h"

/* A copy with strings of its own, the caller's to free. NULL: out of memory. */
struct ln_server_conf *ln_conf_copy(const struct ln_server_conf *from);
/* NULL is fine. */
void ln_conf_free(struct ln_server_conf *c);
/* The same server, reached in the same way. What may differ without making it another one (time
 * limits, prefix, optional) is not compared. */
bool ln_conf_same(const struct ln_server_conf *a, const struct ln_server_conf *b);

#endif
