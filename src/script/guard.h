/* Limits on a policy's code: its running time, the C stack, and, with heap.h, memory.
 *
 * A count hook checks them every so many instructions. Past the deadline it makes the coroutine
 * yield, which no pcall of the policy can catch, and the run is ended. Where a yield is impossible
 * (below table.sort and the like, or while a list is made) it raises an error, and from then on one
 * at every instruction, so that pcalls of the policy can't go on. Compiled code calls no hooks, so
 * the compiler is off for the whole state while there is a limit (see ln_vm_new).
 *
 * LuaJIT bounds Lua's own stack, but not the C stack below nested coroutines and callbacks of
 * string.gsub, which would crash the process: the hook raises an error when it gets too deep.
 *
 * No hook is called while a C function (a slow pattern) or a finalizer runs: for these the watchdog
 * (watchdog.h) is told when Lua is entered and when it should be left.
 *
 * LuaJIT's hook belongs to the state, not to a coroutine: it is installed once, and only the
 * deadline changes. Guards nest: ln_guard_leave restores what was set before ln_guard_enter. */
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
  bool off;          /* the policy has `jit = true`: no time limit */
  struct ln_heap heap;
  const char *stack;            /* the C stack's address at the outermost enter; NULL: outside */
  size_t stack_max;             /* bytes of C stack from there */
  struct ln_watchdog *watchdog; /* borrowed; NULL: none */
  uint64_t patience; /* ns after the deadline until the watchdog ends the process; 0: never */
  struct ln_watched watched; /* by which the watchdog finds out where Lua is */
  /* Writes where L is, "FILE:LINE" or "?"; called in the hook. */
  void (*place)(struct lua_State *L, char *out, size_t max);
};

struct ln_guard_mark {
  uint64_t deadline, limit, began;
  bool fired, armed;
  const char *stack;
  struct ln_watch_mark watch;
};

/* Installs the hook. place and watched must be set, and the guard must keep its address. */
LN_THROWS void ln_guard_install(struct ln_guard *g, struct lua_State *L);
/* budget: what is left, limit: what was allowed in all; both ns, 0: no limit. */
struct ln_guard_mark ln_guard_enter(struct ln_guard *g, uint64_t budget, uint64_t limit);
/* Returns the ns spent since enter. */
uint64_t ln_guard_leave(struct ln_guard *g, struct lua_State *L, struct ln_guard_mark mark);

#endif
