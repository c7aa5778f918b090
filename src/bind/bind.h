/* What the files of the module "lunette.core" share: C functions for Lunette's own Lua code, one
 * file for each topic. Lua code checks arguments and explains errors to people; C checks only what
 * could crash.
 *
 * Every function has the state's vm as its first upvalue. All may throw (LN_THROWS): they take
 * memory and references after the last check, and have none while they push, unless the vm or the
 * run owns it. */
#ifndef LN_BIND_BIND_H
#define LN_BIND_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "script/run_impl.h"

static inline struct ln_vm *ln_bind_vm(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}
LN_THROWS struct ln_str ln_bind_str(lua_State *L, int idx);
/* A string that is valid as a message's method. */
LN_THROWS struct ln_str ln_bind_method(lua_State *L, int idx);
/* Pushes "FILE:LINE" of the nearest caller that is not Lunette's own Lua; "?" when there is none.
 */
LN_THROWS void ln_bind_where(lua_State *L);
/* luaL_error with that place at the beginning. */
LN_THROWS int ln_bind_error(lua_State *L, const char *fmt, ...);
/* The metatable of JSON-RPC errors: made once in each state; pushed. */
LN_THROWS void ln_bind_make_error_mt(lua_State *L);
LN_THROWS void ln_bind_push_error_mt(lua_State *L);

#endif
