/* The targets of the command line, that policies are loaded from: copied with their strings, since
 * a reload loads them again. */
#ifndef LN_BIND_TARGETS_H
#define LN_BIND_TARGETS_H

#include "script/policy.h"
#include "script/throws.h"

struct ln_targets {
  struct ln_target *list;
  size_t n;
};

/* Takes over the list of { kind =, text =, args = } at idx; frees the targets from before. */
LN_THROWS void ln_targets_take(struct lua_State *L, int idx, struct ln_targets *all);
void ln_targets_free(struct ln_targets *all);

#endif
