/* See vm.h. */
#include "script/vm.h"

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"

/* A collection begins when memory has grown to so many percent of what was left after the last. A
 * run makes a few kB of garbage, while Lunette's own Lua code stays: Lua's default of 200 would go
 * through that too often. */
enum { GC_PAUSE = 400 };

/* Its address is the registry key of the state's vm. */
static const char vm_key;

struct ln_vm *ln_vm_of(struct lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&vm_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  struct ln_vm *vm = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return vm;
}

/* Lua shortens a long file name to its end ("...x/policy.lua:3: …"), by which the file can't be
 * found. The whole name is that of a file that was read and has this end. */
LN_THROWS void ln_vm_whole_name(struct lua_State *L, const struct ln_vm *vm) {
  const char *text = lua_tostring(L, -1);
  if (!text || strncmp(text, "...", 3) != 0) return;
  const char *tail = text + 3;
  for (const char *colon = strchr(tail, ':'); colon; colon = strchr(colon + 1, ':')) {
    size_t n = (size_t)(colon - tail);
    for (size_t i = 0; i < vm->require.sources.n; i++) {
      const char *path = vm->require.sources.at[i].path;
      size_t len = strlen(path);
      if (n < 20 || len < n || memcmp(path + len - n, tail, n) != 0) continue;
      lua_pushfstring(L, "%s%s", path, colon);
      lua_remove(L, -2);
      return;
    }
  }
}

/* Pushes a text for the error at 1, which is no string: its place, and its message if any.
 */
static void push_description(lua_State *L) {
  char place[LN_VM_PLACE];
  ln_vm_place(L, ln_vm_of(L), place, sizeof place);
  lua_pushfstring(L, "%s: ", place);
  if (lua_istable(L, 1)) {
    lua_pushliteral(L, "message");
    lua_rawget(L, 1);
  } else {
    lua_pushnil(L);
  }
  if (lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushfstring(L, "an error without a message (a %s)", luaL_typename(L, 1));
  }
  lua_concat(L, 2);
}

/* Pushes the result of the error's __tostring, if it has one that gives a string. */
static bool push_tostring(lua_State *L) {
  if (!luaL_getmetafield(L, 1, "__tostring")) return false;
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 1, 0) == 0 && lua_type(L, -1) == LUA_TSTRING) return true;
  lua_pop(L, 1);
  return false;
}

/* The error handler of ln_vm_call, which is called where the error was raised. */
static int l_vm_traceback(lua_State *L) {
  if (lua_isstring(L, 1))
    lua_pushvalue(L, 1);
  else if (!push_tostring(L))
    push_description(L);
  ln_vm_whole_name(L, ln_vm_of(L));
  luaL_traceback(L, L, lua_tostring(L, -1), 1);
  return 1;
}

void ln_vm_place(struct lua_State *L, const struct ln_vm *vm, char *out, size_t max) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline < 0 || strncmp(ar.source, "=lunette/", 9) == 0) continue;
    bool named = *ar.source == '@' || *ar.source == '=';
    snprintf(out, max, "%s:%d", named ? ar.source + 1 : ar.short_src, ar.currentline);
    return;
  }
  snprintf(out, max, "%s", vm->current.declared ? vm->current.declared : "?");
}

static void guard_place(lua_State *L, char *out, size_t max) {
  ln_vm_place(L, ln_vm_of(L), out, max);
}

static void watched_where(const struct ln_watched *who, char *out, size_t max) {
  const struct ln_vm *vm = LN_CONTAINER(who, struct ln_vm, guard.watched);
  ln_vm_place(vm->current.co ? vm->current.co : vm->L, vm, out, max);
}

static int l_vm_call(lua_State *L) {
  struct ln_vm *vm = lua_touserdata(L, lua_upvalueindex(1));
  vm->job(L, vm->arg);
  return 0;
}

