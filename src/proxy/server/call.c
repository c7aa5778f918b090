/* Requests to servers; see call.h. */
#include "proxy/server/call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct ln_str key_of(const int64_t *id) {
  return (struct ln_str){(const char *)id, sizeof *id};
}

/* --- the table --- */

void ln_calls_init(struct ln_calls *c, struct ln_server *server,
                   const struct ln_calls_events *events) {
  *c = (struct ln_calls){.server = server, .events = events, .next_id = 1};
  ln_map_init(&c->sent);
  ln_list_init(&c->waiting);
}

void ln_calls_deinit(struct ln_calls *c) {
  ln_map_deinit(&c->sent);
}

bool ln_calls_empty(const struct ln_calls *c) {
  return c->sent.len == 0 && ln_list_empty(&c->waiting);
}

struct ln_call *ln_calls_find(const struct ln_calls *c, int64_t id) {
  return ln_map_get(&c->sent, key_of(&id));
}

void ln_calls_fail_all(struct ln_calls *c, const char *why) {
  struct ln_list *l;
  while ((l = ln_list_shift(&c->waiting)))
    ln_call_fail(LN_CONTAINER(l, struct ln_call, in_queue), "%s", why);
  struct ln_map_slot *slot;
  /* From the start each time: a reply function may end other calls. */
  for (size_t i = 0; i = 0, ln_map_next(&c->sent, &i, &slot);) ln_call_fail(slot->value, "%s", why);
}

static int send_out(struct ln_calls *c, struct ln_out *out, const struct ln_channel_note *note) {
  int rc = ln_out_finish(out, c->server->pool == NULL);
  if (!rc) rc = ln_channel_send(c->channel, out->parts, out->n, note);
  if (rc != LN_EFULL) return rc;
  c->events->stalled(c);
  return LN_OK;
}

int ln_calls_send(struct ln_calls *c, struct ln_out *out, enum ln_note_kind kind) {
  return send_out(c, out, &(struct ln_channel_note){.kind = kind});
}

/* --- the deadline --- */

static void on_deadline(struct ln_timer *t);

/* Starts or restarts it, within max_request_timeout. tasks/result has all of that, as it waits
 * until the task is done. */
static void start_deadline(struct ln_call *call) {
  const struct ln_server *server = call->calls->server;
  const struct ln_host *h = server->host;
  uint64_t once = ln_server_timeout(server), max = LN_MAX(h->settings.max_request_timeout_ms, once);
  uint64_t used = ln_loop_now(h->loop) - call->since, left = used < max ? max - used : 0;
  bool waits = ln_str_is(call->msg->method, "tasks/result");
  ln_timer_start(h->loop, &call->deadline, waits ? left : LN_MIN(once, left), on_deadline);
}

void ln_call_progress(struct ln_call *call) {
  start_deadline(call);
}

/* --- beginning --- */

struct ln_call *ln_call_new(struct ln_calls *c, const struct ln_call_request *request) {
  struct ln_call *call = ln_zalloc(sizeof *call);
  if (!call) return NULL;
  call->calls = c;
  call->msg = ln_msg_ref(request->msg);
  call->name_at = request->name_at;
  call->name_with = request->name_with ? ln_bytes_ref(request->name_with) : NULL;
  call->x = request->x;
  call->client = request->client;
  call->reply = request->reply;
  call->arg = request->arg;
  ln_list_init(&call->in_queue);
  ln_list_init(&call->in_exchange);
  if (request->x_calls) ln_list_push(request->x_calls, &call->in_exchange);
  ln_timer_init(&call->deadline);
  call->since = ln_loop_now(c->server->host->loop);
  start_deadline(call);
  return call;
}

void ln_call_send(struct ln_call *call) {
  struct ln_calls *c = call->calls;
  call->id = c->next_id++;
  if (ln_map_put(&c->sent, key_of(&call->id), call)) {
    call->id = 0;
    ln_list_push(&c->waiting, &call->in_queue); /* its link may end by it, and looks there */
    ln_call_fail(call, "%s", "out of memory");
    return;
  }
  struct ln_out out;
  ln_out_init(&out, call->msg);
  ln_out_replace_int(&out, call->msg->id, call->id);
  /* The id is the progress token too, so that progress is found in the same table. */
  ln_out_replace_int(&out, call->msg->progress_token, call->id);
  if (call->name_with) ln_out_replace(&out, call->name_at, ln_bytes_str(call->name_with));
  bool ready = c->ready; /* else it is initialize */
  int rc = send_out(c, &out,
                    &(struct ln_channel_note){
                        .kind = LN_NOTE_REQUEST, .initialize = !ready, .tag = (uint64_t)call->id});
  ln_out_deinit(&out);
  c->server->host->count.server_requests++;
  /* When a child has ended, the channel's `closed` follows and says why. */
  if (rc == LN_ECLOSED && (!c->server->pool || !ready)) return;
  if (rc)
    ln_call_fail(call, "%s",
                 rc == LN_ELIMIT ? "it reads too slowly; too much is waiting" : ln_err_text(rc));
}

