/* core: functions of the proxy that return at once. A ctx is passed as its userdata (struct
 * ln_client_ref). */
#include "bind/host.h"

#include "script/client_ref.h"
#include "script/present.h"
#include "script/value_decode.h"
#include "script/value_encode.h"

static const struct ln_policy_host *host_of(lua_State *L) {
  struct ln_policy *p = ln_bind_vm(L)->policy;
  if (!p) {
    ln_bind_error(L, "there is no proxy here");
    return NULL;
  }
  return &p->host;
}

/* The ref at idx; an error when its request has ended. what: its name in the error. */
static const struct ln_client_ref *check_ref(lua_State *L, int idx, const char *what) {
  const struct ln_client_ref *w = ln_client_ref_at(L, idx);
  if (!w) {
    ln_bind_error(L, "not a ctx");
    return NULL;
  }
  if (*w->now != w->then)
    ln_bind_error(L,
                  "%s belongs to a request that is over; take what you need out of it while the "
                  "handler runs",
                  what);
  return w;
}

static struct ln_exchange *check_exchange(lua_State *L, int idx) {
  return check_ref(L, idx, "this ctx")->x;
}

/* own(ref, what): an error when its request has ended, or is not that of the running handler, for
 * which whatever is called next is done */
static int l_host_own(lua_State *L) {
  const struct ln_run *run = ln_bind_vm(L)->current.run;
  const char *what = luaL_checkstring(L, 2);
  const struct ln_client_ref *w = check_ref(L, 1, what);
  if (run && w->now != &run->serial)
    return ln_bind_error(L, "%s belongs to another request than the one that calls it", what);
  return 0;
}

static const char *const fact_names[] = {
    "id",         "transport", "era",         "protocol_version", "client", "capabilities",
    "headers",    "upstream",  "native_name", "request_id",       "from",   "deadline",
    "structured", NULL};

/* fact(ref, name) -> value or nil; JSON facts decoded */
static int l_host_fact(lua_State *L) {
  const struct ln_policy_host *h = host_of(L);
  struct ln_exchange *x = check_exchange(L, 1);
  enum ln_fact fact = (enum ln_fact)luaL_checkoption(L, 2, NULL, fact_names);
  lua_settop(L, 0);
  lua_pushnil(L);
  if (!x || !h->fact) return 1;
  struct ln_buf scratch;
  ln_buf_init(&scratch, 1 << 20);
  struct ln_str text = h->fact(x, fact, &scratch);
  bool json = fact == LN_FACT_CLIENT || fact == LN_FACT_CAPABILITIES || fact == LN_FACT_HEADERS ||
              fact == LN_FACT_REQUEST_ID;
  /* This push may throw, and scratch leak, only when out of memory. */
  if (text.p) lua_pushlstring(L, text.p, text.n);
  ln_buf_deinit(&scratch);
  if (text.p && json) ln_value_decode(L, &ln_bind_vm(L)->codec, ln_bind_str(L, -1));
  return 1;
}

/* session_key(ref) -> number or nil */
static int l_host_session_key(lua_State *L) {
  const struct ln_policy_host *h = host_of(L);
  struct ln_exchange *x = check_exchange(L, 1);
  if (!x || !h->session_key) return 0;
  lua_pushnumber(L, (double)h->session_key(x));
  return 1;
}

/* notify(ref, method, params): to the client */
static int l_host_notify(lua_State *L) {
  const struct ln_policy_host *h = host_of(L);
  struct ln_exchange *x = check_exchange(L, 1);
  const char *method = ln_bind_method(L, 2).p;
  struct ln_codec *c = &ln_bind_vm(L)->codec;
  struct ln_str params;
  luaL_checktype(L, 3, LUA_TTABLE);
  if (!x || !h->notify_client) return 0;
  if (ln_value_encode(L, c, 3, "params", &params)) return ln_bind_error(L, "%s", c->fault);
  h->notify_client(x, method, params);
  return 0;
}

static enum ln_kind check_kind(lua_State *L, int idx) {
  static const char *const names[] = {"tools", "resources", "resource_templates", "prompts", NULL};
  return (enum ln_kind)luaL_checkoption(L, idx, NULL, names);
}

/* inventory(kind) -> [{upstream, item}…]; nil when there is no index */
static int l_host_inventory(lua_State *L) {
  const struct ln_policy_host *h = host_of(L);
  enum ln_kind kind = check_kind(L, 1);
  struct ln_buf out;
  if (!h->inventory) return 0;
  ln_buf_init(&out, (size_t)1 << 30);
  int rc = h->inventory(h->host, kind, &out);
  if (rc == LN_OK) lua_pushlstring(L, out.data ? out.data : "[]", out.data ? out.len : 2);
  ln_buf_deinit(&out);
  if (rc) return ln_bind_error(L, "no inventory: %s", ln_err_text(rc));
  ln_value_decode(L, &ln_bind_vm(L)->codec, ln_bind_str(L, -1));
  return 1;
}

static int l_host_notify_changed(lua_State *L) {
  const struct ln_policy_host *h = host_of(L);
  enum ln_kind kind = check_kind(L, 1);
  if (h->notify_changed && ln_bind_vm(L)->policy->loaded) h->notify_changed(h->host, kind);
  return 0;
}

static int l_host_server_clear(lua_State *L) {
  const struct ln_policy_host *h = host_of(L);
  const char *name = luaL_checkstring(L, 1);
  if (h->server_clear && ln_bind_vm(L)->policy->loaded) h->server_clear(h->host, name);
  return 0;
}

/* item(index) -> the definition of an item of the list being presented */
static int l_host_item(lua_State *L) {
  struct ln_policy *p = ln_bind_vm(L)->policy;
  size_t i = (size_t)luaL_checkinteger(L, 1);
  if (!p || !i || i > p->n_items) return ln_bind_error(L, "no such item");
  ln_value_decode(L, &ln_bind_vm(L)->codec, p->items[i - 1].json);
  return 1;
}

/* item_text(index) -> the same as JSON */
static int l_host_item_text(lua_State *L) {
  struct ln_policy *p = ln_bind_vm(L)->policy;
  size_t i = (size_t)luaL_checkinteger(L, 1);
  if (!p || !i || i > p->n_items) return ln_bind_error(L, "no such item");
  struct ln_str json = ln_json_trim(p->items[i - 1].json);
  lua_pushlstring(L, json.p, json.n);
  return 1;
}

const luaL_Reg ln_bind_host[] = {{"fact", l_host_fact},
                                 {"own", l_host_own},
                                 {"session_key", l_host_session_key},
                                 {"notify", l_host_notify},
                                 {"inventory", l_host_inventory},
                                 {"notify_changed", l_host_notify_changed},
                                 {"upstream_clear", l_host_server_clear},
                                 {"item", l_host_item},
                                 {"item_text", l_host_item_text},
                                 {NULL, NULL}};
