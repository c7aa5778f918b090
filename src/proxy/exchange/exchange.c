/* Messages under way; see exchange.h. */
#include "proxy/exchange/exchange.h"

#include <float.h>
#include <stdlib.h>

struct ln_exchange *ln_exchange_new(struct ln_session *s, struct ln_msg *msg,
                                    const struct ln_method *method, struct ln_sink *sink) {
  struct ln_exchange *x = ln_zalloc(sizeof *x);
  if (!x) return NULL;
  x->refs = 1;
  x->session = ln_session_ref(s);
  x->peer = &s->peer;
  x->gen = ln_generation_ref(s->gen);
  x->msg = ln_msg_ref(msg);
  x->named = ln_msg_ref(msg);
  ln_bytes_charge(msg->bytes, s->purse);
  x->method = method;
  x->sink = sink ? ln_sink_ref(sink) : NULL;
  x->progress = -DBL_MAX;
  ln_list_init(&x->calls);
  ln_list_init(&x->waits);
  ln_list_init(&x->chain);
  ln_list_init(&x->asker_link);
  ln_list_push(&s->exchanges, &x->link);
  s->n_exchanges++;
  s->last_used = ln_loop_now(s->host->loop);
  return x;
}

struct ln_exchange *ln_exchange_stand_in(struct ln_session *s, struct ln_generation *g,
                                         const char *method) {
  struct ln_msg *m = ln_msg_request(method, LN_STR_NONE);
  struct ln_exchange *x =
      m ? ln_exchange_new(s, m, ln_method_find(ln_str_c(method), LN_FROM_CLIENT), NULL) : NULL;
  ln_msg_unref(m);
  if (!x) return NULL;
  ln_exchange_set_reply(x, ln_reply_ignore, NULL);
  ln_exchange_set_headers(x, s->headers);
  ln_generation_unref(x->gen);
  x->gen = ln_generation_ref(g);
  return x;
}

void ln_exchange_ref(struct ln_exchange *x) {
  x->refs++;
}

void ln_exchange_unref(struct ln_exchange *x) {
  if (!x || --x->refs) return;
  LN_ASSERT(ln_exchange_ended(x));
  ln_list_remove(&x->asker_link);
  struct ln_list *l;
  while ((l = ln_list_shift(&x->chain))) {
    struct ln_chain *c = LN_CONTAINER(l, struct ln_chain, link);
    ln_msg_unref(c->msg);
    free(c);
  }
  ln_view_unref(x->view);
  ln_msg_unref(x->msg);
  ln_msg_unref(x->named);
  ln_msg_unref(x->held);
  ln_bytes_unref(x->headers);
  ln_sink_unref(x->sink);
  ln_generation_unref(x->gen);
  ln_exchange_unref(x->cause);
  ln_session_unref(x->session);
  free(x);
}

struct ln_exchange *ln_exchange_find(struct ln_session *s, struct ln_str id) {
  LN_LIST_EACH(l, &s->exchanges) {
    struct ln_exchange *x = LN_CONTAINER(l, struct ln_exchange, link);
    if (x->msg->kind == LN_MSG_REQUEST && !x->from_server && !x->reply && !ln_exchange_ended(x) &&
        !x->abandoned && ln_str_eq(x->msg->id, id))
      return x;
  }
  return NULL;
}

void ln_exchange_set_reply(struct ln_exchange *x, ln_reply_fn reply, void *arg) {
  x->reply = reply;
  x->reply_arg = arg;
}

void ln_exchange_set_from_server(struct ln_exchange *x, struct ln_server *server) {
  x->from_server = true;
  x->server = server;
}

void ln_exchange_set_msg(struct ln_exchange *x, struct ln_msg *msg) {
  ln_exchange_set_named(x, msg);
  ln_msg_unref(x->msg);
  x->msg = msg;
}

void ln_exchange_set_ask(struct ln_exchange *x, int64_t id) {
  x->ask_id = id;
}

/* --- what it names, and whom it concerns --- */

void ln_exchange_set_entry(struct ln_exchange *x, struct ln_view *v, const struct ln_entry *e) {
  struct ln_view *old = x->view;
  x->view = v ? ln_view_ref(v) : NULL;
  x->entry = e;
  if (e) x->server = e->server;
  ln_view_unref(old);
}

void ln_exchange_set_named(struct ln_exchange *x, struct ln_msg *msg) {
  ln_msg_ref(msg);
  ln_msg_unref(x->named);
  x->named = msg;
}

void ln_exchange_set_server(struct ln_exchange *x, struct ln_server *server) {
  x->server = server;
}

void ln_exchange_set_cause(struct ln_exchange *x, struct ln_exchange *cause) {
  if (cause) ln_exchange_ref(cause);
  x->cause = cause;
}

void ln_exchange_set_headers(struct ln_exchange *x, struct ln_bytes *headers) {
  if (headers) ln_bytes_ref(headers);
  if (x->headers) ln_bytes_unref(x->headers);
  x->headers = headers;
}

void ln_exchange_count(struct ln_exchange *x) {
  x->counted = true;
  ln_session_begin_request(x->session);
}

void ln_exchange_set_asker(struct ln_exchange *x, struct ln_link *link) {
  x->asker = link;
  ln_list_push(&link->asks, &x->asker_link);
}

void ln_exchange_forget_asker(struct ln_exchange *x) {
  x->asker = NULL;
  ln_list_remove(&x->asker_link);
}

void ln_exchange_link_ends(struct ln_link *link) {
  LN_LIST_DRAIN(l, &link->asks) {
    struct ln_exchange *x = LN_CONTAINER(l, struct ln_exchange, asker_link);
    x->asker = NULL;
    ln_exchange_abort(x);
  }
}

