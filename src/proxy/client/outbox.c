/* Messages to a client; see outbox.h. */
#include "proxy/client/outbox.h"

#include <stdlib.h>

enum { MAX_WAITING = 256 }; /* messages held for a stream that isn't there yet */

struct waiting {
  struct ln_list link;
  struct ln_msg *msg;
  struct ln_sink *sink; /* counted; NULL: general */
};

struct ask {
  int64_t id; /* the map's key */
  struct ln_sink *sink;
  ln_reply_fn reply;
  void *arg;
};

static struct ln_str int_key(const int64_t *id) {
  return (struct ln_str){(const char *)id, sizeof *id};
}

struct ln_sink *ln_sink_ref(struct ln_sink *s) {
  s->refs++;
  return s;
}

void ln_sink_unref(struct ln_sink *s) {
  if (s && --s->refs == 0) s->ops->free(s);
}

/* --- life --- */

void ln_outbox_init(struct ln_outbox *o, struct ln_host *host, const char *name,
                    void (*on_clogged)(struct ln_outbox *o, bool clogged)) {
  *o = (struct ln_outbox){.host = host, .name = name, .next_ask = 1, .on_clogged = on_clogged};
  ln_list_init(&o->waiting);
  ln_map_init(&o->asks);
}

static void waiting_free(struct waiting *w) {
  ln_sink_unref(w->sink);
  ln_msg_unref(w->msg);
  free(w);
}

/* Out of those that wait: the caller's. */
static void take(struct ln_outbox *o, struct waiting *w) {
  ln_list_remove(&w->link);
  o->n_waiting--;
  o->waiting_bytes -= w->msg->text.n;
}

static void waiting_drop(struct ln_outbox *o, struct waiting *w) {
  take(o, w);
  waiting_free(w);
}

static void drop_waiting(struct ln_outbox *o) {
  while (!ln_list_empty(&o->waiting))
    waiting_drop(o, LN_CONTAINER(o->waiting.next, struct waiting, link));
}

static void ask_end(struct ask *a, struct ln_msg *reply) {
  ln_sink_unref(a->sink);
  a->reply(a->arg, reply);
  free(a);
}

static void drop_asks(struct ln_outbox *o) {
  size_t i = 0;
  struct ln_map_slot *slot;
  /* From the start each time: a reply function may end other requests. It can't make new ones. */
  while (i = 0, ln_map_next(&o->asks, &i, &slot)) {
    struct ask *a = slot->value;
    ln_map_remove(&o->asks, slot->key);
    ask_end(a, ln_msg_error(-32603, "The client's session has ended", LN_STR_NONE));
  }
  ln_map_deinit(&o->asks);
}

void ln_outbox_close(struct ln_outbox *o) {
  o->state = LN_OUTBOX_CLOSED;
  drop_asks(o);
  drop_waiting(o);
  ln_sink_unref(o->general);
  o->general = NULL;
}

/* --- to the client --- */

void ln_outbox_drained(struct ln_outbox *o) {
  if (o->clogged > 0 && --o->clogged == 0 && o->state != LN_OUTBOX_CLOSED && o->on_clogged)
    o->on_clogged(o, false);
}

static int send_now(struct ln_outbox *o, struct ln_sink *sink, struct ln_out *out, bool final) {
  int rc = ln_out_finish(out, sink->one_line);
  ln_bytes_charge(out->msg->bytes, o->purse);
  if (rc && final) {
    ln_outbox_fail(o, sink, ln_out_id(out));
    return rc;
  }
  if (!rc) rc = sink->ops->send(sink, out, final);
  if (rc == LN_EFULL) {
    if (o->clogged++ == 0 && o->on_clogged) o->on_clogged(o, true);
    rc = LN_OK;
  }
  return rc;
}

/* Whoever made the request hears that it was not asked. */
static void ask_fails(struct ask *a, const char *why) {
  if (a) ask_end(a, ln_msg_error(-32603, why, LN_STR_NONE));
}

/* The ask that this message is, out of the table; or NULL. */
static struct ask *ask_of(struct ln_outbox *o, const struct ln_msg *m) {
  int64_t id;
  if (m->kind != LN_MSG_REQUEST || !ln_json_int(m->id, &id)) return NULL;
  return ln_map_remove(&o->asks, int_key(&id));
}

