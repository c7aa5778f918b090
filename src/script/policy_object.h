/* The policy object: counting it and reading what it declared. Loading and running are in policy.h,
 * the struct in policy_object_impl.h. */
#ifndef LN_SCRIPT_POLICY_OBJECT_H
#define LN_SCRIPT_POLICY_OBJECT_H

#include "mcp/kind.h"
#include "script/decls.h"

struct ln_policy;

struct ln_policy *ln_policy_ref(struct ln_policy *p);
void ln_policy_unref(struct ln_policy *p);
const struct ln_policy_decls *ln_policy_decls(const struct ln_policy *p);
uint64_t ln_policy_limit(const struct ln_policy *p); /* hook_timeout in ns, 0: none */
/* True when some rule for this kind takes ctx, so that each client needs a view of its own, or more
 * (ln_reads). */
bool ln_policy_per_client(const struct ln_policy *p, enum ln_kind kind);
/* False when no function of this policy gets a request's ctx: then headers needn't be kept.
 */
bool ln_policy_uses_ctx(const struct ln_policy *p);
/* True when there is a rule for this kind, or a handler whose `where` reads definitions. */
bool ln_policy_has_rules(const struct ln_policy *p, enum ln_kind kind);
/* True when it says anything of single components of this kind: there is a rule for it, a handler
 * with a selector, or a ready policy. Resources and templates are of one kind here: a URI may be
 * either's. */
bool ln_policy_strict(const struct ln_policy *p, enum ln_kind kind);
const char *ln_policy_kind_name(enum ln_kind kind); /* "tools", … */

#endif