struct ln_call *ln_exchange_call(struct ln_exchange *x, struct ln_link *link, struct ln_msg *msg,
                                 struct ln_str name_at, struct ln_bytes *name_with,
                                 ln_reply_fn reply, void *arg) {
  ln_exchange_ref(x); /* the call's */
  struct ln_call *call = ln_link_call(link, &(struct ln_call_request){.msg = msg,
                                                                      .name_at = name_at,
                                                                      .name_with = name_with,
                                                                      .x = x,
                                                                      .x_calls = &x->calls,
                                                                      .client = x->session->key,
                                                                      .reply = reply,
                                                                      .arg = arg});
  if (!call) ln_exchange_unref(x);
  return call;
}

void ln_exchange_watch(struct ln_exchange *x, struct ln_exchange_wait *w,
                       void (*over)(struct ln_exchange_wait *w)) {
  w->over = over;
  ln_list_push(&x->waits, &w->link);
}

void ln_exchange_unwatch(struct ln_exchange_wait *w) {
  ln_list_remove(&w->link);
}

/* --- its end --- */

static void drop_all(struct ln_exchange *x, const char *reason) {
  while (!ln_list_empty(&x->calls))
    ln_call_drop(LN_CONTAINER(x->calls.next, struct ln_call, in_exchange), reason);
  LN_LIST_DRAIN(l, &x->waits) {
    struct ln_exchange_wait *w = LN_CONTAINER(l, struct ln_exchange_wait, link);
    w->over(w);
  }
}

static void release(struct ln_exchange *x);

/* Ends it: takes it out of the session's list and cancels its calls. */
static void end(struct ln_exchange *x) {
  x->state = LN_EXCHANGE_ENDED;
  ln_list_remove(&x->link);
  x->session->n_exchanges--;
  if (x->counted) ln_session_end_request(x->session);
  x->counted = false;
  drop_all(x, "no longer needed");
  if (x->holding) {
    x->holding = false;
    release(x->cause);
  }
}

/* Aborts the requests that handlers of x made. */
static void abort_children(struct ln_exchange *x) {
  struct ln_session *s = x->session;
  if (s->state == LN_SESSION_GONE || !s->n_exchanges) return; /* the session's end aborts them */
  LN_LIST_EACH(l, &s->exchanges) {
    struct ln_exchange *y = LN_CONTAINER(l, struct ln_exchange, link);
    if (y->cause != x || !y->reply) continue;
    ln_exchange_abort(y);
    LN_LIST_RESTART(l, &s->exchanges);
  }
}

void ln_exchange_call_off(struct ln_exchange *x, const char *reason) {
  ln_exchange_ref(x);
  drop_all(x, reason);
  abort_children(x);
  if (x->ask_id) ln_outbox_ask_cancel(&x->session->outbox, x->ask_id, NULL);
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
  } else if (x->msg->id.p && !x->abandoned && !x->from_server) {
    /* (Of a server's, the link that it came in has ended.) */
    struct ln_out out;
    ln_out_init(&out, reply);
    ln_out_replace(&out, reply->id, x->msg->id);
    ln_outbox_send(&x->session->outbox, x->sink, &out, true);
    ln_out_deinit(&out);
  }
  ln_msg_unref(reply);
}

void ln_exchange_finish(struct ln_exchange *x, struct ln_msg *reply) {
  if (ln_exchange_ended(x) || x->held) {
    ln_msg_unref(reply);
    return;
  }
  if (!reply) reply = ln_msg_error(-32603, "Out of memory", LN_STR_NONE);
  if (x->holds) { /* its notifications are sent first */
    x->held = reply;
    return;
  }
  end(x);
  if (reply) deliver(x, reply);
  ln_exchange_unref(x);
}

void ln_exchange_close(struct ln_exchange *x) {
  if (ln_exchange_ended(x)) return;
  /* A notification may be delivered while handlers still run. */
  if (x->handlers > 0) {
    x->state = LN_EXCHANGE_CLOSING;
    return;
  }
  end(x);
  ln_exchange_unref(x);
}

void ln_exchange_fail(struct ln_exchange *x, int code, const char *message) {
  ln_exchange_finish(x, ln_msg_error(code, message, LN_STR_NONE));
}

void ln_exchange_abandon(struct ln_exchange *x) {
  if (ln_exchange_ended(x) || x->abandoned) return;
  x->abandoned = true;
  if (!x->sink) return;
  if (x->sink->ops->give_up) x->sink->ops->give_up(x->sink);
  ln_sink_unref(x->sink);
  x->sink = NULL;
}

void ln_exchange_deserted(struct ln_exchange *x) {
  if (x && x->abandoned) ln_exchange_abort(x);
}

void ln_exchange_abort(struct ln_exchange *x) {
  if (ln_exchange_ended(x)) return;
  ln_policy_cancel(x->gen->policy, x);
  end(x);
  abort_children(x);
  if (x->ask_id) ln_outbox_ask_cancel(&x->session->outbox, x->ask_id, NULL);
  if (x->asker && x->msg->kind == LN_MSG_REQUEST && !x->asker->owner) {
    /* A shared link doesn't end with the session, so the server must get an answer. */
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

/* --- notifications before the reply --- */

void ln_exchange_hold_cause(struct ln_exchange *x) {
  x->holding = true;
  ln_exchange_ref(x->cause);
  x->cause->holds++;
}

static void release(struct ln_exchange *x) {
  if (--x->holds == 0 && x->held) {
    struct ln_msg *reply = x->held;
    x->held = NULL;
    ln_exchange_finish(x, reply);
  }
  ln_exchange_unref(x);
}
