/* See policy_object.h. */
#include "script/policy_object_impl.h"

struct ln_policy *ln_policy_ref(struct ln_policy *p) {
  p->refs++;
  return p;
}

void ln_policy_unref(struct ln_policy *p) {
  if (p && !--p->refs) p->free(p);
}

const struct ln_policy_decls *ln_policy_decls(const struct ln_policy *p) {
  return &p->decls;
}

uint64_t ln_policy_limit(const struct ln_policy *p) {
  return p->decls.settings.hook_timeout_ms * 1000000u;
}

bool ln_policy_per_client(const struct ln_policy *p, enum ln_kind kind) {
  return p->per_client[kind];
}

bool ln_policy_uses_ctx(const struct ln_policy *p) {
  bool uses = p->decls.n_hooks || p->decls.n_components;
  for (int k = 0; k < LN_KINDS; k++) uses |= p->per_client[k] || p->on_calls[k];
  return uses;
}

bool ln_policy_has_rules(const struct ln_policy *p, enum ln_kind kind) {
  return p->has_rules[kind];
}

bool ln_policy_strict(const struct ln_policy *p, enum ln_kind kind) {
  if (kind != LN_KIND_RESOURCE && kind != LN_KIND_TEMPLATE) return p->strict[kind];
  return p->strict[LN_KIND_RESOURCE] || p->strict[LN_KIND_TEMPLATE];
}

const char *ln_policy_kind_name(enum ln_kind kind) {
  static const char *const names[LN_KINDS] = {"tools", "resources", "resource_templates",
                                              "prompts"};
  return names[kind];
}
