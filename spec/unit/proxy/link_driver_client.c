/* Played callers and clients: replies, watchers, sinks, what handlers leave; see link_driver.h. */
#include "link_driver.h"

struct played_sink {
  struct ln_sink s;
  int n, rc; /* rc: of the next send */
};

/* --- what callers give along --- */

/* A ln_reply_fn; its argument is a number. */
void rig_reply(void *arg, struct ln_msg *reply) {
  rig_tell("reply %d %.*s", (int)(intptr_t)arg, LN_STR_ARG(reply->text));
  ln_msg_unref(reply);
}

/* A reference to an exchange that is none. */
struct ln_exchange *rig_fake(struct rig *r, int n) {
  r->fakes_live++;
  return (struct ln_exchange *)(void *)&r->fakes[n];
}

static void watched(struct ln_watcher *w, struct ln_link *link, bool ready, const char *why) {
  (void)link;
  int n = LN_CONTAINER(w, struct watching, w)->n;
  if (ready)
    rig_tell("watcher %d ready", n);
  else
    rig_tell("watcher %d gone: %s", n, why);
}

struct ln_watcher *rig_watcher(struct rig *r, int n) {
  struct watching *w = &r->watching[n];
  w->n = n;
  w->w.fn = watched;
  ln_list_init(&w->w.link);
  return &w->w;
}

static int sink_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  struct played_sink *p = LN_CONTAINER(s, struct played_sink, s);
  struct ln_buf b;
  ln_buf_init(&b, 16 << 20);
  for (size_t i = 0; i < out->n; i++) ln_buf_append(&b, out->parts[i].p, out->parts[i].n);
  int rc = p->rc, n = p->n;
  p->rc = LN_OK;
  if (rc && rc != LN_EFULL)
    rig_tell("sink %d does not take it: %s", n, ln_err_name(rc));
  else
    rig_tell("sink %d %s%.*s", n, final ? "final " : "", LN_STR_ARG(ln_buf_str(&b)));
  ln_buf_deinit(&b);
  return rc;
}

static void sink_give_up(struct ln_sink *s) {
  rig_tell("sink %d gives up", LN_CONTAINER(s, struct played_sink, s)->n);
}

static void sink_free(struct ln_sink *s) {
  struct played_sink *p = LN_CONTAINER(s, struct played_sink, s);
  int n = p->n;
  free(p);
  rig_the->sinks_live--;
  rig_tell("sink %d is freed", n);
}

/* With one reference, the caller's. */
struct ln_sink *rig_sink(struct rig *r, bool one_line) {
  static const struct ln_sink_ops ops = {sink_send, sink_give_up, sink_free};
  struct played_sink *p = calloc(1, sizeof *p);
  p->s = (struct ln_sink){.ops = &ops, .refs = 1, .one_line = one_line};
  p->n = ++r->n_sinks;
  r->sinks_live++;
  return &p->s;
}
void rig_sink_rc(struct ln_sink *s, int rc) {
  LN_CONTAINER(s, struct played_sink, s)->rc = rc;
}

static void clogged(struct ln_outbox *o, bool is) {
  rig_tell("%s %s", o->name, is ? "clogged" : "flows");
}
void rig_outbox(struct rig *r, struct ln_outbox *o) {
  ln_outbox_init(o, &r->host, "client", clogged);
}

/* --- handlers --- */

/* A ln_hooks_native. Notifications are dealt with. */
void rig_native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  (void)x;
  LN_ASSERT(rig_the->n_native + 1 < MOST);
  int n = msg->kind == LN_MSG_REQUEST ? ++rig_the->n_native : 0;
  rig_the->native[n].done = done;
  rig_the->native[n].arg = arg;
  rig_tell("native %d %.*s", n, LN_STR_ARG(msg->text));
  if (!n) done(arg, NULL);
}
void rig_native_answer(struct rig *r, int n, struct ln_msg *reply) {
  r->native[n].done(r->native[n].arg, reply);
}

/* What hooks leave behind; its argument is an exchange. */
void rig_done(void *arg, struct ln_msg *reply) {
  struct ln_exchange *x = arg;
  if (x->msg->kind == LN_MSG_REQUEST)
    ln_exchange_finish(x, reply);
  else
    ln_exchange_close(x);
}

void rig_request(struct ln_exchange *x, const char *method, struct ln_str params, ln_reply_fn reply,
                 void *arg) {
  struct ln_msg *m = ln_msg_request(method, params);
  const struct ln_method *row = ln_method_find(ln_str_c(method), LN_FROM_CLIENT);
  struct ln_exchange *y = ln_exchange_new(x->session, m, row, NULL);
  ln_msg_unref(m);
  y->reply = reply;
  y->reply_arg = arg;
  ln_exchange_set_cause(y, x);
  LN_ASSERT(rig_the->n_children + 1 < MOST);
  rig_the->children[++rig_the->n_children] = y;
  rig_tell("child %d %s", rig_the->n_children, method);
}

struct ln_exchange *rig_child(struct rig *r, int n) {
  return r->children[n];
}
