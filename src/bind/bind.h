/* What the topics of the core module share: the functions that Lunette's Lua side asks C by, a file
 * a topic. Thin: arguments are checked by the Lua side in words for people; here only so far that a
 * wrong one can't crash.
 *
 * Every function has the state's vm as its first upvalue. All may throw (LN_THROWS). They acquire
 * after the last check and hold nothing while they push, or what they hold hangs on the vm or the
 * run. */
#ifndef LN_BIND_BIND_H
#define LN_BIND_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "script/run_impl.h"

static inline struct ln_vm *ln_bind_vm(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}
LN_THROWS struct ln_str ln_bind_str(lua_State *L, int idx);
/* A string that can stand in a message as its method. */
LN_THROWS struct ln_str ln_bind_method(lua_State *L, int idx);
/* Pushes "FILE:LINE" of the nearest caller that is not Lunette's own Lua; "?" when there is none.
 */
LN_THROWS void ln_bind_where(lua_State *L);
/* luaL_error with that place in front. */
LN_THROWS int ln_bind_error(lua_State *L, const char *fmt, ...);
/* The table that JSON-RPC errors have as their metatable: made once a state, and pushed. */
LN_THROWS void ln_bind_make_error_mt(lua_State *L);
LN_THROWS void ln_bind_push_error_mt(lua_State *L);

#endif
