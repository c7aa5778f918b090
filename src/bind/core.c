/* The core module itself: one table of all topics. */
#include "bind/core.h"

#include "bind/bind.h"
#include "bind/bytes.h"
#include "bind/host.h"
#include "bind/http.h"
#include "bind/json.h"
#include "bind/misc.h"
#include "bind/run.h"
#include "bind/shared.h"

static int l_core_where(lua_State *L) {
  ln_bind_where(L);
  return 1;
}

static const luaL_Reg own[] = {{"where", l_core_where}, {NULL, NULL}};

static void add(lua_State *L, struct ln_vm *vm, const luaL_Reg *topic) {
  for (; topic->name; topic++) {
    lua_pushlightuserdata(L, vm);
    lua_pushcclosure(L, topic->func, 1);
    lua_setfield(L, -2, topic->name);
  }
}

static int l_core_open(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  lua_newtable(L);
  add(L, vm, own);
  add(L, vm, ln_bind_json);
  add(L, vm, ln_bind_misc);
  add(L, vm, ln_bind_bytes);
  add(L, vm, ln_bind_shared);
  add(L, vm, ln_bind_run);
  add(L, vm, ln_bind_http);
  add(L, vm, ln_bind_host);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_rawgeti(L, LUA_REGISTRYINDEX, vm->codec.array_mt);
  lua_setfield(L, -2, "array_mt");
  ln_bind_push_error_mt(L);
  lua_setfield(L, -2, "error_mt");
  return 1;
}

LN_THROWS void ln_core_open(struct lua_State *L, struct ln_vm *vm) {
  ln_bind_make_error_mt(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushlightuserdata(L, vm);
  lua_pushcclosure(L, l_core_open, 1);
  lua_setfield(L, -2, "lunette.core");
  lua_pop(L, 2);
}
