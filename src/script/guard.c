/* See guard.h. */
#include "script/guard.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"

/* About 10 µs of interpreted code, so that reading the clock costs little; and fewer instructions
 * than nested callbacks of string.gsub, 17 kB of stack each, need to get from half the stack to its
 * end. */
enum { EVERY = 1000, STACK_MAX = 4 << 20 };

/* Its address is the registry key of the state's guard. */
static const char guard_key;

static void on_count(lua_State *L, lua_Debug *ar);

static struct ln_guard *guard_of(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&guard_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  struct ln_guard *g = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return g;
}

static void set_hook(lua_State *L) {
  lua_sethook(L, on_count, LUA_MASKCOUNT, EVERY);
}

static void too_late(struct ln_guard *g, lua_State *L) {
  if (!g->fired) {
    char place[160];
    g->place(L, place, sizeof place);
    snprintf(g->text, sizeof g->text,
             g->loading ? "%s: ran for more than %g s while the policy loads"
                        : "%s: ran for more than %g s without waiting (hook_timeout)",
             place, (double)g->limit / 1e9);
  }
  g->fired = true;
  lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
  if (lua_isyieldable(L)) {
    lua_yield(L, 0);
    return;
  }
  lua_pushstring(L, g->text);
  lua_error(L);
}

static void too_deep(const struct ln_guard *g, lua_State *L) {
  char place[160];
  g->place(L, place, sizeof place);
  lua_pushfstring(L, "%s: C stack overflow (coroutines or string.gsub's functions nested too deep)",
                  place);
  lua_error(L);
}

static void on_count(lua_State *L, lua_Debug *ar) {
  struct ln_guard *g = guard_of(L);
  const char *here = __builtin_frame_address(0);
  (void)ar;
  if (g->stack && here < g->stack && (size_t)(g->stack - here) > g->stack_max) {
    too_deep(g, L);
    return;
  }
  if (ln_heap_untidy(&g->heap)) ln_heap_tidy(&g->heap, L, true);
  if (g->deadline && ln_clock_ns() >= g->deadline) too_late(g, L);
}

LN_THROWS void ln_guard_install(struct ln_guard *g, struct lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&guard_key);
  lua_pushlightuserdata(L, g);
  lua_rawset(L, LUA_REGISTRYINDEX);
  set_hook(L);
}

static size_t stack_max(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_STACK, &limit) || limit.rlim_cur == RLIM_INFINITY) return STACK_MAX;
  return LN_MIN((size_t)limit.rlim_cur / 2, STACK_MAX);
}

struct ln_guard_mark ln_guard_enter(struct ln_guard *g, uint64_t budget, uint64_t limit) {
  struct ln_guard_mark mark = {.deadline = g->deadline,
                               .limit = g->limit,
                               .began = ln_clock_ns(),
                               .fired = g->fired,
                               .armed = g->heap.armed,
                               .stack = g->stack};
  g->fired = false;
  g->limit = limit;
  g->deadline = limit && !g->off ? mark.began + budget : 0;
  g->heap.armed = true;
  if (!g->stack) g->stack = __builtin_frame_address(0);
  if (!g->stack_max) g->stack_max = stack_max();
  mark.watch =
      ln_watchdog_enter(g->watchdog, &g->watched, LN_MAX(g->deadline, mark.began), g->patience);
  return mark;
}

uint64_t ln_guard_leave(struct ln_guard *g, struct lua_State *L, struct ln_guard_mark mark) {
  ln_watchdog_leave(g->watchdog, mark.watch);
  if (g->fired) set_hook(L);
  g->deadline = mark.deadline;
  g->limit = mark.limit;
  g->fired = mark.fired;
  g->heap.armed = mark.armed;
  g->stack = mark.stack;
  return ln_clock_ns() - mark.began;
}
