/* See bind.h. */
#include "bind/bind.h"

#include "base/utf8.h"

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

LN_THROWS void ln_bind_make_error_mt(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&error_mt_key);
  lua_newtable(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
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
