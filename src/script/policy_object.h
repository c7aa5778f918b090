/* A policy as what is counted and looked at, without what it takes to load or run one; what it is
 * inside is in policy_object_impl.h. */
#ifndef LN_SCRIPT_POLICY_OBJECT_H
#define LN_SCRIPT_POLICY_OBJECT_H

#include "mcp/kind.h"
#include "script/decls.h"

struct ln_policy;

struct ln_policy *ln_policy_ref(struct ln_policy *p);
void ln_policy_unref(struct ln_policy *p);
const struct ln_policy_decls *ln_policy_decls(const struct ln_policy *p);
uint64_t ln_policy_limit(const struct ln_policy *p); /* hook_timeout in ns, 0: none */
const char *ln_kind_name(enum ln_kind kind);         /* "tools", … */

#endif
