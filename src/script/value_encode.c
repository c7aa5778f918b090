/* Lua values to JSON text; see value.h. Members are sorted by name, so that the same value always
 * gives the same text. Metamethods are not called. */
#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdlib.h>

#include "script/value_encode.h"

#include "script/value_origin.h"
#include "script/value_spelling.h"

static enum ln_shape bad_key(lua_State *L, struct ln_codec *c) {
  int type = lua_type(L, -2);
  if (type == LUA_TNUMBER)
    ln_value_fault(c, "a table with the key %g among others is neither an array nor an object",
                   lua_tonumber(L, -2));
  else if (type == LUA_TSTRING)
    ln_value_fault(c, "an array can't have a member \"%s\"", lua_tostring(L, -2));
  else
    ln_value_fault(c, "a %s can't be a member's name", lua_typename(L, type));
  lua_pop(L, 2);
  return LN_SHAPE_BAD;
}

LN_THROWS enum ln_shape ln_value_encode_shape(struct lua_State *L, struct ln_codec *c, int idx,
                                              size_t *n) {
  bool marked = false;
  if (lua_getmetatable(L, idx)) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->array_mt);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  size_t strings = 0, numbers = 0;
  double top = 0;
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    int type = lua_type(L, -2);
    if (type == LUA_TSTRING) {
      strings++;
      if (marked || numbers) return bad_key(L, c);
      continue;
    }
    double k = type == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
    if (type != LUA_TNUMBER || strings || k < 1 || k != floor(k) || k > 1e9) return bad_key(L, c);
    numbers++;
    if (k > top) top = k;
  }
  *n = strings + numbers;
  c->steps += *n;
  if (strings) return LN_SHAPE_OBJECT;
  if (!numbers && marked) return LN_SHAPE_ARRAY;
  if (!numbers) return ln_origin_is_object(L, c, idx) ? LN_SHAPE_OBJECT : LN_SHAPE_EMPTY;
  if (top == (double)numbers) return LN_SHAPE_ARRAY;
  ln_value_fault(c,
                 "an array of %zu elements with gaps up to %g (table.remove closes them, "
                 "lunette.null fills them)",
                 numbers, top);
  return LN_SHAPE_BAD;
}

static int by_bytes(const void *a, const void *b) {
  const struct ln_str *x = a, *y = b;
  int d = memcmp(x->p, y->p, LN_MIN(x->n, y->n));
  return d ? d : (x->n > y->n) - (x->n < y->n);
}

LN_THROWS int ln_value_encode_keys(struct lua_State *L, struct ln_codec *c, int idx, size_t *n) {
  size_t base = c->keys.len;
  *n = 0;
  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    struct ln_str key;
    key.p = lua_tolstring(L, -2, &key.n); /* a string already: shape said so */
    int rc = ln_buf_append(&c->keys, (const char *)&key, sizeof key);
    if (rc) {
      lua_pop(L, 2);
      return rc;
    }
    (*n)++;
  }
  if (*n) qsort(c->keys.data + base, *n, sizeof(struct ln_str), by_bytes);
  return LN_OK;
}

/* The i-th of the keys that start at base; the buffer moves, so it is copied out. */
struct ln_str ln_value_encode_key(const struct ln_codec *c, size_t base, size_t i) {
  struct ln_str key;
  memcpy(&key, c->keys.data + base + i * sizeof key, sizeof key);
  return key;
}

static int append_object(lua_State *L, struct ln_codec *c, int idx) {
  size_t base = c->keys.len, n;
  int rc = ln_value_encode_keys(L, c, idx, &n);
  ln_buf_append(&c->text, "{", 1);
  for (size_t i = 0; i < n && rc == LN_OK; i++) {
    struct ln_str key = ln_value_encode_key(c, base, i);
    if (i) ln_buf_append(&c->text, ",", 1);
    ln_json_quote(&c->text, key);
    rc = ln_buf_append(&c->text, ":", 1);
    if (rc == LN_OK) rc = ln_value_enter(c, (struct ln_value_step){key.p, key.n, 0, idx});
    if (rc) break;
    lua_pushlstring(L, key.p, key.n);
    lua_rawget(L, idx);
    rc = ln_value_encode_append(L, c, lua_gettop(L), false);
    lua_pop(L, 1);
    if (rc == LN_OK) ln_value_leave(c);
  }
  c->keys.len = base;
  return rc ? rc : ln_buf_append(&c->text, "}", 1);
}