/* If it is a request, it is answered with an error. */
static void drop_oldest(struct ln_outbox *o) {
  struct waiting *oldest = LN_CONTAINER(o->waiting.next, struct waiting, link);
  struct ask *a = ask_of(o, oldest->msg);
  LN_LOG(o->host->log, WARN, o->name, "no stream to send on: dropped %.*s",
         LN_STR_ARG(oldest->msg->method));
  waiting_drop(o, oldest);
  ask_fails(a, "The client does not listen");
}

/* Of equal notifications about changes (list_changed, updated) only the newest waits. */
static void drop_equal(struct ln_outbox *o, const struct ln_msg *m) {
  if (m->kind != LN_MSG_NOTIFICATION) return;
  enum ln_route route = ln_method_find(m->method, LN_FROM_SERVER)->route;
  if (route != LN_ROUTE_LIST_CHANGED && route != LN_ROUTE_UPDATED) return;
  LN_LIST_EACH(l, &o->waiting) {
    struct waiting *w = LN_CONTAINER(l, struct waiting, link);
    if (ln_str_eq(w->msg->method, m->method) && ln_str_eq(w->msg->params, m->params))
      waiting_drop(o, w);
  }
}

/* Keeps a message until it can go out; the oldest go when there are too many. */
static int hold(struct ln_outbox *o, struct ln_sink *sink, struct ln_out *out) {
  struct waiting *w = calloc(1, sizeof *w);
  if (w) w->msg = ln_msg_edit(out->msg, out->edits, out->n_edits);
  if (!w || !w->msg) {
    free(w);
    return LN_ENOMEM;
  }
  w->sink = sink ? ln_sink_ref(sink) : NULL;
  ln_bytes_charge(w->msg->bytes, o->purse);
  drop_equal(o, w->msg);
  ln_list_push(&o->waiting, &w->link);
  o->n_waiting++;
  o->waiting_bytes += w->msg->text.n;
  size_t max = o->host->settings.max_message_bytes * 2;
  while (o->n_waiting > 1 && (o->n_waiting > MAX_WAITING || o->waiting_bytes > max)) drop_oldest(o);
  return LN_OK;
}

/* The client's word is awaited that it is ready for requests. */
static bool early(const struct ln_outbox *o, const struct ln_msg *m) {
  return o->state != LN_OUTBOX_OPEN && m->kind == LN_MSG_REQUEST;
}

/* LN_OK: sent, or kept until it can be. */
static int send_or_hold(struct ln_outbox *o, struct ln_sink *sink, struct ln_out *out, bool final) {
  struct ln_sink *to = sink ? sink : o->general;
  int rc = !to || early(o, out->msg) ? hold(o, sink, out) : send_now(o, to, out, final);
  if (rc)
    LN_LOG(o->host->log, DEBUG, o->name, "a message to the client was lost: %s", ln_err_text(rc));
  return rc;
}

void ln_outbox_send(struct ln_outbox *o, struct ln_sink *sink, struct ln_out *out, bool final) {
  if (o->state == LN_OUTBOX_CLOSED) return;
  int rc = send_or_hold(o, sink, out, final);
  (void)rc; /* the log has it, and nobody waits for an answer to it */
}

/* The first of those that wait that can go out now, or NULL. */
static struct waiting *next_to_go(struct ln_outbox *o) {
  LN_LIST_EACH(l, &o->waiting) {
    struct waiting *w = LN_CONTAINER(l, struct waiting, link);
    if ((w->sink || o->general) && !early(o, w->msg)) return w;
  }
  return NULL;
}

void ln_outbox_fail(struct ln_outbox *o, struct ln_sink *sink, struct ln_str id) {
  struct ln_msg *m = ln_msg_error(-32603, "Out of memory", LN_STR_NONE);
  struct ln_out out;
  ln_out_init(&out, m);
  ln_out_replace(&out, m->id, id);
  ln_outbox_send(o, sink, &out, true);
  ln_out_deinit(&out);
  ln_msg_unref(m);
}

void ln_outbox_flush(struct ln_outbox *o) {
  struct waiting *w;
  while ((w = next_to_go(o))) {
    struct ln_out out;
    take(o, w);
    ln_out_init(&out, w->msg);
    int rc = send_or_hold(o, w->sink, &out, false);
    ln_out_deinit(&out);
    if (rc) ask_fails(ask_of(o, w->msg), "The client can't be asked");
    waiting_free(w);
  }
}

