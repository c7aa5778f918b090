/* Requests to servers: numbered, spliced, sent, timed, and each answered exactly once. */
#include "proxy/urequest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/rewrite.h"
#include "proxy/router.h"
#include "proxy/task.h"

static struct ln_log *log_of(const struct ln_link *link) {
  return link->server->host->log;
}

static void send_out(struct ln_link *link, struct ln_out *out, const struct ln_channel_note *note,
                     int *rc) {
  *rc = ln_out_finish(out, link->server->pool == NULL);
  if (!*rc) *rc = ln_channel_send(link->channel, out->parts, out->n, note);
  if (*rc == LN_EFULL) {
    ln_router_stalled(link, true);
    *rc = LN_OK;
  }
}

/* Frees it without a reply. */
static void request_free(struct ln_call *r) {
  ln_timer_stop(&r->deadline);
  ln_list_remove(&r->in_queue);
  ln_list_remove(&r->x_link);
  if (r->id) ln_map_remove(&r->link->requests, ln_call_key(&r->id));
  ln_msg_unref(r->msg);
  ln_bytes_unref(r->name_with);
  ln_exchange_unref(r->x);
  free(r);
}

void ln_call_end(struct ln_call *r, struct ln_msg *reply) {
  ln_reply_fn fn = r->reply;
  void *arg = r->arg;
  struct ln_link *link = r->link;
  struct ln_exchange *x = r->x; /* outlives the callback */
  if (x) {
    ln_exchange_ref(x);
    ln_task_replied(r, reply);
  }
  bool rests = link->single || link->leaving || link->server->retired;
  request_free(r);
  if (x) {
    ln_rewrite(x, link->server, reply, fn, arg);
    ln_msg_unref(reply);
    ln_exchange_unref(x);
  } else {
    fn(arg, reply);
  }
  if (rests) ln_link_close_if_idle(link);
}

void ln_call_fail(struct ln_call *r, const char *fmt, const char *why) {
  char text[LN_WHY_MAX + 128], whole[sizeof text + 128];
  snprintf(text, sizeof text, fmt, why);
  if (r->id && r->link->state == LN_LINK_INITIALIZING) { /* no other has an id by then */
    ln_link_give_up(r->link, text);
    return;
  }
  ln_server_blame(r->link->server, text, whole, sizeof whole);
  ln_call_end(r, ln_msg_error(-32603, whole, LN_STR_NONE));
}

static void tell_cancelled(struct ln_link *link, int64_t id, const char *reason) {
  char params[256];
  snprintf(params, sizeof params, "{\"requestId\":%" PRId64 ",\"reason\":\"%s\"}", id, reason);
  struct ln_msg *m = ln_msg_notification("notifications/cancelled", ln_str_c(params));
  if (m) ln_link_notify(link, m);
  ln_msg_unref(m);
}

static uint64_t timeout_of(const struct ln_link *link) {
  uint64_t own = link->server->conf->timeout_ms;
  return own ? own : link->server->host->settings.request_timeout_ms;
}

static void on_orphaned(void *arg, struct ln_msg *reply) {
  ln_task_orphaned(arg, reply);
  ln_msg_unref(reply);
}

static void on_deadline(struct ln_timer *t);

/* Starts the deadline, or starts it anew, within the hard maximum. What waits for a task's result
 * has all of that: it is meant to wait. */
static void wind(struct ln_call *r) {
  const struct ln_link *link = r->link;
  const struct ln_host *h = link->server->host;
  uint64_t once = timeout_of(link), most = LN_MAX(h->settings.max_request_timeout_ms, once);
  uint64_t used = ln_loop_now(h->loop) - r->since, left = used < most ? most - used : 0;
  bool waits = ln_str_is(r->msg->method, "tasks/result");
  ln_timer_start(h->loop, &r->deadline, waits ? left : LN_MIN(once, left), on_deadline);
}

/* Nobody waits for what will be a task: it may only be called off as one, once its id is known.
 * False: it is nothing of the kind. */
static bool orphan(struct ln_call *r) {
  struct ln_link *link = r->link;
  if (!r->id || !r->x || link->state != LN_LINK_READY || !ln_task_wanted(link, r->msg))
    return false;
  struct ln_exchange *x = r->x;
  r->reply = on_orphaned;
  r->arg = link;
  r->x = NULL;
  ln_list_remove(&r->x_link);
  r->since = ln_loop_now(link->server->host->loop);
  wind(r);
  ln_exchange_unref(x);
  return true;
}

static void on_deadline(struct ln_timer *t) {
  struct ln_call *r = LN_CONTAINER(t, struct ln_call, deadline);
  struct ln_link *link = r->link;
  ln_reply_fn reply = r->reply;
  void *arg = r->arg;
  if (orphan(r)) {
    reply(arg, ln_msg_error(-32603, "The server made no task of the request in time", LN_STR_NONE));
    return;
  }
  bool starts = link->state != LN_LINK_READY;
  if (r->id && !starts) {
    tell_cancelled(link, r->id, "timed out");
    ln_channel_abandon(link->channel, (uint64_t)r->id);
  }
  LN_LOG(log_of(link), WARN, link->topic, "no answer to %.*s in time", LN_STR_ARG(r->msg->method));
  ln_call_fail(r, "no answer to %s in time", starts ? "initialize" : "the request");
}

