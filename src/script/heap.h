/* The limit on a policy's memory: counts what LuaJIT's own allocator gives, and fails past the
 * limit.
 *
 * A failed allocation is Lua's error "not enough memory": it ends the run, whose memory is then
 * collected, and not the policy. Allocations fail only while the policy's own code runs (armed),
 * not in Lunette's code around it. LuaJIT doesn't collect garbage when memory runs out, so past
 * half of what is left the guard's hook and the end of a run collect everything (ln_heap_tidy);
 * when that frees little, it takes at most a tenth of the time. */
#ifndef LN_SCRIPT_HEAP_H
#define LN_SCRIPT_HEAP_H

#include "base/base.h"

struct lua_State;

struct ln_heap {
  size_t used;            /* bytes, garbage included */
  size_t limit;           /* bytes; 0: none */
  size_t spare;           /* on top of the limit, for reporting a failure */
  size_t soft;            /* past this: collect */
  bool armed;             /* a policy's code runs */
  bool refused;           /* an allocation failed since the last collection */
  uint64_t not_before[2]; /* ns: no collection until then; after runs, and within one */
  void *(*raw)(void *ud, void *p, size_t from, size_t to);
  void *raw_ud;
};

/* Counts from now on. The heap must stay where it is until ln_heap_remove, which must come before
 * the state is closed. */
void ln_heap_install(struct ln_heap *h, struct lua_State *L);
void ln_heap_remove(struct ln_heap *h, struct lua_State *L);
/* 0: none */
void ln_heap_set_limit(struct ln_heap *h, size_t limit);
/* Whether ln_heap_tidy would do something. */
static inline bool ln_heap_untidy(const struct ln_heap *h) {
  return h->refused || h->used > h->soft;
}
/* Collects everything, unless the last collection freed little and was a moment ago. within: by the
 * hook, inside a run. May throw: errors of finalizers. */
void ln_heap_tidy(struct ln_heap *h, struct lua_State *L, bool within);

#endif
