/* core: lunette.shared over script/shared.h. Scalars are kept as they are, tables as JSON. */
#include "bind/shared.h"

#include "base/clock.h"
#include "script/value_decode.h"
#include "script/value_encode.h"

static struct ln_shared *store(lua_State *L) {
  struct ln_policy *p = ln_bind_vm(L)->policy;
  if (!p) {
    ln_bind_error(L, "there is no store here");
    return NULL;
  }
  return p->shared;
}

static uint64_t now_ms(void) {
  return ln_clock_ns() / 1000000u;
}

static int push(lua_State *L, const struct ln_shared_value *v) {
  switch (v->type) {
    case LN_SHARED_NIL: lua_pushnil(L); break;
    case LN_SHARED_BOOL: lua_pushboolean(L, v->boolean); break;
    case LN_SHARED_NUMBER: lua_pushnumber(L, v->number); break;
    case LN_SHARED_STRING: lua_pushlstring(L, v->text.p, v->text.n); break;
    case LN_SHARED_JSON: ln_value_decode(L, &ln_bind_vm(L)->codec, v->text); break;
  }
  return 1;
}

/* shared_get(key) -> value or nil */
static int l_shared_get(lua_State *L) {
  struct ln_shared *s = store(L);
  struct ln_shared_value v = ln_shared_get(s, ln_bind_str(L, 1), now_ms());
  return push(L, &v);
}

static struct ln_shared_value check_value(lua_State *L, int idx) {
  struct ln_shared_value v = {.type = LN_SHARED_NIL};
  struct ln_codec *c = &ln_bind_vm(L)->codec;
  switch (lua_type(L, idx)) {
    case LUA_TNIL: break;
    case LUA_TBOOLEAN:
      v.type = LN_SHARED_BOOL;
      v.boolean = lua_toboolean(L, idx);
      break;
    case LUA_TNUMBER:
      v.type = LN_SHARED_NUMBER;
      v.number = lua_tonumber(L, idx);
      break;
    case LUA_TSTRING:
      v.type = LN_SHARED_STRING;
      v.text = ln_bind_str(L, idx);
      break;
    default:
      v.type = LN_SHARED_JSON;
      if (ln_value_encode(L, c, idx, "value", &v.text)) ln_bind_error(L, "%s", c->fault);
  }
  return v;
}

/* Seconds to milliseconds; at least one, since 0 means no expiry. */
static uint64_t check_ttl(lua_State *L, int idx) {
  lua_Number s = luaL_optnumber(L, idx, 0);
  if (s <= 0) return 0;
  return s * 1000 < 1 ? 1 : (uint64_t)(LN_MIN(s, 1e9) * 1000);
}

static void put(lua_State *L, struct ln_str key, const struct ln_shared_value *v, uint64_t ttl,
                bool keep_ttl) {
  int rc = ln_shared_set(store(L), key, v, now_ms(), ttl, keep_ttl);
  if (rc == LN_ELIMIT)
    ln_bind_error(L, "the store is full (%d MiB); give values a time to live",
                  (int)(LN_SHARED_MAX_BYTES >> 20));
  if (rc) ln_bind_error(L, "%s", ln_err_text(rc));
}

/* shared_set(key, value[, ttl]); nil deletes */
static int l_shared_set(lua_State *L) {
  struct ln_str key = ln_bind_str(L, 1);
  uint64_t ttl = check_ttl(L, 3);
  struct ln_shared_value v = check_value(L, 2);
  put(L, key, &v, ttl, false);
  return 0;
}

/* shared_incr(key, by, initial, ttl) -> the new number, or nil when the value is none. An entry
 * that is there keeps its time to live. */
static int l_shared_incr(lua_State *L) {
  struct ln_str key = ln_bind_str(L, 1);
  lua_Number by = luaL_checknumber(L, 2), initial = luaL_checknumber(L, 3);
  uint64_t ttl = check_ttl(L, 4);
  struct ln_shared_value v = ln_shared_get(store(L), key, now_ms());
  if (v.type == LN_SHARED_NIL)
    v = (struct ln_shared_value){.type = LN_SHARED_NUMBER, .number = initial};
  if (v.type != LN_SHARED_NUMBER) return 0;
  v.number += by;
  put(L, key, &v, ttl, true);
  lua_pushnumber(L, v.number);
  return 1;
}

/* shared_keys() -> all keys, in no order */
static int l_shared_keys(lua_State *L) {
  struct ln_shared *s = store(L);
  struct ln_str key;
  uint64_t now = now_ms();
  lua_newtable(L);
  int n = 0;
  for (size_t i = 0; ln_shared_next(s, &i, now, &key);) {
    lua_pushlstring(L, key.p, key.n);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

const luaL_Reg ln_bind_shared[] = {{"shared_get", l_shared_get},
                                   {"shared_set", l_shared_set},
                                   {"shared_incr", l_shared_incr},
                                   {"shared_keys", l_shared_keys},
                                   {NULL, NULL}};
