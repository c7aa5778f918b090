/* The spellings of numbers that their doubles would be written in another way: 1.0, 1e3, an integer
 * beyond 2^53; see value.h. Merged into their source they keep their bytes anyway; this is for an
 * object or array that a policy puts into another member or message.
 *
 * A weak table has, for each decoded container with such a number directly in it, a table of
 * spellings by name or index. A spelling is used if it means the value that the member has, so that
 * assignments need not be tracked. In an array, spellings are used only while its elements are
 * unchanged: a copy of them is at index 0. */
#include <lua.h>

#include "script/value_spelling.h"

/* Surely spelt the way that it would be again. */
static bool is_plain(struct ln_str raw) {
  size_t i = raw.p[0] == '-';
  if (raw.n > i + 15 || (i && raw.p[i] == '0')) return false;
  for (; i < raw.n; i++)
    if (raw.p[i] < '0' || raw.p[i] > '9') return false;
  return true;
}

static bool is_odd(struct ln_codec *c, struct ln_str raw) {
  if (is_plain(raw)) return false;
  double d = ln_value_number(c, raw);
  ln_buf_clear(&c->scratch);
  return ln_json_number(&c->scratch, d) == LN_OK && !ln_str_eq(ln_buf_str(&c->scratch), raw);
}

/* Pushes the spellings of the container at idx, or nil. */
static bool push_entry(lua_State *L, const struct ln_codec *c, int idx) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->spellings);
  lua_pushvalue(L, idx);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return lua_istable(L, -1);
}

LN_THROWS bool ln_spelling_note(struct lua_State *L, struct ln_codec *c, struct ln_str raw,
                                int index, bool twins) {
  int number = lua_gettop(L), container = index ? number - 1 : number - 2;
  if (!is_odd(c, raw)) {
    if (twins && push_entry(L, c, container)) { /* of twins the last counts */
      lua_pushvalue(L, number - 1);
      lua_pushnil(L);
      lua_rawset(L, -3);
    }
    lua_settop(L, number);
    return false;
  }
  c->spelt = true;
  if (!push_entry(L, c, container)) {
    lua_settop(L, number);
    lua_createtable(L, 0, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->spellings);
    lua_pushvalue(L, container);
    lua_pushvalue(L, number + 1);
    lua_rawset(L, -3);
    lua_settop(L, number + 1);
  }
  if (index)
    lua_pushinteger(L, index);
  else
    lua_pushvalue(L, number - 1);
  lua_pushlstring(L, raw.p, raw.n);
  lua_rawset(L, number + 1);
  lua_settop(L, number);
  return true;
}

LN_THROWS void ln_spelling_seal(struct lua_State *L, const struct ln_codec *c) {
  int array = lua_gettop(L), n = (int)lua_objlen(L, array);
  if (push_entry(L, c, array)) {
    lua_createtable(L, n, 0);
    for (int i = 1; i <= n; i++) {
      lua_rawgeti(L, array, i);
      lua_rawseti(L, -2, i);
    }
    lua_rawseti(L, -2, 0);
  }
  lua_settop(L, array);
}

LN_THROWS bool ln_spelling_counts(struct lua_State *L, const struct ln_codec *c, int idx,
                                  size_t n) {
  if (!c->spelt) return false;
  int top = lua_gettop(L);
  bool same = push_entry(L, c, idx);
  if (same) {
    lua_rawgeti(L, -1, 0);
    same = lua_istable(L, -1) && lua_objlen(L, -1) == n;
  }
  for (int i = 1; same && (size_t)i <= n; i++) {
    lua_rawgeti(L, top + 2, i);
    lua_rawgeti(L, idx, i);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  lua_settop(L, top);
  return same;
}

LN_THROWS struct ln_str ln_spelling_of(struct lua_State *L, struct ln_codec *c, double d) {
  const struct ln_value_step *s = c->depth ? &c->path[c->depth - 1] : NULL;
  struct ln_str raw = LN_STR_NONE;
  if (!c->spelt || !s || !s->table) return raw;
  int top = lua_gettop(L);
  if (push_entry(L, c, s->table)) {
    if (s->key)
      lua_pushlstring(L, s->key, s->len);
    else
      lua_pushinteger(L, (lua_Integer)s->index);
    lua_rawget(L, -2);
    if (lua_isstring(L, -1)) raw.p = lua_tolstring(L, -1, &raw.n); /* stays in its table */
  }
  lua_settop(L, top);
  return raw.p && ln_value_number(c, raw) == d ? raw : LN_STR_NONE;
}
