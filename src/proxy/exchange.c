/* One message under way: from its arrival to its reply. */
#include <float.h>
#include <stdlib.h>

#include "proxy/session.h"
#include "proxy/upstream.h"
#include "proxy/view.h"

struct ln_exchange *ln_exchange_new(struct ln_session *s, struct ln_msg *msg,
                                    const struct ln_method *method, struct ln_sink *sink) {
  struct ln_exchange *x = calloc(1, sizeof *x);
  if (!x) return NULL;
  x->refs = 1;
  x->session = ln_session_ref(s);
  x->gen = ln_generation_ref(s->gen);
  x->msg = ln_msg_ref(msg);
  x->method = method;
  x->sink = sink ? ln_sink_ref(sink) : NULL;
  x->progress = -DBL_MAX;
  ln_list_init(&x->requests);
  ln_list_init(&x->chain);
  ln_list_init(&x->asker_link);
  ln_list_push(&s->exchanges, &x->link);
  s->n_exchanges++;
  s->last_used = ln_loop_now(s->host->loop);
  return x;
}

static void ignore_reply(void *arg, struct ln_msg *reply) {
  (void)arg;
  ln_msg_unref(reply);
}

struct ln_exchange *ln_exchange_stand_in(struct ln_session *s, struct ln_generation *g,
                                         const char *method) {
  struct ln_msg *m = ln_msg_request(method, LN_STR_NONE);
  struct ln_exchange *x =
      m ? ln_exchange_new(s, m, ln_method_find(ln_str_c(method), LN_FROM_CLIENT), NULL) : NULL;
  ln_msg_unref(m);
  if (!x) return NULL;
  x->reply = ignore_reply;
  x->headers = s->headers ? ln_bytes_ref(s->headers) : NULL;
  ln_generation_unref(x->gen);
  x->gen = ln_generation_ref(g);
  return x;
}

void ln_exchange_ref(struct ln_exchange *x) {
  x->refs++;
}

void ln_exchange_unref(struct ln_exchange *x) {
  if (!x || --x->refs) return;
  LN_ASSERT(x->ended);
  ln_list_remove(&x->asker_link);
  struct ln_list *l;
  while ((l = ln_list_shift(&x->chain))) {
    struct ln_chain *c = LN_CONTAINER(l, struct ln_chain, link);
    ln_msg_unref(c->msg);
    free(c);
  }
  ln_view_unref(x->view);
  ln_msg_unref(x->msg);
  ln_msg_unref(x->held);
  ln_bytes_unref(x->headers);
  ln_sink_unref(x->sink);
  ln_generation_unref(x->gen);
  ln_exchange_unref(x->cause);
  ln_session_unref(x->session);
  free(x);
}

static void drop_requests(struct ln_exchange *x, const char *reason) {
  while (!ln_list_empty(&x->requests))
    ln_call_drop(LN_CONTAINER(x->requests.next, struct ln_call, x_link), reason);
}

/* Out of the session's list. What a server still works at for it is called off. */
static void leave(struct ln_exchange *x) {
  x->ended = true;
  ln_list_remove(&x->link);
  x->session->n_exchanges--;
  if (x->counted) {
    x->session->in_flight--;
    x->counted = false;
  }
  drop_requests(x, "no longer needed");
  if (x->holding) {
    x->holding = false;
    ln_exchange_release(x->cause);
  }
}

/* What a handler of x asked for itself is not needed any more either. */
static void abort_children(struct ln_exchange *x) {
  struct ln_session *s = x->session;
  if (s->state == LN_SESSION_GONE || !s->n_exchanges) return; /* they end by themselves */
  LN_LIST_EACH(l, &s->exchanges) {
    struct ln_exchange *y = LN_CONTAINER(l, struct ln_exchange, link);
    if (y->cause != x || !y->reply) continue;
    ln_exchange_abort(y);
    l_next = s->exchanges.next;
  }
}

void ln_exchange_call_off(struct ln_exchange *x, const char *reason) {
  ln_exchange_ref(x);
  x->called_off++;
  drop_requests(x, reason);
  abort_children(x);
  if (x->ask_id) ln_session_ask_cancel(x->session, x->ask_id, NULL);
  x->ask_id = 0;
  ln_exchange_unref(x);
}

static void deliver(struct ln_exchange *x, struct ln_msg *reply) {
  if (reply->kind == LN_MSG_ERROR) x->session->host->count.errors++;
  if (x->reply) {
    x->reply(x->reply_arg, reply);
    return;
  }
  if (x->asker) {
    ln_link_respond(x->asker, x->msg->id, reply);
  } else if (x->from_server) {
    /* The server that asked has gone. */
  } else if (x->msg->id.p) {
    struct ln_out out;
    ln_out_init(&out, reply);
    ln_out_replace(&out, reply->id, x->msg->id);
    ln_session_send(x->session, x->sink, &out, true);
    ln_out_deinit(&out);
  }
  ln_msg_unref(reply);
}

void ln_exchange_finish(struct ln_exchange *x, struct ln_msg *reply) {
  if (x->ended || x->held) {
    ln_msg_unref(reply);
    return;
  }
  if (!reply) reply = ln_msg_error(-32603, "Out of memory", LN_STR_NONE);
  if (x->holds) { /* notifications first */
    x->held = reply;
    return;
  }
  leave(x);
  if (reply) deliver(x, reply);
  ln_exchange_unref(x);
}

bool ln_progress_rises(double *last, const struct ln_msg *msg) {
  struct ln_json_item it;
  if (!ln_json_get(msg->params, "progress", &it) || it.type != LN_JSON_NUMBER) return true;
  double now = ln_json_double(it.value, NULL);
  if (now <= *last) return false;
  *last = now;
  return true;
}

void ln_exchange_close(struct ln_exchange *x) {
  if (x->ended) return;
  /* The outer handlers of a notification don't wait for the inner ones. */
  x->closing = x->handlers > 0;
  if (x->closing) return;
  leave(x);
  ln_exchange_unref(x);
}

void ln_exchange_fail(struct ln_exchange *x, int code, const char *message) {
  ln_exchange_finish(x, ln_msg_error(code, message, LN_STR_NONE));
}

void ln_exchange_abort(struct ln_exchange *x) {
  if (x->ended) return;
  ln_policy_cancel(x->gen->policy, x);
  leave(x);
  abort_children(x);
  if (x->ask_id) ln_session_ask_cancel(x->session, x->ask_id, NULL);
  if (x->asker && x->msg->kind == LN_MSG_REQUEST && !x->asker->owner) {
    /* A shared server lives on, and waits. */
    struct ln_msg *m = ln_msg_error(-32603, "The client has gone", LN_STR_NONE);
    if (m) ln_link_respond(x->asker, x->msg->id, m);
    ln_msg_unref(m);
  }
  if (x->reply)
    x->reply(x->reply_arg, ln_msg_error(-32603, "Cancelled", LN_STR_NONE));
  else if (x->sink && !x->from_server && x->msg->id.p && x->sink->ops->give_up)
    x->sink->ops->give_up(x->sink);
  ln_exchange_unref(x);
}

void ln_exchange_hold(struct ln_exchange *x) {
  ln_exchange_ref(x);
  x->holds++;
}

void ln_exchange_release(struct ln_exchange *x) {
  if (--x->holds == 0 && x->held) {
    struct ln_msg *reply = x->held;
    x->held = NULL;
    ln_exchange_finish(x, reply);
  }
  ln_exchange_unref(x);
}