static int append_array(lua_State *L, struct ln_codec *c, int idx, size_t n) {
  int rc = ln_buf_append(&c->text, "[", 1);
  int table = ln_spelling_counts(L, c, idx, n) ? idx : 0;
  for (size_t i = 1; i <= n && rc == LN_OK; i++) {
    if (i > 1) rc = ln_buf_append(&c->text, ",", 1);
    if (rc == LN_OK) rc = ln_value_enter(c, (struct ln_value_step){NULL, 0, i, table});
    if (rc) break;
    lua_rawgeti(L, idx, (int)i);
    rc = ln_value_encode_append(L, c, lua_gettop(L), false);
    lua_pop(L, 1);
    if (rc == LN_OK) ln_value_leave(c);
  }
  return rc ? rc : ln_buf_append(&c->text, "]", 1);
}

static int append_table(lua_State *L, struct ln_codec *c, int idx, bool like_array) {
  size_t n;
  switch (ln_value_encode_shape(L, c, idx, &n)) {
    case LN_SHAPE_EMPTY: return ln_buf_append_c(&c->text, like_array ? "[]" : "{}");
    case LN_SHAPE_ARRAY: return append_array(L, c, idx, n);
    case LN_SHAPE_OBJECT: return append_object(L, c, idx);
    case LN_SHAPE_BAD: break;
  }
  return LN_ESCRIPT;
}

static int append_number(lua_State *L, struct ln_codec *c, double d) {
  struct ln_str spelt = ln_spelling_of(L, c, d);
  if (spelt.p) return ln_buf_append_str(&c->text, spelt);
  if (isnan(d)) return ln_value_fault(c, "not a number (NaN) can't be sent");
  if (isinf(d)) return ln_value_fault(c, "an infinite number can't be sent");
  return ln_json_number(&c->text, d);
}

LN_THROWS int ln_value_encode_append(struct lua_State *L, struct ln_codec *c, int idx,
                                     bool like_array) {
  luaL_checkstack(L, 8, "nested too deeply");
  c->steps++;
  struct ln_str s;
  int rc;
  switch (lua_type(L, idx)) {
    case LUA_TBOOLEAN:
      rc = ln_buf_append_c(&c->text, lua_toboolean(L, idx) ? "true" : "false");
      break;
    case LUA_TNUMBER: rc = append_number(L, c, lua_tonumber(L, idx)); break;
    case LUA_TSTRING:
      s.p = lua_tolstring(L, idx, &s.n);
      rc = ln_json_quote(&c->text, s);
      break;
    case LUA_TTABLE: rc = append_table(L, c, idx, like_array); break;
    case LUA_TLIGHTUSERDATA:
      if (!lua_touserdata(L, idx)) {
        rc = ln_buf_append_c(&c->text, "null");
        break;
      } /* fall through */
    default: return ln_value_fault(c, "a %s can't be sent", luaL_typename(L, idx));
  }
  if (rc == LN_ELIMIT) return ln_value_fault(c, "more than %zu bytes", c->max_bytes);
  return rc;
}

LN_THROWS int ln_value_encode(struct lua_State *L, struct ln_codec *c, int idx, const char *root,
                              struct ln_str *out) {
  ln_value_begin(c, root);
  if (idx < 0) idx = lua_gettop(L) + 1 + idx;
  int rc = ln_value_finish(c, ln_value_encode_append(L, c, idx, false));
  *out = rc ? LN_STR_NONE : ln_buf_str(&c->text);
  return rc;
}
