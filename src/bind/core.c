/* The core module itself: one table of all topics, with what they share. */
#include "base/utf8.h"
#include "bind/bind.h"

/* Its address is the registry key of the errors' metatable. */
static const char error_mt_key;

LN_THROWS struct ln_str ln_bind_str(lua_State *L, int idx) {
  struct ln_str s;
  s.p = luaL_checklstring(L, idx, &s.n);
  return s;
}

LN_THROWS struct ln_str ln_bind_method(lua_State *L, int idx) {
  struct ln_str s = ln_bind_str(L, idx);
  bool ok = ln_utf8_valid(s);
  for (size_t i = 0; i < s.n; i++)
    ok &= (unsigned char)s.p[i] > ' ' && s.p[i] != '"' && s.p[i] != '\\' && s.p[i] != 0x7f;
  if (!ok) ln_bind_error(L, "that is no method's name");
  return s;
}

LN_THROWS void ln_bind_push_error_mt(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&error_mt_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

LN_THROWS void ln_bind_where(lua_State *L) {
  char place[LN_VM_PLACE];
  ln_vm_place(L, ln_vm_of(L), place, sizeof place);
  lua_pushstring(L, place);
}

LN_THROWS int ln_bind_error(lua_State *L, const char *fmt, ...) {
  va_list ap;
  ln_bind_where(L);
  bool nobody = strcmp(lua_tostring(L, -1), "?") == 0;
  lua_pushstring(L, nobody ? "" : ": ");
  if (nobody) lua_remove(L, -2);
  va_start(ap, fmt);
  lua_pushvfstring(L, fmt, ap);
  va_end(ap);
  lua_concat(L, nobody ? 2 : 3);
  return lua_error(L);
}

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

LN_THROWS void ln_bind_open(lua_State *L, struct ln_vm *vm) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&error_mt_key);
  lua_newtable(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushlightuserdata(L, vm);
  lua_pushcclosure(L, l_core_open, 1);
  lua_setfield(L, -2, "lunette.core");
  lua_pop(L, 2);
}
