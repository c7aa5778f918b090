/* core: JSON text to values and back, with the difference between [] and {} kept. */
#include "bind/bind.h"

/* decode(text) -> value; raises with the byte that is wrong. */
static int l_json_decode(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  struct ln_str text = ln_bind_str(L, 1);
  struct ln_json_limits limits = {
      .max_bytes = vm->codec.max_bytes, .max_depth = LN_VALUE_DEPTH - 1, .max_members = 0};
  struct ln_json_info info;
  int rc = ln_json_scan(text, &limits, &info);
  if (rc) return ln_bind_error(L, "%s at byte %d", ln_err_text(rc), (int)info.error_at + 1);
  ln_value_push(L, &vm->codec, text);
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

/* keys(text, member) -> the names in the object that is text's member, in order; nil when there is
 * no such object. text must have been decoded before. */
static int l_json_keys(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  struct ln_json_item item;
  if (!ln_json_get(ln_json_trim(ln_bind_str(L, 1)), luaL_checkstring(L, 2), &item)) return 0;
  if (item.type != LN_JSON_OBJECT) return 0;
  struct ln_json_cur cur = ln_json_enter(item.value);
  lua_newtable(L);
  for (int i = 1; ln_json_next(&cur, &item); i++) {
    ln_value_push_string(L, &vm->codec, (struct ln_str){item.key.p - 1, item.key.n + 2});
    lua_rawseti(L, -2, i);
  }
  return 1;
}

const luaL_Reg ln_bind_json[] = {
    {"decode", l_json_decode}, {"encode", l_json_encode}, {"keys", l_json_keys}, {NULL, NULL}};
