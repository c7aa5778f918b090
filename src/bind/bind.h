/* The core module: what Lunette's Lua side can ask of C, a file a topic. Thin: arguments are
 * checked by the Lua side in words for people; here only so far that a wrong one can't crash.
 *
 * Every function has the state's vm as its first upvalue. All may throw (LN_THROWS). They acquire
 * after the last check and hold nothing while they push, or what they hold hangs on the vm or the
 * run. */
#ifndef LN_BIND_BIND_H
#define LN_BIND_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "script/run_impl.h"

/* Registers "lunette.core" in package.preload. */
LN_THROWS void ln_bind_open(lua_State *L, struct ln_vm *vm);

/* The topics: {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_json[];
extern const luaL_Reg ln_bind_misc[];
extern const luaL_Reg ln_bind_shared[];
extern const luaL_Reg ln_bind_run[];
extern const luaL_Reg ln_bind_http[];
extern const luaL_Reg ln_bind_host[];

/* Below: for the topics. */
static inline struct ln_vm *ln_bind_vm(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}
/* The run whose coroutine calls: an error anywhere else, in coroutines of the handler's own, and
 * when it has ended. */
LN_THROWS struct ln_run *ln_bind_waiter(lua_State *L);
LN_THROWS struct ln_str ln_bind_str(lua_State *L, int idx);
/* A string that can stand in a message as its method. */
LN_THROWS struct ln_str ln_bind_method(lua_State *L, int idx);
/* A string that is proven to be JSON; raises with the byte that is wrong. */
LN_THROWS struct ln_str ln_bind_json_text(lua_State *L, int idx);
/* Pushes "FILE:LINE" of the nearest caller that is not Lunette's own Lua; "?" when there is none.
 */
LN_THROWS void ln_bind_where(lua_State *L);
/* luaL_error with that place in front. */
LN_THROWS int ln_bind_error(lua_State *L, const char *fmt, ...);
/* The table that JSON-RPC errors have as their metatable. */
LN_THROWS void ln_bind_push_error_mt(lua_State *L);

#endif
