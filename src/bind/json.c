/* core: JSON text to values and back, with the difference between [] and {} kept. */
#include "bind/json.h"

#include "script/value_decode.h"
#include "script/value_encode.h"
#include "script/value_merge.h"

LN_THROWS struct ln_str ln_bind_json_text(lua_State *L, int idx) {
  const struct ln_vm *vm = ln_bind_vm(L);
  struct ln_str text = ln_bind_str(L, idx);
  struct ln_json_limits limits = {
      .max_bytes = vm->codec.max_bytes, .max_depth = LN_VALUE_DEPTH - 1, .max_members = 0};
  struct ln_json_info info;
  int rc = ln_json_scan(text, &limits, &info);
  if (rc) ln_bind_error(L, "%s at byte %d", ln_err_text(rc), (int)info.error_at + 1);
  return text;
}

/* decode(text) -> value */
static int l_json_decode(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  ln_value_decode(L, &vm->codec, ln_bind_json_text(L, 1));
  return 1;
}

/* encode(value[, root]) -> text */
static int l_json_encode(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  luaL_checkany(L, 1);
  struct ln_str text;
  if (ln_value_encode(L, &vm->codec, 1, luaL_optstring(L, 2, ""), &text))
    return ln_bind_error(L, "%s", vm->codec.fault);
  lua_pushlstring(L, text.p, text.n);
  return 1;
}

/* parts(text) -> { {name, text}… } of an object, or { {number, text}… } of an array, in order */
static int l_json_parts(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  struct ln_json_cur cur = ln_json_enter(ln_bind_json_text(L, 1));
  struct ln_json_item item;
  lua_newtable(L);
  for (int i = 1; ln_json_next(&cur, &item); i++) {
    lua_createtable(L, 2, 0);
    if (item.key.p)
      ln_value_decode_string(L, &vm->codec, (struct ln_str){item.key.p - 1, item.key.n + 2});
    else
      lua_pushinteger(L, i);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, item.value.p, item.value.n);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static void set_place(lua_State *L, const char *name, struct ln_str text, const char *p) {
  lua_pushinteger(L, (lua_Integer)(p - text.p) + 1);
  lua_setfield(L, -2, name);
}

/* spans(text) -> { {name =, from =, at =, to =}… } of an object's members in order (an array's
 * elements: no name): the item is text:sub(from, to), its value text:sub(at, to) */
static int l_json_spans(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  struct ln_str text = ln_bind_json_text(L, 1);
  struct ln_json_cur cur = ln_json_enter(text);
  struct ln_json_item item;
  lua_newtable(L);
  for (int i = 1; ln_json_next(&cur, &item); i++) {
    lua_createtable(L, 0, 4);
    if (item.key.p) {
      ln_value_decode_string(L, &vm->codec, (struct ln_str){item.key.p - 1, item.key.n + 2});
      lua_setfield(L, -2, "name");
    }
    set_place(L, "from", text, item.key.p ? item.key.p - 1 : item.value.p);
    set_place(L, "at", text, item.value.p);
    set_place(L, "to", text, item.value.p + item.value.n - 1);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

/* merge(source, value[, optional]) -> source with only what differs from value changed, how many
 * edits that took, and how much was looked at for it */
static int l_json_merge(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  struct ln_codec *c = &vm->codec;
  struct ln_str source = ln_bind_json_text(L, 1);
  luaL_checkany(L, 2);
  struct ln_merge m;
  if (ln_value_merge(L, c, 2, "", source, luaL_optstring(L, 3, NULL), &m))
    return ln_bind_error(L, "%s", c->fault);
  luaL_Buffer out;
  const char *at = source.p;
  luaL_buffinit(L, &out);
  for (size_t i = 0; i < m.n; i++) {
    luaL_addlstring(&out, at, (size_t)(m.edits[i].at.p - at));
    luaL_addlstring(&out, m.edits[i].with.p, m.edits[i].with.n);
    at = m.edits[i].at.p + m.edits[i].at.n;
  }
  luaL_addlstring(&out, at, (size_t)(source.p + source.n - at));
  luaL_pushresult(&out);
  lua_pushinteger(L, (lua_Integer)m.n);
  lua_pushnumber(L, (lua_Number)c->steps);
  return 3;
}

const luaL_Reg ln_bind_json[] = {{"decode", l_json_decode}, {"encode", l_json_encode},
                                 {"parts", l_json_parts},   {"spans", l_json_spans},
                                 {"merge", l_json_merge},   {NULL, NULL}};
