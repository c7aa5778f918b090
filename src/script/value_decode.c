/* Valid JSON text to Lua values; see value.h. Recursion is bounded by the depth that the scan
 * allowed and by LN_VALUE_DEPTH. */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#include "script/value_decode.h"

#include "script/value_origin.h"
#include "script/value_spelling.h"

LN_THROWS void ln_value_decode_string(struct lua_State *L, struct ln_codec *c,
                                      struct ln_str value) {
  struct ln_str raw = ln_json_inside(value);
  if (!raw.n) {
    lua_pushlstring(L, "", 0);
  } else if (!memchr(raw.p, '\\', raw.n)) {
    lua_pushlstring(L, raw.p, raw.n);
  } else {
    ln_buf_clear(&c->scratch);
    if (ln_json_unescape(raw, true, &c->scratch)) luaL_error(L, "not enough memory");
    lua_pushlstring(L, c->scratch.data ? c->scratch.data : "", c->scratch.len);
  }
}

static void push(lua_State *L, struct ln_codec *c, struct ln_json_cur *cur,
                 const struct ln_json_item *item, unsigned depth);

/* One cursor goes through all containers, so that none is scanned for its end first. */
static void push_object(lua_State *L, struct ln_codec *c, struct ln_json_cur *cur, const char *at,
                        unsigned depth) {
  struct ln_json_item item;
  lua_createtable(L, 0, 4);
  bool empty = true, spelt = false;
  while (ln_json_step(cur, &item)) {
    ln_value_decode_string(L, c, (struct ln_str){item.key.p - 1, item.key.n + 2});
    push(L, c, cur, &item, depth + 1);
    if (item.type == LN_JSON_NUMBER) spelt |= ln_spelling_note(L, c, item.value, 0, spelt);
    lua_rawset(L, -3); /* of members with the same name the last counts */
    empty = false;
  }
  ln_json_leave(cur);
  if (empty) ln_origin_note(L, c, at, true);
}

static void push_array(lua_State *L, struct ln_codec *c, struct ln_json_cur *cur, unsigned depth) {
  struct ln_json_item item;
  bool spelt = false;
  lua_newtable(L);
  for (int i = 1; ln_json_step(cur, &item); i++) {
    push(L, c, cur, &item, depth + 1);
    if (item.type == LN_JSON_NUMBER) spelt |= ln_spelling_note(L, c, item.value, i, false);
    if (item.type == LN_JSON_OBJECT || item.type == LN_JSON_ARRAY)
      ln_origin_note(L, c, item.value.p, item.type == LN_JSON_OBJECT);
    lua_rawseti(L, -2, i);
  }
  ln_json_leave(cur);
  if (spelt) ln_spelling_seal(L, c);
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->array_mt);
  lua_setmetatable(L, -2);
}

static void push(lua_State *L, struct ln_codec *c, struct ln_json_cur *cur,
                 const struct ln_json_item *item, unsigned depth) {
  if (depth > LN_VALUE_DEPTH) luaL_error(L, "nested more than %d deep", LN_VALUE_DEPTH);
  luaL_checkstack(L, 6, "nested too deeply");
  switch (item->type) {
    case LN_JSON_FALSE:
    case LN_JSON_TRUE: lua_pushboolean(L, item->type == LN_JSON_TRUE); break;
    case LN_JSON_NUMBER: lua_pushnumber(L, ln_value_number(c, item->value)); break;
    case LN_JSON_STRING: ln_value_decode_string(L, c, item->value); break;
    case LN_JSON_ARRAY: push_array(L, c, cur, depth); break;
    case LN_JSON_OBJECT: push_object(L, c, cur, item->value.p, depth); break;
    case LN_JSON_NULL:
    case LN_JSON_NONE: lua_pushlightuserdata(L, NULL); break;
  }
}

LN_THROWS void ln_value_decode(struct lua_State *L, struct ln_codec *c, struct ln_str json) {
  json = ln_json_trim(json);
  ln_origin_begin(c, json);
  struct ln_json_item root = {LN_STR_NONE, json, ln_json_type_of(json)};
  struct ln_json_cur cur = ln_json_enter(json);
  push(L, c, &cur, &root, 0);
}
