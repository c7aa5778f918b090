/* What the command line does with a host: load policies, serve, or be its client.
 *
 * An app owns a loop, a host and what runs on them. Its functions block: they run the loop until
 * their work is done. */
#include "bind/cli.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bind/core.h"
#include "bind/shield.h"
#include "bind/silence.h"
#include "bind/targets.h"
#include "bind/test_harness.h"
#include "net/descriptors.h"
#include "proxy/entry/local.h"
#include "proxy/lists/view.h"
#include "proxy/route/for_policy.h"
#include "proxy/serve/host_life.h"
#include "proxy/serve/reload.h"
#include "proxy/serve/serve.h"
#include "proxy/server/link.h"
#include "script/vm.h"

#define APP "lunette.app"

struct app {
  struct ln_log log;
  struct ln_loop *loop;
  struct ln_host host;
  bool started; /* the host has a policy */
  bool closed;
  struct ln_local *local;
  struct ln_test_harness *harness; /* NULL: servers are real */
  struct ln_targets targets;       /* a reload loads them anew */
  lua_State *serving;              /* the command line's state, while it serves, and in it */
  int in_a_line;                   /* traceback.line, by its place in the registry */
};

static struct app *check_app(lua_State *L) {
  struct app *a = luaL_checkudata(L, 1, APP);
  if (a->closed) luaL_error(L, "the app is closed");
  return a;
}

static void push_str(lua_State *L, struct ln_str s) {
  if (s.p)
    lua_pushlstring(L, s.p, s.n);
  else
    lua_pushnil(L);
}

static void push_bytes(lua_State *L, const struct ln_bytes *b) {
  if (b)
    lua_pushlstring(L, b->data, b->len);
  else
    lua_pushnil(L);
}

static int fail(lua_State *L, const char *why) {
  lua_pushnil(L);
  lua_pushstring(L, why);
  return 2;
}

/* --- making one --- */

static int l_cli_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "log_level");
  int level = ln_log_level_parse(luaL_optstring(L, -1, "info"));
  if (level < 0) return luaL_error(L, "unknown log level");
  lua_getfield(L, 1, "log_format");
  const char *format = luaL_optstring(L, -1, "text");
  struct app *a = lua_newuserdata(L, sizeof *a);
  *a = (struct app){.closed = true};
  luaL_getmetatable(L, APP);
  lua_setmetatable(L, -2);
  ln_log_init(&a->log, STDERR_FILENO);
  a->log.level = (enum ln_log_level)level;
  a->log.json = strcmp(format, "json") == 0;
  a->log.colour = a->log.colour && !a->log.json;
  a->loop = ln_loop_new(&a->log);
  if (!a->loop) return luaL_error(L, "out of memory");
  ln_descriptors_raise(a->loop);
  ln_host_init(&a->host, a->loop, &a->log);
  a->closed = false;
  return 1;
}

/* The targets' policy; NULL, with nil and why pushed. */
static struct ln_policy *load_policy(lua_State *L, struct app *a) {
  struct ln_policy_host for_policy = ln_for_policy(&a->host);
  for_policy.open = ln_core_open;
  char *why = NULL;
  struct ln_shield shield = ln_shield_up();
  struct ln_policy *p = ln_policy_load(&for_policy, a->targets.list, a->targets.n, &why, NULL);
  ln_shield_down(&shield);
  if (p) return p;
  lua_pushnil(L);
  lua_pushstring(L, why ? why : "out of memory");
  free(why);
  return NULL;
}

static int l_app_load(lua_State *L) {
  struct app *a = check_app(L);
  if (a->started) return luaL_error(L, "loaded already");
  ln_targets_take(L, 2, &a->targets);
  struct ln_policy *p = load_policy(L, a);
  if (!p) return 2;
  a->started = true;
  const char *trouble = NULL;
  if (ln_host_life_start(&a->host, p, &trouble)) return fail(L, trouble);
  lua_pushboolean(L, 1);
  return 1;
}

