/* The limit on a policy's memory: LuaJIT's own allocator, counted, and refusing past the limit.
 *
 * A refusal is Lua's "not enough memory" in whatever asked: it ends that run, not the policy, for
 * what the run had made goes with it. It refuses only while a policy's own code runs (armed): what
 * Lunette does around it always finds memory. LuaJIT collects by its own pace and not when memory
 * runs out, so past half of what is left the guard's hook and the end of a run collect everything
 * (ln_heap_tidy), at most a tenth of the time when there is nothing to be gained. */
#ifndef LN_SCRIPT_HEAP_H
#define LN_SCRIPT_HEAP_H

#include "base/base.h"

struct lua_State;

struct ln_heap {
  size_t used;            /* bytes, garbage among them */
  size_t limit;           /* bytes; 0: none */
  size_t spare;           /* on top of the limit, for reporting a failure */
  size_t soft;            /* past this: collect */
  bool armed;             /* a policy's code runs */
  bool refused;           /* since the last collection */
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
/* Collects everything, unless that was done for nothing a moment ago. within: by the hook, while
 * the run still holds what it has made. May throw: what finalizers raise. */
void ln_heap_tidy(struct ln_heap *h, struct lua_State *L, bool within);

#endif