void ln_outbox_set_general(struct ln_outbox *o, struct ln_sink *sink) {
  if (sink) ln_sink_ref(sink);
  ln_sink_unref(o->general);
  o->general = sink;
  ln_outbox_flush(o);
}

void ln_outbox_notify(struct ln_outbox *o, const char *method) {
  struct ln_msg *m = ln_msg_notification(method, LN_STR_NONE);
  if (!m) return;
  struct ln_out out;
  ln_out_init(&out, m);
  ln_outbox_send(o, NULL, &out, false);
  ln_out_deinit(&out);
  ln_msg_unref(m);
}

/* --- requests to the client --- */

int64_t ln_outbox_ask(struct ln_outbox *o, struct ln_sink *sink, struct ln_msg *request,
                      ln_reply_fn reply, void *arg) {
  /* Servers' requests have the same limit as the client's. */
  if (o->state == LN_OUTBOX_CLOSED || o->asks.len >= o->host->settings.max_in_flight) return 0;
  struct ask *a = calloc(1, sizeof *a);
  if (!a) return 0;
  a->id = o->next_ask++;
  a->reply = reply;
  a->arg = arg;
  a->sink = sink ? ln_sink_ref(sink) : NULL;
  if (ln_map_put(&o->asks, int_key(&a->id), a)) {
    ln_sink_unref(a->sink);
    free(a);
    return 0;
  }
  int64_t id = a->id;
  struct ln_out out;
  ln_out_init(&out, request);
  ln_out_replace_int(&out, request->id, id);
  ln_out_replace_int(&out, request->progress_token, id); /* two servers may choose the same */
  int rc = send_or_hold(o, sink, &out, false);
  ln_out_deinit(&out);
  if (!rc) return id;
  a = ln_map_remove(&o->asks, int_key(&id));
  if (!a) return id; /* answered from inside */
  ln_sink_unref(a->sink);
  free(a);
  return 0;
}

/* It has not been sent: nobody need know that it was to be. */
static bool unsent(struct ln_outbox *o, const struct ask *a) {
  LN_LIST_EACH(l, &o->waiting) {
    struct waiting *w = LN_CONTAINER(l, struct waiting, link);
    int64_t id;
    if (w->msg->kind != LN_MSG_REQUEST || !ln_json_int(w->msg->id, &id) || id != a->id) continue;
    waiting_drop(o, w);
    return true;
  }
  return false;
}

static void notify_cancelled(struct ln_outbox *o, const struct ask *a, struct ln_msg *cancelled) {
  if (unsent(o, a)) return;
  struct ln_msg *m =
      cancelled
          ? ln_msg_ref(cancelled)
          : ln_msg_notification("notifications/cancelled",
                                LN_STR_LIT("{\"requestId\":0,\"reason\":\"no longer needed\"}"));
  struct ln_json_item request_id;
  if (m && ln_json_get(m->params, "requestId", &request_id)) {
    struct ln_out out;
    ln_out_init(&out, m);
    ln_out_replace_int(&out, request_id.value, a->id);
    ln_outbox_send(o, a->sink, &out, false);
    ln_out_deinit(&out);
  }
  ln_msg_unref(m);
}

void ln_outbox_ask_cancel(struct ln_outbox *o, int64_t id, struct ln_msg *cancelled) {
  struct ask *a = ln_map_remove(&o->asks, int_key(&id));
  if (!a) return;
  notify_cancelled(o, a, cancelled);
  ln_sink_unref(a->sink);
  free(a);
}

void ln_outbox_ask_withdraw(struct ln_outbox *o, int64_t id, struct ln_msg *reply) {
  struct ask *a = ln_map_remove(&o->asks, int_key(&id));
  if (!a) {
    ln_msg_unref(reply);
    return;
  }
  notify_cancelled(o, a, NULL);
  ask_end(a, reply);
}

void ln_outbox_answer(struct ln_outbox *o, struct ln_msg *response) {
  int64_t id;
  if (!response->id.p || !ln_json_int(response->id, &id)) return;
  struct ask *a = ln_map_remove(&o->asks, int_key(&id));
  if (a) ask_end(a, ln_msg_ref(response));
}
