/* The chain of handlers; see hooks.h. Its steps (ln_chain) belong to the exchange. */
#include "proxy/exchange/hooks.h"

#include <stdlib.h>

#include "mcp/subject.h"
#include "mcp/uri.h"

struct step {
  struct ln_chain c;
  const struct ln_hooks_end *end;
  ln_hooks_native native;         /* when the handler is a transform: where it leads to … */
  struct ln_transform *transform; /* … and the transform; its run counts it */
};

static bool glob_bytes(const char *glob, const struct ln_bytes *b) {
  return b && ln_glob_match(glob, ln_bytes_str(b));
}

/* A handler's name is compared with the name in force at the handler's place among the rules, and
 * with the one that clients use. */
static bool entry_matches(const struct ln_entry *e, const struct ln_hook *hook) {
  if (glob_bytes(hook->name, e->key) || glob_bytes(hook->name, e->normal)) return true;
  for (size_t i = 0; i < e->n_old; i++)
    if (e->old[i].until > hook->position) return glob_bytes(hook->name, e->old[i].name);
  return false;
}

static bool text_matches(struct ln_str value, bool uri, const struct ln_hook *hook) {
  struct ln_str raw = ln_json_inside(value);
  if (!raw.p) return false;
  struct ln_buf plain, other;
  ln_buf_init(&plain, raw.n * 3 + 16);
  ln_buf_init(&other, LN_URI_ROOM(plain.max));
  bool match = false;
  if (ln_json_unescape(raw, true, &plain) == LN_OK) {
    match = ln_glob_match(hook->name, ln_buf_str(&plain));
    for (unsigned i = 0; uri && !match; i++) {
      ln_buf_clear(&other);
      if (ln_uri_form(ln_buf_str(&plain), i, &other)) break;
      match = ln_glob_match(hook->name, ln_buf_str(&other));
    }
  }
  ln_buf_deinit(&plain);
  ln_buf_deinit(&other);
  return match;
}

static bool matches(const struct ln_exchange *x, const struct ln_msg *msg,
                    const struct ln_hook *hook) {
  if (!ln_glob_match(hook->method, msg->method)) return false;
  if (hook->server && !(x->server && ln_glob_match(hook->server, ln_str_c(x->server->conf->name))))
    return false;
  if (!hook->name) return true;
  if (x->entry && entry_matches(x->entry, hook)) return true;
  if (x->method->route == LN_ROUTE_COMPLETE) { /* it has the name that is in its ref */
    struct ln_subject s = ln_subject_of(x->method, msg);
    return text_matches(s.value, s.kind == LN_KIND_TEMPLATE, hook);
  }
  return text_matches(msg->name, false, hook) || text_matches(msg->uri, true, hook);
}

static size_t next_match(const struct ln_exchange *x, size_t from, const struct ln_msg *msg,
                         bool last) {
  const struct ln_policy_decls *d = x->gen->decls;
  size_t i = from;
  while (i < d->n_hooks && (d->hooks[i].last != last || !matches(x, msg, &d->hooks[i]))) i++;
  return i;
}

static struct step *step_new(struct ln_exchange *x, struct step *outer, struct ln_msg *msg) {
  struct step *s = ln_zalloc(sizeof *s);
  if (!s) return NULL;
  s->c.x = x;
  s->c.outer = outer ? &outer->c : NULL;
  s->c.msg = ln_msg_ref(msg);
  ln_list_push(&x->chain, &s->c.link);
  return s;
}

/* The reply to what a handler forwarded. */
static void forwarded(void *arg, struct ln_msg *reply) {
  struct step *f = arg;
  struct ln_chain *handler = f->c.outer;
  if (handler->run && reply)
    ln_run_answer(handler->run, f->c.token, reply);
  else
    ln_msg_unref(reply);
}

static void run_transform(struct ln_exchange *x, struct ln_transform *t, size_t left,
                          struct ln_msg *msg, ln_hooks_native native, ln_reply_fn done, void *arg);

/* True when a message names another component than the one that was looked up last. */
static bool renamed(const struct ln_exchange *x, const struct ln_msg *msg) {
  enum ln_route route = x->method->route;
  if (route != LN_ROUTE_USE && route != LN_ROUTE_SUBSCRIBE && route != LN_ROUTE_COMPLETE)
    return false;
  if (msg == x->named) return false;
  struct ln_subject a = ln_subject_of(x->method, x->named), b = ln_subject_of(x->method, msg);
  return a.kind != b.kind || !a.value.p || !b.value.p || !ln_str_eq(a.value, b.value);
}

