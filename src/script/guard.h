/* The limit on a policy's own running time.
 *
 * A count hook looks at the clock every few thousand instructions. Past the deadline it makes the
 * coroutine yield, which no pcall of the policy can catch, and the run is ended; where a yield is
 * impossible (below table.sort and the like, or while a list is made) it raises an error instead,
 * and from then on one at every instruction, until the policy is out of pcalls to catch them with.
 * Compiled loops have no hooks, so the compiler is off for the whole state while there is a
 * limit (see ln_vm_new). Time spent in C (a runaway pattern) is beyond it.
 *
 * LuaJIT's hook belongs to the state, not to a coroutine: it is installed once and only the
 * deadline changes. Guards nest: entering keeps the outer deadline for leaving. */
#ifndef LN_SCRIPT_GUARD_H
#define LN_SCRIPT_GUARD_H

#include "base/base.h"

struct lua_State;

struct ln_guard {
  uint64_t deadline; /* ns, monotonic; 0: none */
  uint64_t limit;    /* ns, for the message */
  bool fired;        /* since the last enter */
  char text[256];    /* what to tell the log then, with the place */
  bool loading;      /* the limit is the one on loading */
  bool off;          /* policies with `jit = true` run unguarded */
};

struct ln_guard_mark {
  uint64_t deadline, limit, began;
  bool fired;
};

/* Installs the hook. guard must be reachable through ln_vm_of(L). */
void ln_guard_install(struct lua_State *L);
/* budget: what is left, limit: what was allowed in all; both ns, 0: no limit. */
struct ln_guard_mark ln_guard_enter(struct ln_guard *g, uint64_t budget, uint64_t limit);
/* Returns the ns spent since enter. */
uint64_t ln_guard_leave(struct ln_guard *g, struct lua_State *L, struct ln_guard_mark mark);
uint64_t ln_guard_clock(void);

#endif
