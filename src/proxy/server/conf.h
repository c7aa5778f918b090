/* Copies of what a policy declares of a server, whether two declarations mean the same one, and
 * the environment that a child gets by one. */
#ifndef LN_PROXY_SERVER_CONF_H
#define LN_PROXY_SERVER_CONF_H

#include "script/policy.h"

/* A copy with strings of its own, the caller's to free. NULL: out of memory. */
struct ln_server_conf *ln_conf_copy(const struct ln_server_conf *from);
/* NULL is fine. */
void ln_conf_free(struct ln_server_conf *c);
/* True when both declare the same server, reached in the same way. Time limits, prefix, optional,
 * unlisted, lists and start are not compared: a server keeps its links when they change. */
bool ln_conf_same(const struct ln_server_conf *a, const struct ln_server_conf *b);
/* The whole environment of its child, "K=V" and a NULL, for ln_conf_free_list: of Lunette's own
 * what it inherits, and its env. NULL: out of memory. */
const char *const *ln_conf_environ(const struct ln_server_conf *c);
/* NULL is fine. */
void ln_conf_free_list(const char *const *list);

#endif
