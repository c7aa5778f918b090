/* The targets of the command line, as policies are loaded from them: copies, strings and all, since
 * a reload loads them anew. */
#ifndef LN_BIND_TARGETS_H
#define LN_BIND_TARGETS_H

#include "script/policy.h"
#include "script/throws.h"

struct ln_targets {
  struct ln_target *list;
  size_t n;
};

/* The list of { kind =, text =, args = } at idx in place of those that were there. */
LN_THROWS void ln_targets_take(struct lua_State *L, int idx, struct ln_targets *all);
void ln_targets_free(struct ln_targets *all);

#endif
