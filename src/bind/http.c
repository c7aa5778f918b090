/* core: the C part of lunette.http; see script/run_http.h. A response is a userdata, which may be
 * freed before its run or after. */
#include "bind/http.h"

#include "bind/run.h"
#define RESPONSE "lunette.http response"

enum { MAX_SECONDS = 31 * 86400 };
#define MAX_BYTES 1e15

/* The response at index 1, which must be of the running handler. */
static struct ln_run_http *check_response(lua_State *L) {
  struct ln_run *run = ln_bind_run_check(L);
  struct ln_run_http **holder = luaL_checkudata(L, 1, RESPONSE);
  struct ln_run_http *h = *holder;
  if (!h)
    ln_bind_error(L, "the response is closed, or gone with the handler that asked");
  else if (h->run != run)
    ln_bind_error(L, "the response is another handler's");
  return h;
}

static int l_http_gc(lua_State *L) {
  struct ln_run_http **holder = luaL_checkudata(L, 1, RESPONSE);
  if (*holder) ln_run_http_free(*holder);
  return 0;
}

/* Makes an empty response at the top of the stack. */
static struct ln_run_http **push_response(lua_State *L) {
  struct ln_run_http **holder = lua_newuserdata(L, sizeof *holder);
  *holder = NULL;
  if (luaL_newmetatable(L, RESPONSE)) {
    lua_pushcfunction(L, l_http_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return holder;
}

/* The lines of the list at idx, NULL-terminated; on the stack while the call lasts. */
static const char *const *check_lines(lua_State *L, int idx) {
  luaL_checktype(L, idx, LUA_TTABLE);
  size_t n = lua_objlen(L, idx);
  const char **lines = lua_newuserdata(L, (n + 1) * sizeof *lines);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, idx, (int)i + 1);
    luaL_checktype(L, -1, LUA_TSTRING);
    lines[i] = lua_tostring(L, -1); /* the list keeps it */
    lua_pop(L, 1);
  }
  lines[n] = NULL;
  return lines;
}

/* http_start(method, url, lines, body or nil, seconds, redirects, stream, max_bytes) -> response,
 * or nil and why. Doesn't wait. */
static int l_http_start(lua_State *L) {
  struct ln_run *run = ln_bind_run_check(L);
  lua_Number seconds = luaL_checknumber(L, 5);
  if (!(seconds >= 0 && seconds <= MAX_SECONDS)) return luaL_argerror(L, 5, "no such time");
  const struct ln_fetch_conf conf = {
      .method = luaL_checkstring(L, 1),
      .url = luaL_checkstring(L, 2),
      .headers = check_lines(L, 3),
      .body = lua_isnil(L, 4) ? LN_STR_NONE : ln_bind_str(L, 4),
      .timeout_ms = (uint64_t)(seconds * 1000 + 0.999),
      .redirects = (unsigned)luaL_checkinteger(L, 6),
  };
  bool stream = lua_toboolean(L, 7);
  lua_Number most = luaL_checknumber(L, 8);
  if (!(most >= 0 && most <= MAX_BYTES)) return luaL_argerror(L, 8, "no such size");
  size_t max = (size_t)most;
  const char *why = ln_run_fetch(run, &conf, stream, max, push_response(L));
  if (!why) return 1;
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* http_wait(response): until there is something to take; yields */
static int l_http_wait(lua_State *L) {
  struct ln_run_http *h = check_response(L);
  h->run->http = h;
  h->run->op = LN_OP_HTTP;
  return lua_yield(L, 0);
}

/* Names are in lower case; what is there more than once is joined, by ", " or, for cookies, which
 * have commas in them, by line ends. */
static void push_headers(lua_State *L, const struct ln_buf *packed) {
  lua_newtable(L);
  for (size_t i = 0; i < packed->len;) {
    const char *name = packed->data + i;
    const char *value = name + strlen(name) + 1;
    i = (size_t)(value + strlen(value) + 1 - packed->data);
    lua_getfield(L, -1, name);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_pushstring(L, value);
    } else {
      lua_pushstring(L, strcmp(name, "set-cookie") == 0 ? "\n" : ", ");
      lua_pushstring(L, value);
      lua_concat(L, 3);
    }
    lua_setfield(L, -2, name);
  }
}

static int push_broken(lua_State *L, const struct ln_run_http *h) {
  lua_pushnil(L);
  lua_pushstring(L, h->failed ? h->failed : "out of memory");
  return 2;
}

/* http_head(response) -> status, headers, URL; or nil and why it broke off */
static int l_http_head(lua_State *L) {
  struct ln_run_http *h = check_response(L);
  if (!h->status || (h->broken && !h->stream)) return push_broken(L, h);
  h->head_seen = true;
  lua_pushinteger(L, h->status);
  push_headers(L, &h->headers);
  lua_pushlstring(L, h->url.data, h->url.len);
  return 3;
}

/* http_take(response) -> what there is of the body; false: nothing yet; nil: it is over; nil and
 * why: it broke off */
static int l_http_take(lua_State *L) {
  struct ln_run_http *h = check_response(L);
  if (h->body.len) {
    lua_pushlstring(L, h->body.data, h->body.len);
    ln_run_http_taken(h);
    return 1;
  }
  if (h->fetch) {
    lua_pushboolean(L, false);
    return 1;
  }
  if (h->broken) return push_broken(L, h);
  lua_pushnil(L);
  return 1;
}

/* http_close(response): once is enough */
static int l_http_close(lua_State *L) {
  struct ln_run_http **holder = luaL_checkudata(L, 1, RESPONSE);
  if (*holder && (*holder)->run != ln_bind_vm(L)->current.run)
    return ln_bind_error(L, "the response is another handler's");
  return l_http_gc(L);
}

const luaL_Reg ln_bind_http[] = {{"http_start", l_http_start}, {"http_wait", l_http_wait},
                                 {"http_head", l_http_head},   {"http_take", l_http_take},
                                 {"http_close", l_http_close}, {NULL, NULL}};