void ln_call_move(struct ln_call *call, struct ln_calls *to) {
  ln_list_remove(&call->in_queue);
  if (call->id) ln_map_remove(&call->calls->sent, key_of(&call->id));
  call->id = 0;
  call->calls = to;
}

/* --- ending --- */

/* Takes it out of all tables. */
static void detach(struct ln_call *call) {
  ln_timer_stop(&call->deadline);
  ln_list_remove(&call->in_queue);
  ln_list_remove(&call->in_exchange);
  if (call->id) ln_map_remove(&call->calls->sent, key_of(&call->id));
}

static void call_free(struct ln_call *call) {
  ln_msg_unref(call->msg);
  ln_bytes_unref(call->name_with);
  if (call->x) call->calls->events->release(call->calls, call->x);
  free(call);
}

void ln_call_end(struct ln_call *call, struct ln_msg *reply) {
  struct ln_calls *c = call->calls;
  detach(call);
  if (call->x)
    c->events->replied(call, reply);
  else
    call->reply(call->arg, reply);
  call_free(call);
  c->events->ended(c);
}

void ln_call_fail(struct ln_call *call, const char *fmt, const char *why) {
  char text[LN_WHY_MAX + 128], whole[sizeof text + 128];
  snprintf(text, sizeof text, fmt, why);
  if (call->calls->events->failing(call, text)) return;
  ln_server_error_text(call->calls->server, text, whole, sizeof whole);
  ln_call_end(call, ln_msg_error(-32603, whole, LN_STR_NONE));
}

static void notify_cancelled(struct ln_call *call, const char *reason) {
  char params[256];
  snprintf(params, sizeof params, "{\"requestId\":%" PRId64 ",\"reason\":\"%s\"}", call->id,
           reason);
  struct ln_msg *m = ln_msg_notification("notifications/cancelled", ln_str_c(params));
  if (m) {
    struct ln_out out;
    ln_out_init(&out, m);
    int rc = ln_calls_send(call->calls, &out, LN_NOTE_NOTIFICATION);
    (void)rc; /* if it fails, the channel is about to close */
    ln_out_deinit(&out);
  }
  ln_msg_unref(m);
  ln_channel_abandon(call->calls->channel, (uint64_t)call->id);
}

/* Its maker no longer waits for it, but the server must not be told so (ln_link_events.abandoned):
 * another function takes its reply. False: it can be cancelled as usual. */
static bool abandon(struct ln_call *call) {
  struct ln_calls *c = call->calls;
  if (!call->id || !call->x || !c->ready) return false;
  ln_reply_fn taken_by = c->events->abandoned(call);
  if (!taken_by) return false;
  struct ln_exchange *x = call->x;
  call->reply = taken_by;
  call->arg = c;
  call->x = NULL;
  ln_list_remove(&call->in_exchange);
  call->since = ln_loop_now(c->server->host->loop);
  start_deadline(call);
  c->events->release(c, x);
  return true;
}

static void on_deadline(struct ln_timer *t) {
  struct ln_call *call = LN_CONTAINER(t, struct ln_call, deadline);
  struct ln_calls *c = call->calls;
  ln_reply_fn reply = call->reply;
  void *arg = call->arg;
  if (abandon(call)) {
    reply(arg, ln_msg_error(-32603, "The server made no task of the request in time", LN_STR_NONE));
    return;
  }
  if (call->id && c->ready) notify_cancelled(call, "timed out");
  LN_LOG(c->server->host->log, WARN, c->server->topic, "no answer to %.*s in time",
         LN_STR_ARG(call->msg->method));
  ln_call_fail(call, "no answer to %s in time", c->ready ? "the request" : "initialize");
}

void ln_call_drop(struct ln_call *call, const char *reason) {
  struct ln_calls *c = call->calls;
  if (abandon(call)) return;
  if (call->id && reason && c->ready) notify_cancelled(call, reason);
  detach(call);
  call_free(call);
  c->events->ended(c);
}

void ln_call_cancel(struct ln_call *call, const struct ln_msg *cancelled) {
  struct ln_calls *c = call->calls;
  struct ln_json_item id;
  if (abandon(call)) return;
  if (call->id && c->ready && ln_json_get(cancelled->params, "requestId", &id)) {
    struct ln_out out;
    ln_out_init(&out, cancelled);
    ln_out_replace_int(&out, id.value, call->id);
    int rc = ln_calls_send(c, &out, LN_NOTE_NOTIFICATION);
    (void)rc;
    ln_out_deinit(&out);
    ln_channel_abandon(c->channel, (uint64_t)call->id);
  }
  ln_call_drop(call, NULL);
}
