/* Copying what a policy declared out of the Lua module "lunette.base.state". Lua code has checked
 * every value when it was declared, with the caller's file and line; here wrong types must only not
 * crash.
 *
 * The copies are in blocks that the policy frees. Lua may throw at any step, so each block is
 * linked in before it is filled. */
#include "script/decls_read.h"

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <stdlib.h>

struct block {
  struct ln_list link;
  char bytes[];
};

LN_NORETURN static void no_memory(lua_State *L) {
  luaL_error(L, "not enough memory");
  __builtin_unreachable();
}

LN_THROWS static void *block_new(lua_State *L, struct ln_policy *p, size_t n) {
  struct block *b = calloc(1, sizeof *b + n);
  if (!b) no_memory(L);
  ln_list_push(&p->blocks, &b->link);
  return b->bytes;
}

void ln_decls_free(struct ln_policy *p) {
  LN_LIST_EACH(it, &p->blocks) {
    ln_list_remove(it);
    free(LN_CONTAINER(it, struct block, link));
  }
}

/* The string field of the table on top, copied; absent when it has none. */
static struct ln_str field_str(lua_State *L, struct ln_policy *p, const char *name) {
  struct ln_str out = LN_STR_NONE;
  lua_getfield(L, -1, name);
  if (lua_type(L, -1) == LUA_TSTRING) {
    struct ln_str s;
    s.p = lua_tolstring(L, -1, &s.n);
    char *copy = block_new(L, p, s.n + 1);
    memcpy(copy, s.p, s.n + 1);
    out = (struct ln_str){copy, s.n};
  }
  lua_pop(L, 1);
  return out;
}

static const char *field_text(lua_State *L, struct ln_policy *p, const char *name) {
  return field_str(L, p, name).p;
}

static double field_number(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  double d = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return d;
}

static bool field_true(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  bool yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return yes;
}

static uint64_t field_ms(lua_State *L, const char *name) {
  return (uint64_t)(field_number(L, name) * 1000 + 0.5);
}