/* reload(targets) -> true; nil and why the old policy stays in force */
static int l_app_reload(lua_State *L) {
  struct app *a = check_app(L);
  if (!a->started) return luaL_error(L, "nothing is loaded");
  ln_targets_take(L, 2, &a->targets);
  struct ln_policy *p = load_policy(L, a);
  if (!p) return 2;
  char why[512] = "";
  if (ln_reload(&a->host, p, why, sizeof why)) return fail(L, why);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- what was loaded --- */

static void push_server(lua_State *L, const struct ln_server_conf *c) {
  static const char *const transports[] = {"stdio", "http", "sse"};
  lua_createtable(L, 0, 5);
  lua_pushstring(L, c->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, c->where);
  lua_setfield(L, -2, "where");
  lua_pushstring(L, transports[c->transport]);
  lua_setfield(L, -2, "transport");
  lua_pushboolean(L, c->optional);
  lua_setfield(L, -2, "optional");
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, c->transport == LN_VIA_STDIO ? c->command : c->url);
  for (size_t i = 0; c->args && c->args[i]; i++) {
    luaL_addchar(&b, ' ');
    luaL_addstring(&b, c->args[i]);
  }
  luaL_pushresult(&b);
  lua_setfield(L, -2, "target");
}

static int l_app_declarations(lua_State *L) {
  struct app *a = check_app(L);
  if (!a->started) return luaL_error(L, "nothing is loaded");
  const struct ln_policy_decls *d = a->host.gen->decls;
  lua_newtable(L);
  lua_createtable(L, (int)d->n_servers, 0);
  for (size_t i = 0; i < d->n_servers; i++) {
    push_server(L, &d->servers[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "upstreams");
  lua_pushinteger(L, (lua_Integer)d->n_hooks);
  lua_setfield(L, -2, "hooks");
  lua_pushinteger(L, (lua_Integer)d->n_rules);
  lua_setfield(L, -2, "rules");
  lua_pushinteger(L, (lua_Integer)d->n_warnings);
  lua_setfield(L, -2, "warnings");
  static const char *const names[] = {"tools", "resources", "templates", "prompts"};
  lua_newtable(L);
  for (int k = 0; k < LN_KINDS; k++) {
    int n = 0;
    for (size_t i = 0; i < d->n_components; i++) n += (int)d->components[i].kind == k;
    lua_pushinteger(L, n);
    lua_setfield(L, -2, names[k]);
  }
  lua_setfield(L, -2, "components");
  return 1;
}

static int l_app_servers(lua_State *L) {
  static const char *const words[] = {"unknown", "up", "down", "stopped"};
  struct app *a = check_app(L);
  lua_newtable(L);
  for (size_t i = 0; i < a->host.gen->n_servers; i++) {
    const struct ln_server *server = a->host.gen->servers[i];
    lua_createtable(L, 0, 4);
    lua_pushstring(L, server->conf->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, words[server->health]);
    lua_setfield(L, -2, "state");
    lua_pushboolean(L, server->conf->optional);
    lua_setfield(L, -2, "optional");
    lua_pushboolean(L, server->unlisted != 0);
    lua_setfield(L, -2, "unlisted");
    if (server->health >= LN_SERVER_DOWN) {
      lua_pushstring(L, server->last_error);
      lua_setfield(L, -2, "error");
    }
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

/* --- serving --- */

/* Clients are not served while a policy loads, so a reload has less time than the first load. */
enum { RELOAD_MS = 1000 };

struct line {
  struct app *a;
  char **why;
};

static int l_app_in_a_line(lua_State *L) {
  struct line *line = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, line->a->in_a_line);
  lua_pushnil(L);
  lua_pushstring(L, *line->why);
  lua_call(L, 2, 1);
  char *text = strdup(luaL_checkstring(L, -1));
  if (!text) return 0;
  free(*line->why);
  *line->why = text;
  return 0;
}

static struct ln_policy *load_again(void *arg, char **why, struct ln_sources *read) {
  struct app *a = arg;
  struct ln_policy_host for_policy = ln_for_policy(&a->host);
  for_policy.open = ln_core_open;
  for_policy.load_ms = RELOAD_MS;
  struct ln_policy *p = ln_policy_load(&for_policy, a->targets.list, a->targets.n, why, read);
  struct line line = {a, why};
  /* The reason with its traceback becomes a line for the log; if it can't, it stays as it is. */
  if (!p && *why && lua_cpcall(a->serving, l_app_in_a_line, &line)) lua_pop(a->serving, 1);
  return p;
}

static int l_app_serve(lua_State *L) {
  struct app *a = check_app(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!a->started) return luaL_error(L, "nothing is loaded");
  struct ln_serve_conf conf = {.load = load_again, .load_arg = a};
  lua_getfield(L, 2, "watch");
  conf.watch = lua_toboolean(L, -1);
  lua_getfield(L, 2, "stdio");
  conf.stdio = lua_toboolean(L, -1);
  lua_getfield(L, 2, "host");
  conf.host = lua_tostring(L, -1);
  lua_getfield(L, 2, "port");
  conf.port = (uint16_t)luaL_optinteger(L, -1, 0);
  const char *why = "";
  /* Served over stdio, the streams are shielded by themselves (ln_stream_shield_stdio). */
  struct ln_shield shield = conf.stdio ? (struct ln_shield){-1, -1} : ln_shield_up();
  lua_getfield(L, 2, "in_a_line");
  luaL_checktype(L, -1, LUA_TFUNCTION);
  a->serving = L;
  a->in_a_line = luaL_ref(L, LUA_REGISTRYINDEX);
  int code = ln_serve(&a->host, &conf, &why);
  ln_shield_down(&shield);
  luaL_unref(L, LUA_REGISTRYINDEX, a->in_a_line);
  if (code) LN_LOG(&a->log, ERROR, "serve", "%s", why);
  lua_pushinteger(L, code);
  return 1;
}

/* --- being a client --- */

static const char init_params[] =
    "{\"protocolVersion\":\"" LN_VERSION_LATEST
    "\",\"capabilities\":{},\"clientInfo\":{\"name\":\"lunette\",\"version\":\"" LN_VERSION "\"}}";

/* result | nil, error */
static int push_reply(lua_State *L, struct ln_msg *reply) {
  if (!reply) return fail(L, "{\"code\":-32603,\"message\":\"Out of memory\"}");
  int n = 1;
  if (reply->kind == LN_MSG_ERROR) {
    lua_pushnil(L);
    push_str(L, reply->error);
    n = 2;
  } else {
    push_str(L, reply->result);
  }
  ln_msg_unref(reply);
  return n;
}

/* A request of ours; the caller lets go of the reply. */
static struct ln_msg *request(struct app *a, const char *method, struct ln_str params) {
  struct ln_shield shield = ln_shield_up();
  struct ln_silence silence;
  ln_silence_begin(&silence, &a->host);
  struct ln_msg *reply = ln_local_request(a->local, method, params);
  ln_silence_end(&silence);
  ln_shield_down(&shield);
  return reply;
}

static int l_app_connect(lua_State *L) {
  struct app *a = check_app(L);
  if (!a->started || a->local) return luaL_error(L, "nothing is loaded, or connected already");
  /* This client makes one request and ignores list_changed, so that it must wait for servers that
   * start late: only their own deadlines count. */
  a->host.settings.start_timeout_ms = a->host.settings.late_timeout_ms = 3600 * 1000;
  a->host.asked_once = true;
  a->local = ln_local_new(&a->host);
  if (!a->local) return fail(L, "out of memory");
  struct ln_msg *reply =
      request(a, "initialize", (struct ln_str){init_params, sizeof init_params - 1});
  struct ln_json_item it;
  if (reply && reply->kind == LN_MSG_ERROR && ln_json_get(reply->error, "message", &it) &&
      it.type == LN_JSON_STRING) {
    struct ln_buf text;
    ln_buf_init(&text, 64 * 1024);
    int rc = ln_json_unescape(ln_json_inside(it.value), true, &text);
    lua_pushnil(L);
    push_str(L, rc ? LN_STR_LIT("initialize failed") : ln_buf_str(&text));
    ln_buf_deinit(&text);
    ln_msg_unref(reply);
    return 2;
  }
  return push_reply(L, reply);
}

static int l_app_request(lua_State *L) {
  struct app *a = check_app(L);
  const char *method = luaL_checkstring(L, 2);
  size_t n = 0;
  const char *params = luaL_optlstring(L, 3, NULL, &n);
  if (!a->local) return luaL_error(L, "not connected");
  return push_reply(L, request(a, method, (struct ln_str){params, n}));
}

static void set_bytes(lua_State *L, const char *name, const struct ln_bytes *b) {
  push_bytes(L, b);
  lua_setfield(L, -2, name);
}

/* Sets a field of the table on top: the name of the entry's server; of the policy's own component
 * where it was added. */
static void push_owner(lua_State *L, const struct ln_view *v, const struct ln_entry *e,
                       const char *field) {
  lua_pushstring(L,
                 e->server ? e->server->conf->name : v->gen->decls->components[e->component].where);
  lua_setfield(L, -2, field);
}

static void push_entry(lua_State *L, const struct ln_view *v, const struct ln_entry *e) {
  const struct ln_component *own = e->server ? NULL : &v->gen->decls->components[e->component];
  lua_createtable(L, 0, 8);
  if (e->server) {
    lua_pushstring(L, e->server->conf->name);
    lua_setfield(L, -2, "upstream");
    set_bytes(L, "native", e->item->key);
  } else {
    push_str(L, own->key);
    lua_setfield(L, -2, "native");
  }
  set_bytes(L, "before", e->before_rules);
  set_bytes(L, "key", e->key);
  set_bytes(L, "why", e->why);
  lua_pushboolean(L, e->hidden);
  lua_setfield(L, -2, "hidden");
  lua_pushboolean(L, e->shadowed_by != NULL);
  lua_setfield(L, -2, "shadowed");
  if (e->shadowed_by) push_owner(L, v, e->shadowed_by, "first");
  push_owner(L, v, e, "owner");
  lua_pushstring(L, e->withheld); /* nil where it is none */
  lua_setfield(L, -2, "withheld");
  lua_pushboolean(L, e->uri_prefix > 0);
  lua_setfield(L, -2, "apart");
  if (e->json)
    push_bytes(L, e->json);
  else
    push_str(L, e->server ? e->item->json : own->json);
  lua_setfield(L, -2, "json");
  push_str(L, e->server ? e->item->json : own->json);
  lua_setfield(L, -2, "raw");
}

static int l_app_explain(lua_State *L) {
  struct app *a = check_app(L);
  lua_Integer kind = luaL_checkinteger(L, 2);
  if (!a->local || kind < 0 || kind >= LN_KINDS) return luaL_error(L, "not connected");
  const char *why;
  struct ln_shield shield = ln_shield_up();
  struct ln_silence silence;
  ln_silence_begin(&silence, &a->host);
  struct ln_view *v = ln_local_explain(a->local, (enum ln_kind)kind, &why);
  ln_silence_end(&silence);
  ln_shield_down(&shield);
  if (!v) return fail(L, why);
  lua_createtable(L, (int)v->n_entries, 0);
  for (size_t i = 0; i < v->n_entries; i++) {
    push_entry(L, v, &v->entries[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  ln_view_unref(v);
  return 1;
}

/* unmatched() -> "FILE:LINE\ttext" lines */
static int l_app_unmatched(lua_State *L) {
  struct app *a = check_app(L);
  if (!a->started) return luaL_error(L, "nothing is loaded");
  struct ln_bytes *text = ln_present_unmatched(a->host.gen->policy);
  push_bytes(L, text);
  ln_bytes_unref(text);
  return 1;
}

/* --- testing a policy: see test_harness.h --- */

static int l_app_harness(lua_State *L) {
  struct app *a = check_app(L);
  if (!a->started) return luaL_error(L, "nothing is loaded");
  if (!a->harness && !(a->harness = ln_test_harness_new(&a->host)))
    return luaL_error(L, "not enough memory");
  return ln_test_harness_act(a->harness, L, 2);
}

/* --- the end --- */

static void stop(void *arg) {
  struct app *a = arg;
  ln_loop_stop(a->loop);
}

static void app_close(struct app *a) {
  if (a->closed) return;
  a->closed = true;
  struct ln_shield shield = ln_shield_up(); /* finalizers are the policy's code, too */
  if (a->local) ln_local_free(a->local);
  if (a->harness) ln_test_harness_leave(a->harness);
  if (!a->host.closing) {
    ln_host_life_close(&a->host, stop, a);
    ln_loop_run(a->loop);
  }
  ln_host_deinit(&a->host);
  ln_targets_free(&a->targets);
  ln_loop_run(a->loop); /* until nothing is left in it */
  ln_test_harness_free(a->harness);
  ln_shield_down(&shield);
  if (ln_loop_free(a->loop))
    LN_LOG(&a->log, ERROR, "close", "%zu handle(s) were left open", ln_loop_handles(a->loop));
  ln_log_finish(&a->log);
}

static int l_app_close(lua_State *L) {
  app_close(luaL_checkudata(L, 1, APP));
  return 0;
}

static int l_cli_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

static const luaL_Reg methods[] = {
    {"load", l_app_load},
    {"reload", l_app_reload},
    {"declarations", l_app_declarations},
    {"servers", l_app_servers},
    {"serve", l_app_serve},
    {"connect", l_app_connect},
    {"request", l_app_request},
    {"explain", l_app_explain},
    {"harness", l_app_harness},
    {"unmatched", l_app_unmatched},
    {"close", l_app_close},
    {"__gc", l_app_close},
    {NULL, NULL},
};
static const luaL_Reg functions[] = {{"new", l_cli_new}, {"isatty", l_cli_isatty}, {NULL, NULL}};

LN_THROWS int ln_cli_open(struct lua_State *L) {
  luaL_newmetatable(L, APP);
  luaL_register(L, NULL, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_newtable(L);
  luaL_register(L, NULL, functions);
  lua_pushliteral(L, LN_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
