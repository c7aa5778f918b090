/* See guard.h. */
#include "script/guard.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <time.h>

#include "script/vm.h"

/* About 30 µs of interpreted code: cheap enough to look at the clock, fine enough for any limit. */
enum { EVERY = 5000 };

uint64_t ln_guard_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_count(lua_State *L, lua_Debug *ar) {
  struct ln_guard *g = &ln_vm_of(L)->guard;
  if (!g->deadline || ln_guard_clock() < g->deadline) return;
  lua_getinfo(L, "Sl", ar);
  if (!g->fired)
    snprintf(g->text, sizeof g->text,
             g->loading ? "%s:%d: ran for more than %g s while the policy loads"
                        : "%s:%d: ran for more than %g s without waiting (hook_timeout)",
             *ar->source == '@' || *ar->source == '=' ? ar->source + 1 : ar->short_src,
             ar->currentline, (double)g->limit / 1e9);
  g->fired = true;
  lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
  if (lua_isyieldable(L)) {
    lua_yield(L, 0);
    return;
  }
  lua_pushstring(L, g->text);
  lua_error(L);
}

void ln_guard_install(struct lua_State *L) {
  lua_sethook(L, on_count, LUA_MASKCOUNT, EVERY);
}

struct ln_guard_mark ln_guard_enter(struct ln_guard *g, uint64_t budget, uint64_t limit) {
  struct ln_guard_mark mark = {g->deadline, g->limit, ln_guard_clock(), g->fired};
  g->fired = false;
  g->limit = limit;
  g->deadline = limit && !g->off ? mark.began + budget : 0;
  return mark;
}

uint64_t ln_guard_leave(struct ln_guard *g, struct lua_State *L, struct ln_guard_mark mark) {
  if (g->fired) ln_guard_install(L);
  g->deadline = mark.deadline;
  g->limit = mark.limit;
  g->fired = mark.fired;
  return ln_guard_clock() - mark.began;
}