void ln_call_send(struct ln_link *link, struct ln_call *r) {
  r->id = link->next_id++;
  if (ln_map_put(&link->requests, ln_call_key(&r->id), r)) {
    r->id = 0;
    ln_call_fail(r, "%s", "out of memory");
    return;
  }
  struct ln_out out;
  ln_out_init(&out, r->msg);
  ln_out_replace_int(&out, r->msg->id, r->id);
  /* The id serves as the token: one number space, one table. */
  ln_out_replace_int(&out, r->msg->progress_token, r->id);
  if (r->name_with)
    ln_out_replace(&out, r->name_at, (struct ln_str){r->name_with->data, r->name_with->len});
  struct ln_channel_note note = {.kind = LN_NOTE_REQUEST,
                                 .initialize = link->state == LN_LINK_INITIALIZING,
                                 .tag = (uint64_t)r->id};
  int rc;
  send_out(link, &out, &note, &rc);
  ln_out_deinit(&out);
  link->server->host->count.server_requests++;
  /* A child that is gone says why with its end, which is on its way. */
  if (rc == LN_ECLOSED && (!link->server->pool || link->state == LN_LINK_INITIALIZING)) return;
  if (rc)
    ln_call_fail(r, "%s",
                 rc == LN_ELIMIT ? "it reads too slowly; too much is waiting" : ln_err_text(rc));
}

struct ln_call *ln_call_new(struct ln_link *link, struct ln_msg *msg, ln_reply_fn fn, void *arg) {
  struct ln_call *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->link = link;
  r->msg = ln_msg_ref(msg);
  r->reply = fn;
  r->arg = arg;
  ln_list_init(&r->in_queue);
  ln_list_init(&r->x_link);
  ln_timer_init(&r->deadline);
  r->since = ln_loop_now(link->server->host->loop);
  wind(r);
  return r;
}

struct ln_call *ln_link_request(struct ln_link *link, struct ln_msg *msg, struct ln_str name_at,
                                struct ln_bytes *name_with, struct ln_exchange *x,
                                ln_reply_fn reply, void *arg) {
  struct ln_call *r = ln_call_new(link, msg, reply, arg);
  if (!r) return NULL;
  r->name_at = name_at;
  r->name_with = name_with ? ln_bytes_ref(name_with) : NULL;
  r->x = x;
  if (x) {
    link->mixed |= link->user && link->user != x->session->key;
    link->user = x->session->key;
    ln_exchange_ref(x);
    ln_list_push(&x->requests, &r->x_link);
  }
  if (link->state == LN_LINK_READY && link->initialized_sent) {
    ln_call_send(link, r);
  } else {
    ln_list_push(&link->waiting, &r->in_queue);
    if (link->state == LN_LINK_READY) ln_link_flush(link);
  }
  return r;
}

void ln_call_progress(struct ln_call *r) {
  wind(r);
}

void ln_call_drop(struct ln_call *r, const char *reason) {
  struct ln_link *link = r->link;
  if (orphan(r)) return;
  if (r->id && reason && link->state == LN_LINK_READY) {
    tell_cancelled(link, r->id, reason);
    ln_channel_abandon(link->channel, (uint64_t)r->id);
  }
  bool rests = link->single || link->leaving || link->server->retired;
  request_free(r);
  if (rests) ln_link_close_if_idle(link);
}

void ln_call_cancel(struct ln_call *r, const struct ln_msg *cancelled) {
  struct ln_link *link = r->link;
  struct ln_json_item id;
  if (orphan(r)) return;
  if (r->id && link->state == LN_LINK_READY && ln_json_get(cancelled->params, "requestId", &id)) {
    struct ln_out out;
    ln_out_init(&out, cancelled);
    ln_out_replace_int(&out, id.value, r->id);
    struct ln_channel_note note = {.kind = LN_NOTE_NOTIFICATION};
    int rc;
    send_out(link, &out, &note, &rc);
    ln_out_deinit(&out);
    ln_channel_abandon(link->channel, (uint64_t)r->id);
  }
  ln_call_drop(r, NULL);
}

void ln_link_notify(struct ln_link *link, struct ln_msg *msg) {
  if (link->state != LN_LINK_READY) return;
  struct ln_out out;
  ln_out_init(&out, msg);
  struct ln_channel_note note = {.kind = LN_NOTE_NOTIFICATION};
  int rc;
  send_out(link, &out, &note, &rc);
  ln_out_deinit(&out);
  if (rc)
    LN_LOG(log_of(link), WARN, link->topic, "%.*s was lost: %s", LN_STR_ARG(msg->method),
           ln_err_text(rc));
}

void ln_link_respond(struct ln_link *link, struct ln_str id, struct ln_msg *reply) {
  if (link->state == LN_LINK_CLOSING) return;
  struct ln_out out;
  ln_out_init(&out, reply);
  ln_out_replace(&out, reply->id, id);
  struct ln_channel_note note = {.kind = LN_NOTE_RESPONSE};
  int rc;
  send_out(link, &out, &note, &rc);
  ln_out_deinit(&out);
  if (rc) LN_LOG(log_of(link), WARN, link->topic, "a response was lost: %s", ln_err_text(rc));
}
