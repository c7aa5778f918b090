/* Loading a policy and its life; see policy.h. What it declared is read in
 * decls_read.c, lists are made in present.c, handlers run in run.c. */
#include "script/policy.h"

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <stdlib.h>
#include <string.h>

#include "script/decls_read.h"
#include "script/every.h"
#include "script/run_impl.h"

/* The limit on a policy file's running time while it loads. */
#define LOAD_LIMIT_NS 10000000000ull

/* Limits until the policy has set its own (the defaults of lunette/config/settings.lua). */
#define LOAD_PATIENCE_NS 10000000000ull
enum { LOAD_MEMORY = 256 << 20 };

/* The limit on a value as JSON, until max_message_bytes is known. */
enum { CODEC_MAX_BYTES = 16 << 20 };

static const char *const entry_names[LN_ENTRIES] = {"main",       "failed", "present",
                                                    "may_hide",   "hides",  "hides_all",
                                                    "may_rename", "loaded", "unmatched"};
/* --- loading --- */

struct load {
  struct ln_policy *policy;
  const struct ln_target *target;
};

/* Loads Lunette's own Lua modules, so that their errors are not taken for the policy's. */
static void job_prepare(lua_State *L, void *arg) {
  struct ln_policy *p = arg;
  ln_require(L, "lunette");
  ln_require(L, "lunette.running.main");
  for (size_t i = 0; i < LN_ENTRIES; i++) {
    lua_getfield(L, -1, entry_names[i]);
    luaL_checktype(L, -1, LUA_TFUNCTION);
    p->entries[i] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  p->vm->require.loaded = p->entries[LN_ENTRY_LOADED];
}

static void job_target(lua_State *L, void *arg) {
  const struct load *l = arg;
  const struct ln_target *t = l->target;
  if (t->kind == LN_TARGET_LUA) {
    ln_require_add_dir_of(L, t->text);
    if (!ln_require_file(L, t->text)) lua_error(L);
    lua_call(L, 0, 0);
    return;
  }
  if (t->kind == LN_TARGET_TEXT) {
    ln_require_add_dir_of(L, t->args[1]);
    lua_pushfstring(L, "=%s", t->args[0]);
    if (luaL_loadbufferx(L, t->text, strlen(t->text), lua_tostring(L, -1), "t")) lua_error(L);
    lua_call(L, 0, 0);
    return;
  }
  static const char *const makers[] = {
      [LN_TARGET_JSON] = "json", [LN_TARGET_URL] = "url", [LN_TARGET_COMMAND] = "command"};
  ln_require(L, "lunette.config.targets");
  lua_getfield(L, -1, makers[t->kind]);
  lua_pushstring(L, t->text);
  lua_newtable(L);
  for (int i = 0; t->kind == LN_TARGET_COMMAND && t->args && t->args[i]; i++) {
    lua_pushstring(L, t->args[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_call(L, 2, 0);
}

static void job_close(lua_State *L, void *arg) {
  ln_decls_read(L, arg);
}

static int load_all(struct ln_policy *p, const struct ln_target *targets, size_t n, char **why) {
  int rc = ln_vm_call(p->vm, job_prepare, p, why);
  for (size_t i = 0; i < n && rc == LN_OK; i++) {
    struct load l = {p, &targets[i]};
    uint64_t limit = p->host.load_ms ? p->host.load_ms * 1000000 : LOAD_LIMIT_NS;
    struct ln_guard_mark mark = ln_guard_enter(&p->vm->guard, limit, limit);
    p->vm->guard.loading = true;
    rc = ln_vm_call(p->vm, job_target, &l, why);
    p->vm->guard.loading = false;
    ln_guard_leave(&p->vm->guard, p->vm->L, mark);
  }
  return rc ? rc : ln_vm_call(p->vm, job_close, p, why);
}

static void policy_free(struct ln_policy *p) {
  LN_ASSERT(p->n_runs == 0);
  ln_list_remove(&p->link);
  ln_every_stop(p);
  ln_vm_free(p->vm);
  ln_run_free_idle(p); /* after the Lua state, whose finalizers may refer to runs */
  ln_decls_free(p);
  ln_shared_unref(p->shared);
  free(p);
}

struct ln_policy *ln_policy_load(const struct ln_policy_host *host, const struct ln_target *targets,
                                 size_t n, char **why, struct ln_sources *read) {
  *why = NULL;
  struct ln_policy *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->refs = 1;
  p->free = policy_free;
  p->host = *host;
  ln_list_init(&p->link);
  ln_list_init(&p->blocks);
  ln_list_init(&p->runs);
  ln_list_init(&p->idle);
  ln_list_init(&p->timers);
  p->shared = host->shared ? ln_shared_ref(host->shared) : ln_shared_new();
  if (p->shared) p->vm = ln_vm_new(host->log, p, CODEC_MAX_BYTES, host->open);
  if (p->vm) {
    p->vm->guard.watchdog = host->watchdog;
    p->vm->guard.patience = LOAD_PATIENCE_NS;
    ln_heap_set_limit(&p->vm->guard.heap, LOAD_MEMORY);
  }
  int rc = p->vm ? load_all(p, targets, n, why) : LN_ENOMEM;
  if (read && p->vm) ln_sources_add(read, &p->vm->require.sources);
  if (read && p->vm && rc) ln_sources_add(read, &p->vm->require.missed);
  if (rc) {
    ln_policy_unref(p);
    return NULL;
  }
  p->loaded = true;
  if (host->policies) ln_list_push(host->policies, &p->link);
  ln_every_start(p);
  return p;
}

/* --- life --- */

void ln_policy_retire(struct ln_policy *p) {
  p->retired = true;
  ln_every_stop(p);
}

void ln_policy_end(struct ln_policy *p) {
  ln_policy_ref(p);
  ln_policy_retire(p);
  LN_LIST_EACH(it, &p->runs) {
    struct ln_run *run = LN_CONTAINER(it, struct ln_run, link);
    if (run->cancelled) continue;
    ln_run_cancel(run);
    LN_LIST_RESTART(it, &p->runs); /* what it held may have ended other runs */
  }
  ln_policy_unref(p);
}

struct ln_policy *ln_policy_of_link(struct ln_list *link) {
  return LN_CONTAINER(link, struct ln_policy, link);
}

size_t ln_policy_runs(const struct ln_policy *p) {
  return p->n_runs;
}

/* luaL_ref numbers its slots from 1, and has numbers in those that are free. */
size_t ln_policy_references(const struct ln_policy *p) {
  lua_State *L = p->vm->L;
  size_t n = 0;
  for (int i = 1;; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, i);
    if (lua_isnil(L, -1)) break;
    n += lua_type(L, -1) != LUA_TNUMBER;
  }
  lua_pop(L, 1);
  return n;
}

const char *ln_policy_offers(const struct ln_policy *p, struct ln_str method) {
  size_t family = 0;
  const char *offer = NULL;
  while (family < method.n && method.p[family++] != '/') {
  }
  for (size_t i = 0; i < p->decls.n_hooks; i++) {
    const struct ln_hook *hook = &p->decls.hooks[i];
    if (strncmp(hook->method, method.p, family) != 0 || !ln_glob_match(hook->method, method))
      continue;
    if (hook->offer) return hook->offer;
    offer = "{}";
  }
  return offer;
}

bool ln_policy_followed(const struct ln_policy *p, const struct ln_exchange *x) {
  LN_LIST_EACH(it, &p->runs) {
    const struct ln_run *run = LN_CONTAINER(it, struct ln_run, link);
    if (run->x == x && !ln_list_empty(&run->followers)) return true;
  }
  return false;
}

void ln_policy_cancel(struct ln_policy *p, struct ln_exchange *x) {
  ln_policy_ref(p);
  LN_LIST_EACH(it, &p->runs) {
    struct ln_run *run = LN_CONTAINER(it, struct ln_run, link);
    if (run->x != x || run->cancelled) continue;
    ln_run_cancel(run);
    LN_LIST_RESTART(it, &p->runs); /* what it held may have ended other runs */
  }
  ln_policy_unref(p);
}

static void job_session_end(lua_State *L, void *arg) {
  const uint64_t *key = arg;
  ln_require(L, "lunette.running.ctx");
  lua_getfield(L, -1, "session_end");
  lua_pushnumber(L, (double)*key);
  lua_call(L, 1, 0);
}

void ln_policy_session_end(struct ln_policy *p, uint64_t session_key) {
  char *why;
  if (ln_vm_call(p->vm, job_session_end, &session_key, &why))
    LN_LOG(p->host.log, ERROR, "policy", "ending a session: %s", why ? why : "");
  free(why);
}

/* --- ctx.session.state across a reload --- */

struct state {
  bool any;
  double session;
  char *text;
  size_t n;
};

static void job_next_state(lua_State *L, void *arg) {
  struct state *s = arg;
  ln_require(L, "lunette.running.ctx");
  lua_getfield(L, -1, "next_state");
  lua_call(L, 0, 2);
  const char *text = lua_tolstring(L, -1, &s->n);
  s->any = text != NULL;
  s->session = lua_tonumber(L, -2);
  s->text = text ? malloc(s->n + 1) : NULL;
  if (s->text) memcpy(s->text, text, s->n);
}

static void job_set_state(lua_State *L, void *arg) {
  const struct state *s = arg;
  ln_require(L, "lunette.running.ctx");
  lua_getfield(L, -1, "set_state");
  lua_pushnumber(L, s->session);
  lua_pushlstring(L, s->text, s->n);
  lua_call(L, 2, 0);
}

void ln_policy_inherit_states(struct ln_policy *p, struct ln_policy *before) {
  struct state s;
  do {
    s = (struct state){0};
    char *why = NULL;
    int rc = ln_vm_call(before->vm, job_next_state, &s, &why);
    if (!rc && s.text) rc = ln_vm_call(p->vm, job_set_state, &s, &why);
    if (rc || (s.any && !s.text))
      LN_LOG(p->host.log, WARN, "policy", "ctx.session.state of a client is lost: %s",
             why ? why : "out of memory");
    free(s.text);
    free(why);
  } while (s.any);
}

/* --- handlers --- */

static struct ln_run *begin(struct ln_run *run, const struct ln_hook_call *call) {
  run->msg = ln_msg_ref(call->msg);
  run->x = call->x;
  if (run->x) run->policy->host.exchange_ref(run->x);
  run->item = call->item;
  run->forward = call->forward;
  run->call_off = call->call_off;
  run->done = call->done;
  run->arg = call->arg;
  ln_run_begin(run);
  return run;
}

struct ln_run *ln_policy_run_hook(struct ln_policy *p, const struct ln_hook_call *call) {
  struct ln_run *run = ln_run_new(p, LN_RUN_HOOK, call->hook);
  return run ? begin(run, call) : NULL;
}

struct ln_run *ln_policy_run_transform(struct ln_policy *p, struct ln_transform *t, size_t left,
                                       const struct ln_hook_call *call) {
  struct ln_run *run = ln_run_new(p, LN_RUN_TRANSFORM, left - 1);
  if (!run) return NULL;
  run->transform = ln_transform_ref(t);
  return begin(run, call);
}

struct ln_run *ln_policy_run_component(struct ln_policy *p, size_t component, struct ln_str shown,
                                       struct ln_msg *msg, struct ln_exchange *x, ln_reply_fn done,
                                       void *arg) {
  struct ln_run *run = ln_run_new(p, LN_RUN_COMPONENT, component);
  if (!run) return NULL;
  run->msg = ln_msg_ref(msg);
  run->x = x;
  if (run->x) p->host.exchange_ref(run->x);
  run->done = done;
  run->arg = arg;
  run->shown = shown;
  ln_run_begin(run);
  return run;
}
