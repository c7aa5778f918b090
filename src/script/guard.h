/* The limits on what a policy's code takes of the process: its own running time, the C stack, and,
 * with heap.h, memory.
 *
 * A count hook looks at them every so many instructions. Past the deadline it makes the coroutine
 * yield, which no pcall of the policy can catch, and the run is ended; where a yield is
 * impossible (below table.sort and the like, or while a list is made) it raises an error instead,
 * and from then on one at every instruction, until the policy has no pcall left that catches one.
 * Compiled loops have no hooks, so the compiler is off for the whole state while there is a
 * limit (see ln_vm_new).
 *
 * Lua's own stack is bounded by LuaJIT, the C stack below nested coroutines and callbacks of
 * string.gsub is not: it would crash the process long before. Too deep is an error.
 *
 * No hook is called while C runs (a runaway pattern) or a finalizer: that is for the watchdog
 * (watchdog.h), which is told here who is in Lua and until when.
 *
 * LuaJIT's hook belongs to the state, not to a coroutine: it is installed once and only the
 * deadline changes. Guards nest: entering keeps what the outer one had for leaving. */
#ifndef LN_SCRIPT_GUARD_H
#define LN_SCRIPT_GUARD_H

#include "script/heap.h"
#include "script/throws.h"
#include "script/watchdog.h"

struct lua_State;

struct ln_guard {
  uint64_t deadline; /* ns, monotonic; 0: none */
  uint64_t limit;    /* ns, for the message */
  bool fired;        /* since the last enter */
  char text[256];    /* the message then, with the place */
  bool loading;      /* the limit is the one on loading */
  bool off;          /* policies with `jit = true` run unguarded */
  struct ln_heap heap;
  const char *stack;            /* where the outermost enter was; NULL: outside */
  size_t stack_max;             /* bytes from there */
  struct ln_watchdog *watchdog; /* borrowed; NULL: none */
  uint64_t patience; /* ns after the deadline until the watchdog ends the process; 0: never */
  struct ln_watched watched; /* what the watchdog asks where Lua is */
  /* Writes where L is, "FILE:LINE" or "?"; called in the hook. */
  void (*place)(struct lua_State *L, char *out, size_t max);
};

struct ln_guard_mark {
  uint64_t deadline, limit, began;
  bool fired, armed;
  const char *stack;
  struct ln_watch_mark watch;
};

/* Installs the hook. place and watched are set before, and the guard stays where it is. */
LN_THROWS void ln_guard_install(struct ln_guard *g, struct lua_State *L);
/* budget: what is left, limit: what was allowed in all; both ns, 0: no limit. */
struct ln_guard_mark ln_guard_enter(struct ln_guard *g, uint64_t budget, uint64_t limit);
/* Returns the ns spent since enter. */
uint64_t ln_guard_leave(struct ln_guard *g, struct lua_State *L, struct ln_guard_mark mark);

#endif