/* What a handler forwarded, to the handlers after it. arg: the forward's step. */
static void go_on(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  const struct step *f = arg, *handler = LN_CONTAINER(f->c.outer, struct step, c);
  ln_hooks_run(x, handler->c.next_hook, msg, handler->end, done, arg);
}

/* The same, named otherwise; only once that is found, so that it is looked for again if not. */
static void found_other(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  ln_exchange_set_named(x, msg);
  go_on(x, msg, done, arg);
}

static void on_forward(void *arg, struct ln_run *run, uint64_t token, struct ln_msg *msg) {
  struct step *handler = arg;
  handler->c.run = run;
  struct step *f = step_new(handler->c.x, handler, msg);
  ln_msg_unref(msg);
  if (!f) {
    ln_run_answer(run, token, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
    return;
  }
  f->c.token = token;
  struct ln_exchange *x = handler->c.x;
  size_t left = ln_run_left(run);
  if (left) {
    run_transform(x, handler->transform, left, f->c.msg, handler->native, forwarded, f);
  } else if (handler->transform) {
    handler->native(x, f->c.msg, forwarded, f);
  } else if (handler->end->resolve && renamed(x, f->c.msg)) {
    handler->end->resolve(x, f->c.msg, found_other, forwarded, f);
  } else {
    go_on(x, f->c.msg, forwarded, f);
  }
}

static void on_call_off(void *arg) {
  const struct step *handler = arg;
  ln_exchange_call_off(handler->c.x, "timed out");
}

static void on_done(void *arg, struct ln_msg *reply) {
  struct step *handler = arg;
  handler->c.run = NULL;
  struct ln_exchange *x = handler->c.x;
  ln_exchange_ref(x); /* the chain is freed with it */
  x->handlers--;
  handler->c.done(handler->c.arg, reply);
  if (x->state == LN_EXCHANGE_CLOSING) ln_exchange_close(x);
  ln_exchange_unref(x);
}

static struct ln_hook_item item_of(const struct ln_exchange *x) {
  const struct ln_entry *e = x->entry;
  if (!e) return (struct ln_hook_item){0};
  return (struct ln_hook_item){ln_entry_definition(x->view, e),
                               {e->before_rules->data, e->before_rules->len},
                               x->view->kind};
}

/* Starts the step's handler. */
static void begin(struct step *s, size_t hook, size_t left) {
  struct ln_exchange *x = s->c.x;
  const struct ln_hook_call call = {
      .hook = hook,
      .msg = s->c.msg,
      .x = x,
      .item = item_of(x),
      .forward = on_forward,
      .call_off = on_call_off,
      .done = on_done,
      .arg = s,
  };
  ln_exchange_ref(x); /* the handler may end it at once, and the chain is freed with it */
  x->handlers++;
  s->c.run = s->transform ? ln_policy_run_transform(x->gen->policy, s->transform, left, &call)
                          : ln_policy_run_hook(x->gen->policy, &call);
  if (!s->c.run) {
    x->handlers--;
    s->c.done(s->c.arg, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
  }
  ln_exchange_unref(x);
}

void ln_hooks_run(struct ln_exchange *x, size_t from, struct ln_msg *msg,
                  const struct ln_hooks_end *end, ln_reply_fn done, void *arg) {
  size_t i = next_match(x, from, msg, end->last);
  if (i == x->gen->decls->n_hooks) {
    end->native(x, msg, done, arg);
    return;
  }
  struct step *s = step_new(x, NULL, msg);
  if (!s) {
    done(arg, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
    return;
  }
  s->c.next_hook = i + 1;
  s->c.done = done;
  s->c.arg = arg;
  s->end = end;
  begin(s, i, 0);
}

static void run_transform(struct ln_exchange *x, struct ln_transform *t, size_t left,
                          struct ln_msg *msg, ln_hooks_native native, ln_reply_fn done, void *arg) {
  struct step *s = step_new(x, NULL, msg);
  if (!s) {
    done(arg, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
    return;
  }
  s->c.done = done;
  s->c.arg = arg;
  s->native = native;
  s->transform = t;
  begin(s, 0, left);
}

void ln_hooks_transform(struct ln_exchange *x, struct ln_msg *msg, ln_hooks_native native,
                        ln_reply_fn done, void *arg) {
  struct ln_transform *t = x->entry->transform;
  run_transform(x, t, ln_transform_layers(t), msg, native, done, arg);
}
