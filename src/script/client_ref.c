/* See client_ref.h. */
#include "script/client_ref.h"

#include <lauxlib.h>
#include <lua.h>

static const char type_name[] = "lunette ctx";

LN_THROWS void ln_client_ref_push(struct lua_State *L, struct ln_client_ref ref) {
  struct ln_client_ref *r = lua_newuserdata(L, sizeof *r);
  *r = ref;
  luaL_newmetatable(L, type_name);
  lua_setmetatable(L, -2);
}

LN_THROWS const struct ln_client_ref *ln_client_ref_at(struct lua_State *L, int idx) {
  const struct ln_client_ref *r = lua_touserdata(L, idx);
  if (!r || lua_objlen(L, idx) != sizeof *r || !lua_getmetatable(L, idx)) return NULL;
  luaL_getmetatable(L, type_name);
  bool ours = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return ours ? r : NULL;
}