/* A reference to a table with weak keys. */
static int weak_table(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Lua's own seed is the same in every state. */
static void seed_random(lua_State *L) {
  uint64_t seed;
  if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
    luaL_error(L, "the system gives no random numbers");
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "randomseed");
  lua_pushnumber(L, (lua_Number)(seed >> 11)); /* 53 bits, which a number holds */
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

static int l_vm_open(lua_State *L) {
  struct ln_vm *vm = lua_touserdata(L, 1);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&vm_key);
  lua_pushlightuserdata(L, vm);
  lua_rawset(L, LUA_REGISTRYINDEX);
  luaL_openlibs(L);
  seed_random(L);
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  lua_gc(L, LUA_GCSETPAUSE, GC_PAUSE);
  lua_pushcfunction(L, l_vm_traceback);
  vm->traceback = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, vm);
  lua_pushcclosure(L, l_vm_call, 1);
  vm->call = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  lua_pushliteral(L, "array");
  lua_setfield(L, -2, "__name");
  vm->codec.array_mt = luaL_ref(L, LUA_REGISTRYINDEX);
  vm->codec.origins = weak_table(L);
  vm->codec.spellings = weak_table(L);
  ln_require_install(&vm->require, L);
  vm->open(L, vm);
  ln_guard_install(&vm->guard, L);
  return 0;
}

struct ln_vm *ln_vm_new(struct ln_log *log, struct ln_policy *policy, size_t max_bytes,
                        ln_vm_open_fn open) {
  struct ln_vm *vm = calloc(1, sizeof *vm);
  if (!vm) return NULL;
  vm->log = log;
  vm->policy = policy;
  vm->open = open;
  ln_codec_init(&vm->codec, max_bytes);
  ln_require_init(&vm->require);
  vm->guard.place = guard_place;
  vm->guard.watched.where = watched_where;
  vm->L = luaL_newstate();
  if (vm->L) ln_heap_install(&vm->guard.heap, vm->L);
  if (!vm->L || lua_cpcall(vm->L, l_vm_open, vm)) {
    ln_vm_free(vm);
    return NULL;
  }
  return vm;
}

void ln_vm_free(struct ln_vm *vm) {
  if (!vm) return;
  if (vm->L) {
    struct ln_guard *g = &vm->guard;
    ln_heap_remove(&g->heap, vm->L);
    /* Finalizers run here, which no hook stops. */
    struct ln_watch_mark mark =
        ln_watchdog_enter(g->watchdog, &g->watched, ln_clock_ns(), g->patience);
    lua_close(vm->L);
    ln_watchdog_leave(g->watchdog, mark);
  }
  ln_codec_deinit(&vm->codec);
  ln_require_deinit(&vm->require);
  free(vm);
}

int ln_vm_call(struct ln_vm *vm, void (*job)(struct lua_State *L, void *arg), void *arg,
               char **why) {
  lua_State *L = vm->L;
  void (*outer_job)(struct lua_State *, void *) = vm->job;
  void *outer_arg = vm->arg;
  int top = lua_gettop(L);
  if (why) *why = NULL;
  /* lua_checkstack is called unprotected, so that it must not fail at the memory limit. */
  bool armed = vm->guard.heap.armed;
  vm->guard.heap.armed = false;
  bool room = lua_checkstack(L, 8);
  vm->guard.heap.armed = armed;
  if (!room) return LN_ESCRIPT;
  vm->job = job;
  vm->arg = arg;
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->traceback);
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->call);
  int status = lua_pcall(L, 0, 0, top + 1);
  if (status && why) {
    const char *text = lua_tostring(L, -1);
    *why = strdup(text ? text : "an error without a message");
  }
  lua_settop(L, top);
  vm->job = outer_job;
  vm->arg = outer_arg;
  return status ? LN_ESCRIPT : LN_OK;
}

static void job_tidy(lua_State *L, void *arg) {
  struct ln_vm *vm = arg;
  ln_heap_tidy(&vm->guard.heap, L, false);
}

void ln_vm_tidy(struct ln_vm *vm) {
  if (!ln_heap_untidy(&vm->guard.heap)) return;
  char *why;
  if (ln_vm_call(vm, job_tidy, vm, &why))
    LN_LOG(vm->log, ERROR, "policy", "collecting garbage: %s", why ? why : "");
  free(why);
}