/* A NULL-terminated list of strings; NULL when the field is absent. */
static const char *const *field_list(lua_State *L, struct ln_policy *p, const char *name) {
  const char **list = NULL;
  lua_getfield(L, -1, name);
  if (lua_istable(L, -1)) {
    size_t n = lua_objlen(L, -1);
    list = block_new(L, p, (n + 1) * sizeof *list);
    for (size_t i = 0; i < n; i++) {
      lua_rawgeti(L, -1, (int)i + 1);
      struct ln_str s;
      s.p = luaL_checklstring(L, -1, &s.n);
      char *copy = block_new(L, p, s.n + 1);
      memcpy(copy, s.p, s.n + 1);
      list[i] = copy;
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return list;
}

/* The index of the field's text among names; the first when it is none of them. */
static int field_enum(lua_State *L, const char *field, const char *const *names, int n) {
  lua_getfield(L, -1, field);
  const char *text = lua_tostring(L, -1);
  int found = 0;
  for (int i = 0; text && i < n; i++)
    if (strcmp(text, names[i]) == 0) found = i;
  lua_pop(L, 1);
  return found;
}

static void read_server(lua_State *L, struct ln_policy *p, void *at) {
  static const char *const modes[] = {"client", "shared", "request"};
  static const char *const ways[] = {"stdio", "http", "sse"};
  static const char *const prefixes[] = {"default", "never", "given"};
  struct ln_server_conf *u = at;
  u->name = field_text(L, p, "name");
  u->where = field_text(L, p, "where");
  u->transport = (enum ln_server_transport)field_enum(L, "transport", ways, 3);
  u->command = field_text(L, p, "command");
  u->args = field_list(L, p, "args");
  u->env = field_list(L, p, "env");
  u->inherit = field_text(L, p, "inherit");
  u->cwd = field_text(L, p, "cwd");
  u->url = field_text(L, p, "url");
  u->headers = field_list(L, p, "headers");
  u->session = (enum ln_sharing)field_enum(L, "session", modes, 3);
  u->prefix_mode = (enum ln_prefix_mode)field_enum(L, "prefix_mode", prefixes, 3);
  u->prefix = field_text(L, p, "prefix");
  u->timeout_ms = field_ms(L, "timeout");
  u->max_children = (unsigned)field_number(L, "max_children");
  u->optional = field_true(L, "optional");
  u->unlisted = field_true(L, "unlisted");
  u->lists_own = field_true(L, "lists_own");
  u->eager = field_true(L, "eager");
  u->idle_ms = field_ms(L, "idle_timeout");
}

static void read_hook(lua_State *L, struct ln_policy *p, void *at) {
  struct ln_hook *h = at;
  h->where = field_text(L, p, "where");
  h->method = field_text(L, p, "method");
  h->name = field_text(L, p, "name");
  h->server = field_text(L, p, "upstream");
  h->offer = field_text(L, p, "offer");
  h->last = field_true(L, "last");
  h->position = (unsigned)field_number(L, "position");
}

static void read_component(lua_State *L, struct ln_policy *p, void *at) {
  struct ln_component *c = at;
  c->kind = (enum ln_kind)field_number(L, "kind");
  c->where = field_text(L, p, "where");
  c->key = field_str(L, p, "key");
  c->json = field_str(L, p, "json");
}

static void read_timer(lua_State *L, struct ln_policy *p, size_t index) {
  struct ln_policy_timer *t = calloc(1, sizeof *t);
  if (!t) no_memory(L);
  ln_timer_init(&t->timer);
  t->policy = p;
  t->index = index;
  t->every_ms = LN_MAX(field_ms(L, "seconds"), 1);
  ln_list_push(&p->timers, &t->link);
}

/* The elements of state[name], each read into one of an array of size-byte structs. */
static const void *read_all(lua_State *L, struct ln_policy *p, const char *name, size_t size,
                            void (*read)(lua_State *, struct ln_policy *, void *), size_t *n) {
  lua_getfield(L, -1, name);
  size_t count = lua_objlen(L, -1);
  char *all = block_new(L, p, count * size);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    read(L, p, all + i * size);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  *n = count;
  return all;
}

static void read_settings(lua_State *L, struct ln_policy *p) {
  struct ln_settings *s = &p->decls.settings;
  lua_getfield(L, -1, "settings");
  s->start_timeout_ms = field_ms(L, "start_timeout");
  s->late_timeout_ms = field_ms(L, "late_timeout");
  s->request_timeout_ms = field_ms(L, "request_timeout");
  s->max_request_timeout_ms = field_ms(L, "max_request_timeout");
  s->hook_timeout_ms = field_ms(L, "hook_timeout");
  s->watchdog_ms = field_ms(L, "watchdog");
  s->memory_limit = (size_t)field_number(L, "memory_limit");
  s->drain_timeout_ms = field_ms(L, "drain_timeout");
  s->list_max_age_ms = field_ms(L, "list_max_age");
  s->session_timeout_ms = field_ms(L, "session_timeout");
  s->max_message_bytes = (size_t)field_number(L, "max_message_bytes");
  s->max_uri_bytes = (size_t)field_number(L, "max_uri_bytes");
  s->max_buffered_bytes = (size_t)field_number(L, "max_buffered_bytes");
  s->max_initialize_bytes = (size_t)field_number(L, "max_initialize_bytes");
  s->max_depth = (unsigned)field_number(L, "max_depth");
  s->max_sessions = (unsigned)field_number(L, "max_sessions");
  s->max_sessions_per_peer = (unsigned)field_number(L, "max_sessions_per_peer");
  s->unused_session_ms = field_ms(L, "unused_session_timeout");
  s->max_in_flight = (unsigned)field_number(L, "max_in_flight");
  s->max_children = (unsigned)field_number(L, "max_children");
  s->max_connections = (unsigned)field_number(L, "max_connections");
  s->max_templates = (unsigned)field_number(L, "max_templates");
  s->page_size = (unsigned)field_number(L, "page_size");
  s->show_stderr = field_true(L, "show_stderr");
  s->session_key_file = field_text(L, p, "session_key_file");
  s->hosts = field_list(L, p, "hosts");
  s->origins = field_list(L, p, "origins");
  s->trusted_proxies = field_list(L, p, "trusted_proxies");
  lua_pop(L, 1);
}

static void read_kinds(lua_State *L, struct ln_policy *p) {
  lua_getfield(L, -1, "kinds");
  for (int k = 0; k < LN_KINDS; k++) {
    lua_getfield(L, -1, ln_policy_kind_name((enum ln_kind)k));
    p->has_rules[k] = field_true(L, "has_rules");
    p->per_client[k] = field_true(L, "per_client");
    p->strict[k] = field_true(L, "strict");
    p->on_calls[k] = field_true(L, "on_calls");
    p->watched[k] = field_true(L, "watched");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void read_timers(lua_State *L, struct ln_policy *p) {
  lua_getfield(L, -1, "timers");
  size_t n = lua_objlen(L, -1);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    read_timer(L, p, i);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* A limit below what the policy has allocated already would fail every message.
 */
static void limit_memory(lua_State *L, struct ln_policy *p) {
  struct ln_heap *h = &p->vm->guard.heap;
  size_t limit = p->decls.settings.memory_limit;
  if (limit && h->used > limit / 2) lua_gc(L, LUA_GCCOLLECT, 0);
  if (limit && h->used > limit)
    luaL_error(L, "the policy takes %f MB when loaded, more than its memory_limit of %f MB",
               (double)h->used / 1e6, (double)limit / 1e6);
  ln_heap_set_limit(h, limit);
}

LN_THROWS void ln_decls_read(struct lua_State *L, struct ln_policy *p) {
  struct ln_policy_decls *d = &p->decls;
  ln_require(L, "lunette.loading.finish");
  lua_getfield(L, -1, "finish");
  lua_call(L, 0, 0);
  ln_require(L, "lunette.base.state");
  d->servers = read_all(L, p, "upstreams", sizeof *d->servers, read_server, &d->n_servers);
  d->hooks = read_all(L, p, "hooks", sizeof *d->hooks, read_hook, &d->n_hooks);
  d->components =
      read_all(L, p, "components", sizeof *d->components, read_component, &d->n_components);
  d->n_rules = (size_t)field_number(L, "n_rules");
  d->n_warnings = (size_t)field_number(L, "warnings");
  read_settings(L, p);
  p->vm->codec.text.max = p->vm->codec.max_bytes =
      LN_MAX(p->vm->codec.max_bytes, d->settings.max_message_bytes);
  p->vm->guard.patience = d->settings.watchdog_ms * 1000000u;
  limit_memory(L, p);
  read_kinds(L, p);
  read_timers(L, p);
  lua_getfield(L, -1, "settings");
  p->vm->guard.off = field_true(L, "jit");
  if (p->vm->guard.off) luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
  d->sources = &p->vm->require.sources;
}
