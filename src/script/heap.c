/* See heap.h. */
#include "script/heap.h"

#include <lua.h>

#include "base/clock.h"

enum { PAUSE = 9 }; /* after a collection that freed little: so many times as long as it took */

static void *allocate(void *ud, void *p, size_t from, size_t to) {
  struct ln_heap *h = ud;
  if (to > from && h->armed && h->limit) {
    size_t max = h->limit + h->spare;
    if (h->used > max || to - from > max - h->used) {
      h->refused = true;
      return NULL;
    }
  }
  void *q = h->raw(h->raw_ud, p, from, to);
  if (q || !to) h->used += to - from;
  return q;
}

void ln_heap_install(struct ln_heap *h, struct lua_State *L) {
  *h = (struct ln_heap){.soft = SIZE_MAX};
  h->used = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
  h->raw = lua_getallocf(L, &h->raw_ud);
  lua_setallocf(L, allocate, h);
}

/* lua_close needs LuaJIT's own allocator, which it recognizes by its address. */
void ln_heap_remove(struct ln_heap *h, struct lua_State *L) {
  if (h->raw) lua_setallocf(L, h->raw, h->raw_ud);
}

static void set_soft(struct ln_heap *h) {
  size_t left = h->limit > h->used ? h->limit - h->used : 0;
  h->soft = h->limit ? LN_MAX(h->limit / 2, h->used + left / 2) : SIZE_MAX;
}

void ln_heap_set_limit(struct ln_heap *h, size_t limit) {
  h->limit = limit;
  set_soft(h);
}

void ln_heap_tidy(struct ln_heap *h, struct lua_State *L, bool within) {
  uint64_t began = ln_clock_ns();
  if (!ln_heap_untidy(h) || began < h->not_before[within]) return;
  h->refused = false;
  lua_gc(L, LUA_GCCOLLECT, 0);
  set_soft(h);
  /* A collection that freed little would free little again at once. */
  uint64_t now = ln_clock_ns();
  if (h->limit && h->used > h->limit - h->limit / 8)
    h->not_before[within] = now + (now - began) * PAUSE;
}
