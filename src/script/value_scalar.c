/* Scalars of a source compared with those of a table; see value_scalar.h. */
#include "script/value_scalar.h"

#include <lua.h>

#include "script/value_spelling.h"

static bool same_string(lua_State *L, struct ln_codec *c, struct ln_str value, int idx) {
  if (lua_type(L, idx) != LUA_TSTRING) return false;
  struct ln_str have, raw = ln_json_inside(value);
  have.p = lua_tolstring(L, idx, &have.n);
  if (!raw.n || !memchr(raw.p, '\\', raw.n)) return ln_str_eq(raw, have);
  ln_buf_clear(&c->scratch);
  return ln_json_unescape(raw, true, &c->scratch) == LN_OK &&
         ln_str_eq(ln_buf_str(&c->scratch), have);
}

/* Two spellings of one double differ: a table put here may have been decoded with another. */
static bool same_number(lua_State *L, struct ln_codec *c, struct ln_str value, int idx) {
  if (lua_type(L, idx) != LUA_TNUMBER) return false;
  double d = lua_tonumber(L, idx);
  if (d != ln_value_number(c, value)) return false;
  struct ln_str spelt = ln_spelling_of(L, c, d);
  return !spelt.p || ln_str_eq(spelt, value);
}

LN_THROWS bool ln_scalar_same(struct lua_State *L, struct ln_codec *c, struct ln_str value,
                              enum ln_json_type type, int idx) {
  switch (type) {
    case LN_JSON_FALSE:
    case LN_JSON_TRUE:
      return lua_isboolean(L, idx) && lua_toboolean(L, idx) == (type == LN_JSON_TRUE);
    case LN_JSON_NUMBER: return same_number(L, c, value, idx);
    case LN_JSON_STRING: return same_string(L, c, value, idx);
    case LN_JSON_NULL: return lua_islightuserdata(L, idx) && !lua_touserdata(L, idx);
    default: return false;
  }
}
