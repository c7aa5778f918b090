/* The client inside the process; see local.h. */
#include "proxy/entry/local.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/exchange/exchange.h"
#include "proxy/lists/view_get.h"
#include "proxy/route/from_client.h"
#include "proxy/route/session_end.h"

struct ln_local {
  struct ln_sink sink;
  struct ln_session *session;
  struct ln_loop *loop;
  struct ln_msg *reply;
  struct ln_view *view;
  bool answered;
  bool waiting; /* the loop runs for this; else stopping it would stop a later run */
  char why[600];
};

/* The refusal of a server's request. It is answered from the loop, since the answer may not come
 * before ln_outbox_ask has returned. */
struct refusal {
  struct ln_task task;
  struct ln_local *local;
  struct ln_msg *request;
};

static void refuse(struct ln_task *t) {
  struct refusal *r = LN_CONTAINER(t, struct refusal, task);
  struct ln_msg *error = ln_msg_error(-32601, "This client can't be asked", LN_STR_NONE);
  struct ln_msg *answer =
      error ? ln_msg_edit(error, &(struct ln_edit){error->id, r->request->id}, 1) : NULL;
  if (answer && r->local->session) ln_outbox_answer(&r->local->session->outbox, answer);
  ln_msg_unref(answer);
  ln_msg_unref(error);
  ln_msg_unref(r->request);
  ln_sink_unref(&r->local->sink);
  free(r);
}

static int sink_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  (void) final;
  struct ln_local *c = LN_CONTAINER(s, struct ln_local, sink);
  if (out->msg->kind != LN_MSG_REQUEST) return LN_OK;
  struct refusal *r = calloc(1, sizeof *r);
  if (!r) return LN_ENOMEM;
  r->request = ln_msg_edit(out->msg, out->edits, out->n_edits);
  if (!r->request) {
    free(r);
    return LN_ENOMEM;
  }
  r->local = c;
  ln_sink_ref(s);
  ln_task_init(&r->task);
  ln_task_post(c->loop, &r->task, refuse);
  return LN_OK;
}

static void sink_free(struct ln_sink *s) {
  free(LN_CONTAINER(s, struct ln_local, sink));
}

static const struct ln_sink_ops sink_ops = {sink_send, NULL, sink_free};

struct ln_local *ln_local_new(struct ln_host *h) {
  struct ln_local *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->sink = (struct ln_sink){&sink_ops, 1, true};
  c->loop = h->loop;
  c->session = ln_session_new(h, "internal", "lunette", NULL);
  if (!c->session) {
    free(c);
    return NULL;
  }
  ln_outbox_set_general(&c->session->outbox, &c->sink);
  return c;
}

void ln_local_free(struct ln_local *c) {
  ln_session_end(c->session);
  ln_session_unref(c->session);
  c->session = NULL;
  ln_msg_unref(c->reply);
  ln_view_unref(c->view);
  ln_sink_unref(&c->sink);
}

static void wait(struct ln_local *c) {
  c->waiting = true;
  while (!c->answered) ln_loop_run(c->loop);
  c->waiting = false;
}

static void answered(struct ln_local *c) {
  c->answered = true;
  if (c->waiting) ln_loop_stop(c->loop);
}

static void on_reply(void *arg, struct ln_msg *reply) {
  struct ln_local *c = arg;
  c->reply = reply;
  answered(c);
}

static void say_initialized(struct ln_local *c) {
  struct ln_msg *m = ln_msg_notification("notifications/initialized", LN_STR_NONE);
  if (m) ln_from_client(c->session, m, NULL, NULL);
  ln_msg_unref(m);
}

struct ln_msg *ln_local_request(struct ln_local *c, const char *method, struct ln_str params) {
  struct ln_msg *m = ln_msg_request(method, params);
  if (!m) return NULL;
  c->answered = false;
  ln_from_client_request(c->session, m, NULL, on_reply, c);
  ln_msg_unref(m);
  wait(c);
  struct ln_msg *reply = c->reply;
  c->reply = NULL;
  if (reply && reply->kind == LN_MSG_RESULT && strcmp(method, "initialize") == 0)
    say_initialized(c);
  return reply;
}

static void on_view(void *arg, struct ln_view *view, const char *why) {
  struct ln_local *c = arg;
  c->view = view ? ln_view_ref(view) : NULL;
  snprintf(c->why, sizeof c->why, "%s", why ? why : "");
  answered(c);
}

struct ln_view *ln_local_explain(struct ln_local *c, enum ln_kind kind, const char **why) {
  struct ln_exchange *x =
      ln_exchange_stand_in(c->session, c->session->gen, ln_kind_rows[kind].list_method);
  *why = "out of memory";
  if (!x) return NULL;
  c->answered = false;
  struct ln_view_request request = ln_exchange_views(x, kind, LN_VIEW_EXPLAIN);
  ln_view_get(&request, on_view, c);
  wait(c);
  ln_exchange_close(x);
  struct ln_view *view = c->view;
  c->view = NULL;
  *why = c->why;
  return view;
}
