/* See run_impl.h. */
#include "script/run_impl.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>

#include "script/transform.h"

enum { IDLE_COROUTINES = 64, SPARE_BYTES = 4 << 20 };

static void pump(struct ln_run *run);

bool ln_run_is_request(const struct ln_run *run) {
  return run->msg && run->msg->kind == LN_MSG_REQUEST;
}

/* Where its handler, component or transform was declared, "FILE:LINE"; NULL for others. */
static const char *place_of(const struct ln_run *run) {
  const struct ln_policy_decls *d = &run->policy->decls;
  if (run->kind == LN_RUN_HOOK) return d->hooks[run->index].where;
  if (run->kind == LN_RUN_COMPONENT) return d->components[run->index].where;
  if (run->kind == LN_RUN_TRANSFORM) return run->transform->where;
  return NULL;
}

/* --- making and ending --- */

static void job_collect(lua_State *L, void *arg) {
  (void)arg;
  lua_gc(L, LUA_GCCOLLECT, 0);
}

static void job_thread(lua_State *L, void *arg) {
  struct ln_run *run = arg;
  run->co = lua_newthread(L);
  run->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void run_init(struct ln_run *run) {
  ln_list_init(&run->link);
  ln_list_init(&run->https);
  ln_list_init(&run->follows);
  ln_list_init(&run->followers);
  ln_timer_init(&run->timer);
  ln_task_init(&run->task);
}

static struct ln_run *take_idle(struct ln_policy *p) {
  struct ln_list *link = ln_list_shift(&p->idle);
  if (link) {
    p->n_idle--;
    return LN_CONTAINER(link, struct ln_run, link);
  }
  struct ln_run *run = ln_zalloc(sizeof *run);
  if (!run) return NULL;
  run->policy = p;
  run_init(run);
  return run;
}

static void put_idle(struct ln_policy *p, struct ln_run *run) {
  /* Those with a coroutine at the front. */
  ln_list_push(run->co ? p->idle.next : &p->idle, &run->link);
  p->n_idle++;
}

struct ln_run *ln_run_new(struct ln_policy *p, enum ln_run_kind kind, size_t index) {
  struct ln_run *run = take_idle(p);
  if (!run) return NULL;
  /* Without a coroutine the run is begun all the same, and ends with an error. */
  if (!run->co && ln_vm_call(p->vm, job_thread, run, NULL) &&
      (ln_vm_call(p->vm, job_collect, NULL, NULL) || ln_vm_call(p->vm, job_thread, run, NULL)))
    run->co = NULL;
  run->kind = kind;
  run->index = index;
  ln_list_push(&p->runs, &run->link);
  p->n_runs++;
  ln_policy_ref(p);
  return run;
}

static void drop_coroutine(struct ln_run *run) {
  if (!run->co) return;
  luaL_unref(run->policy->vm->L, LUA_REGISTRYINDEX, run->co_ref);
  run->co = NULL;
}

static void on_timer(struct ln_timer *t);

/* Those that wait for its end go on, from the loop. */
static void release_followers(struct ln_run *run) {
  LN_LIST_DRAIN(it, &run->followers) {
    struct ln_run *f = LN_CONTAINER(it, struct ln_run, follows);
    f->leader = NULL;
    ln_timer_start(run->policy->host.loop, &f->timer, 1, on_timer);
  }
}

static void stop_following(struct ln_run *run) {
  struct ln_run *leader = run->leader;
  run->leader = NULL;
  ln_list_remove(&run->follows);
  if (leader && ln_list_empty(&leader->followers)) run->policy->host.deserted(leader->x);
}

void ln_run_follow(struct ln_run *run, struct ln_run *leader) {
  run->leader = leader;
  run->op = LN_OP_FOLLOW;
  ln_list_push(&leader->followers, &run->follows);
}

static void forget(struct ln_run *run) {
  struct ln_policy *p = run->policy;
  release_followers(run);
  stop_following(run);
  while (!ln_list_empty(&run->https))
    ln_run_http_free(LN_CONTAINER(run->https.next, struct ln_run_http, link));
  ln_timer_stop(&run->timer);
  ln_task_cancel(&run->task);
  if (run->wait) run->wait->run = NULL;
  if (run->wait && run->asked) p->host.cancel_ask(run->x, run->asked);
  ln_msg_unref(run->msg);
  ln_msg_unref(run->out);
  ln_msg_unref(run->reply);
  ln_msg_unref(run->base);
  ln_msg_unref(run->final);
  ln_bytes_unref(run->params);
  ln_transform_unref(run->transform);
  if (run->x) p->host.exchange_unref(run->x);
  if (!run->co || lua_status(run->co) || p->n_idle >= IDLE_COROUTINES || !run->ended)
    drop_coroutine(run);
  else
    lua_settop(run->co, 0);
}

/* Back into the pool; may free the policy. */
static void recycle(struct ln_run *run) {
  struct ln_policy *p = run->policy;
  forget(run);
  struct ln_run fresh = {
      .policy = p, .co = run->co, .co_ref = run->co_ref, .serial = run->serial + 1};
  ln_list_remove(&run->link);
  *run = fresh;
  run_init(run);
  put_idle(p, run);
  p->n_runs--;
  ln_policy_unref(p);
}

void ln_run_free_idle(struct ln_policy *p) {
  struct ln_list *link;
  while ((link = ln_list_shift(&p->idle))) {
    free(LN_CONTAINER(link, struct ln_run, link));
  }
  p->n_idle = 0;
}

void ln_run_cancel(struct ln_run *run) {
  if (run->pumping)
    run->cancelled = true; /* it is running: pump recycles it */
  else
    recycle(run);
}

void ln_run_end(struct ln_run *run, struct ln_msg *reply) {
  ln_msg_unref(run->final);
  run->final = reply;
  run->ended = true;
}

static void deliver(struct ln_run *run) {
  struct ln_policy *p = ln_policy_ref(run->policy);
  void (*done)(void *, struct ln_msg *) = run->done;
  void *arg = run->arg;
  struct ln_msg *reply = run->final;
  run->final = NULL;
  recycle(run);
  done(arg, reply);
  ln_policy_unref(p);
}

static void on_task(struct ln_task *t) {
  deliver(LN_CONTAINER(t, struct ln_run, task));
}

/* --- failing --- */

struct failure {
  struct ln_run *run;
  const char *text; /* NULL: the error is on the coroutine's stack */
};

static void job_failed(lua_State *L, void *arg) {
  const struct failure *f = arg;
  lua_State *co = f->run->co;
  lua_rawgeti(L, LUA_REGISTRYINDEX, f->run->policy->entries[LN_ENTRY_FAILED]);
  if (f->text)
    lua_pushstring(L, f->text);
  else
    lua_xmove(co, L, 1);
  if (lua_type(L, -1) == LUA_TSTRING) ln_vm_whole_name(L, f->run->policy->vm);
  luaL_traceback(L, co, NULL, 0);
  lua_call(L, 2, 0);
}

/* The coroutine raised an error, or is given up: Lua code decides how the run ends. */
static void fail(struct ln_run *run, const char *text) {
  struct ln_policy *p = run->policy;
  struct ln_vm *vm = p->vm;
  struct ln_vm_current outer = vm->current;
  struct failure f = {run, text};
  char *why;
  ln_run_end(run, NULL); /* drops an outcome that it had set before */
  run->ended = false;
  vm->current = (struct ln_vm_current){run, run->co, place_of(run)};
  struct ln_guard_mark mark = ln_guard_enter(&vm->guard, ln_policy_limit(p), ln_policy_limit(p));
  vm->guard.heap.spare = SPARE_BYTES; /* the run may be out of memory */
  int rc = ln_vm_call(vm, job_failed, &f, &why);
  vm->guard.heap.spare = 0;
  ln_guard_leave(&vm->guard, vm->L, mark);
  vm->current = outer;
  if (rc || !run->ended) {
    const char *place = place_of(run);
    LN_LOG(p->host.log, ERROR, "policy", "handler at %s: %s", place ? place : "?",
           why ? why : "failed without an error");
    ln_run_end(run,
               ln_run_is_request(run) ? ln_msg_error(-32603, "policy error", LN_STR_NONE) : NULL);
  }
  free(why);
  drop_coroutine(run); /* frees its memory for the next one */
  ln_vm_tidy(vm);
}

/* --- running --- */

/* False when the coroutine ended, one way or the other. */
static bool resume(struct ln_run *run) {
  struct ln_policy *p = run->policy;
  struct ln_vm *vm = p->vm;
  struct ln_vm_current outer = vm->current;
  uint64_t limit = ln_policy_limit(p);
  bool first = lua_status(run->co) == 0;
  if (first) lua_rawgeti(run->co, LUA_REGISTRYINDEX, p->entries[LN_ENTRY_MAIN]);
  run->op = LN_OP_NONE;
  vm->current = (struct ln_vm_current){run, run->co, place_of(run)};
  struct ln_guard_mark mark =
      ln_guard_enter(&vm->guard, limit > run->used ? limit - run->used : 0, limit);
  int status = lua_resume(run->co, 0);
  bool late = vm->guard.fired;
  run->used += ln_guard_leave(&vm->guard, vm->L, mark);
  vm->current = outer;
  if (first) run->item = (struct ln_hook_item){0}, run->shown = LN_STR_NONE;
  if (run->cancelled) return false;
  if (status == LUA_YIELD && !late && run->op != LN_OP_NONE) return true;
  if (status == LUA_YIELD)
    fail(run, late ? vm->guard.text : "coroutine.yield can't be called by a handler itself");
  else if (status || !run->ended)
    fail(run, status ? NULL : "the handler ended without an end");
  else
    ln_vm_tidy(vm);
  return false;
}

static void on_timer(struct ln_timer *t) {
  struct ln_run *run = LN_CONTAINER(t, struct ln_run, timer);
  run->token = 0;
  pump(run);
}

static void on_reply(void *arg, struct ln_msg *reply) {
  struct ln_run_wait *wait = arg;
  struct ln_run *run = wait->run;
  if (run) {
    run->wait = NULL;
    ln_run_answer(run, wait->token, reply);
  } else {
    ln_msg_unref(reply);
  }
  free(wait);
}

/* Calls the proxy for the run. */
static void ask(struct ln_run *run) {
  struct ln_policy *p = run->policy;
  struct ln_bytes *params = run->params;
  struct ln_str text = params ? (struct ln_str){params->data, params->len} : LN_STR_NONE;
  struct ln_run_wait *wait = malloc(sizeof *wait);
  if (!wait) {
    ln_run_answer(run, run->token, ln_msg_error(-32603, "out of memory", LN_STR_NONE));
    return;
  }
  *wait = (struct ln_run_wait){run, run->token};
  run->wait = wait;
  run->params = NULL;
  run->asked = 0;
  if (run->op == LN_OP_REQUEST)
    p->host.request(run->x, run->method, text, on_reply, wait);
  else
    run->asked = p->host.ask_client(run->x, run->method, text, on_reply, wait);
  ln_bytes_unref(params);
}

/* Cancels the runs of handlers inside this one: the later ones of the same exchange. */
static void cancel_inner(struct ln_run *run) {
  struct ln_list *it = run->link.next;
  while (it != &run->policy->runs) {
    struct ln_run *inner = LN_CONTAINER(it, struct ln_run, link);
    it = it->next;
    if (inner->x != run->x || inner->cancelled) continue;
    ln_run_cancel(inner);
    it = run->link.next; /* what it held may have ended other runs */
  }
}

static void on_forward_late(struct ln_timer *t) {
  struct ln_run *run = LN_CONTAINER(t, struct ln_run, timer);
  struct ln_policy *p = ln_policy_ref(run->policy);
  uint64_t token = run->token;
  char text[64], data[48];
  snprintf(text, sizeof text, "No answer within %g s", (double)run->forward_ms / 1000);
  snprintf(data, sizeof data, "{\"timeout\":%g}", (double)run->forward_ms / 1000);
  cancel_inner(run);
  if (run->call_off) run->call_off(run->arg);
  ln_run_answer(run, token, ln_msg_error(-32001, text, ln_str_c(data)));
  ln_policy_unref(p);
}

static void forward(struct ln_run *run) {
  struct ln_msg *out = run->out;
  run->out = NULL;
  if (!ln_run_is_request(run)) run->token = 0;
  uint64_t token = run->token;
  run->forward(run->arg, run, token, out);
  if (run->forward_ms && token && run->token == token && !run->cancelled)
    ln_timer_start(run->policy->host.loop, &run->timer, run->forward_ms, on_forward_late);
}

/* Starts what the coroutine waits for. True when it can be resumed at once. */
static bool start(struct ln_run *run) {
  run->token = ++run->policy->last_token;
  switch (run->op) {
    case LN_OP_FORWARD: forward(run); break;
    case LN_OP_REQUEST:
    case LN_OP_ASK: ask(run); break;
    case LN_OP_SLEEP:
      ln_timer_start(run->policy->host.loop, &run->timer, run->sleep_ms, on_timer);
      break;
    case LN_OP_HTTP:
      if (ln_run_http_ready(run->http))
        run->token = 0;
      else
        run->http->token = run->token;
      break;
    case LN_OP_FOLLOW: break; /* release_followers */
    case LN_OP_NONE: run->token = 0; break;
  }
  return !run->token && !run->cancelled;
}

static void pump(struct ln_run *run) {
  struct ln_policy *p = ln_policy_ref(run->policy);
  run->pumping = true;
  while (resume(run) && start(run)) {
  }
  run->pumping = false;
  if (run->cancelled)
    recycle(run);
  else if (run->ended && run->starting)
    ln_task_post(p->host.loop, &run->task, on_task);
  else if (run->ended)
    deliver(run);
  ln_policy_unref(p);
}

void ln_run_begin(struct ln_run *run) {
  if (!run->co) {
    LN_LOG(run->policy->host.log, ERROR, "policy", "no memory left in Lua for a handler");
    ln_run_end(run,
               ln_run_is_request(run) ? ln_msg_error(-32603, "policy error", LN_STR_NONE) : NULL);
    ln_task_post(run->policy->host.loop, &run->task, on_task);
    return;
  }
  run->starting = true;
  uint64_t serial = run->serial;
  pump(run);
  if (run->serial == serial) run->starting = false;
}

void ln_run_answer(struct ln_run *run, uint64_t token, struct ln_msg *reply) {
  if (!token || token != run->token) {
    ln_msg_unref(reply);
    return;
  }
  run->token = 0;
  ln_timer_stop(&run->timer);
  ln_msg_unref(run->reply);
  run->reply = reply;
  if (!run->pumping) pump(run);
}

size_t ln_run_left(const struct ln_run *run) {
  return run->left;
}

static void on_response(struct ln_run *run, uint64_t token) {
  ln_run_answer(run, token, NULL);
}

const char *ln_run_fetch(struct ln_run *run, const struct ln_fetch_conf *conf, bool stream,
                         size_t max, struct ln_run_http **holder) {
  const struct ln_policy_host *host = &run->policy->host;
  const char *why;
  struct ln_run_http *h = ln_run_http_new(host->fetcher, host->loop, conf, stream, max, &why);
  if (!h) return why;
  h->run = run;
  h->ready = on_response;
  h->holder = holder;
  *holder = h;
  ln_list_push(&run->https, &h->link);
  return NULL;
}
