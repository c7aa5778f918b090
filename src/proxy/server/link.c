/* MCP sessions with servers: opening, sending, closing; see link.h. What is said first in one is in
 * link_init.c, messages from the server are read in receive.c. */
#include "proxy/server/link.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/server/children.h"
#include "proxy/server/idle.h"
#include "proxy/server/link_impl.h"
#include "proxy/server/start.h"
#include "proxy/server/use.h"

enum { STEADY_MS = 10000 }; /* a link that has lasted so long counts as having worked */

static const struct ln_channel_events channel_events;
static const struct ln_calls_events calls_events;

void ln_link_set_state(struct ln_link *link, enum ln_link_state state) {
  link->state = state;
  link->calls.ready = ln_link_ready(link);
}

/* True when another link with the same server works. */
static bool works_elsewhere(const struct ln_link *link) {
  LN_LIST_EACH(l, &link->server->links) {
    const struct ln_link *other = LN_CONTAINER(l, struct ln_link, link);
    if (other != link && ln_link_ready(other)) return true;
  }
  return false;
}

/* Why a channel failed, as clients may have it: without what the server itself said, unless the
 * policy wants that shown, or whoever asks is at the command line. out: LN_WHY_MAX. */
static const char *for_clients(const struct ln_link *link, const char *why, char *out) {
  const struct ln_host *h = link->server->host;
  size_t own = link->calls.channel ? link->calls.channel->own : 0;
  if (!own || h->asked_once || h->settings.show_stderr) return why;
  snprintf(out, LN_WHY_MAX, "%.*s", (int)own, why);
  return out;
}

void ln_link_failed(struct ln_link *link, const char *why, const char *told) {
  struct ln_server *server = link->server;
  bool ready = ln_link_ready(link), elsewhere = works_elsewhere(link);
  uint64_t age = ln_loop_now(server->host->loop) - link->opened_at;
  ln_server_failed(server, &(struct ln_server_failure){
                               .why = told,
                               .worked = ready && (link->served || age > STEADY_MS || elsewhere),
                               .elsewhere = elsewhere,
                               .ready = ready,
                               .opened_at = link->opened_at});
  ln_log_write(server->host->log, server->host->asked_once ? LN_LOG_DEBUG : LN_LOG_ERROR,
               server->topic, "%s", why);
}

/* --- opening --- */

static struct ln_channel *dial(struct ln_link *link, const char **why) {
  struct ln_server *server = link->server;
  struct ln_host *h = server->host;
  *why = "out of memory";
  if (h->dial) return h->dial(h->dial_arg, server->conf, &channel_events, link, why);
  if (server->pool) return ln_channel_http(server->pool, &channel_events, link);
  return ln_channel_child(h->loop, &server->child, &channel_events, link, why);
}

static void link_free(struct ln_link *link) {
  ln_task_cancel(&link->leave);
  ln_task_cancel(&link->begin);
  ln_timer_stop(&link->idle);
  ln_children_give(link->server, link->payer);
  ln_calls_deinit(&link->calls);
  ln_msg_unref(link->init_request);
  ln_msg_unref(link->init_reply);
  ln_server_unref(link->server);
  free(link);
}

struct ln_link *ln_link_open(struct ln_server *server, struct ln_session *owner,
                             enum ln_link_use use, const char **why) {
  struct ln_host *h = server->host;
  if (h->closing) {
    *why = "Lunette is shutting down";
    return NULL;
  }
  if (server->health == LN_SERVER_DOWN && ln_loop_now(h->loop) < server->retry_at) {
    *why = server->last_error;
    return NULL;
  }
  struct ln_link *link = ln_start_take(server, owner, use);
  if (link) return link;
  link = calloc(1, sizeof *link);
  if (!link) {
    *why = "out of memory";
    return NULL;
  }
  link->server = ln_server_ref(server);
  link->serial = ++h->next_serial;
  link->owner = owner;
  link->use = use;
  link->opened_at = ln_loop_now(h->loop);
  ln_calls_init(&link->calls, server, &calls_events);
  ln_list_init(&link->watchers);
  ln_list_init(&link->asks);
  ln_list_init(&link->tasks);
  ln_list_init(&link->owner_link);
  ln_list_init(&link->link);
  ln_task_init(&link->leave);
  ln_task_init(&link->begin);
  ln_timer_init(&link->idle);
  if (!ln_children_take(server, owner, &link->payer, why)) {
    link_free(link);
    return NULL;
  }
  link->calls.channel = dial(link, why);
  if (!link->calls.channel) {
    ln_link_failed(link, *why, *why);
    *why = server->last_error;
    link_free(link);
    return NULL;
  }
  ln_list_push(&server->links, &link->link);
  return link;
}

struct ln_link *ln_link_shared(struct ln_server *server, const char **why) {
  if (server->shared) return server->shared;
  struct ln_link *link = ln_link_open(server, NULL, LN_LINK_LASTING, why);
  if (!link) return NULL;
  link->after_loss = server->shared_lost;
  server->shared_lost = false;
  server->shared = link;
  return link;
}

void ln_link_probe(struct ln_server *server) {
  const char *why;
  if (server->health != LN_SERVER_DOWN) return;
  LN_LIST_EACH(l, &server->links) {
    if (LN_CONTAINER(l, struct ln_link, link)->state < LN_LINK_READY) return;
  }
  if (ln_server_is_shared(server))
    ln_link_shared(server, &why);
  else
    ln_link_open(server, NULL, LN_LINK_PROBE, &why);
}

bool ln_link_busy(const struct ln_link *link) {
  return !ln_calls_empty(&link->calls);
}

bool ln_link_late(const struct ln_server *server) {
  uint64_t now = ln_loop_now(server->host->loop),
           patience = server->host->settings.start_timeout_ms;
  LN_LIST_EACH(l, &server->links) {
    const struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
    if (link->state < LN_LINK_READY && !link->held && now - link->opened_at > patience) return true;
  }
  return false;
}

void ln_link_watch(struct ln_link *link, struct ln_watcher *w) {
  ln_list_init(&w->link);
  if (ln_link_ready(link))
    w->fn(w, link, true, NULL);
  else if (link->state == LN_LINK_CLOSING)
    w->fn(w, link, false, ln_err_text(LN_ECLOSED));
  else
    ln_list_push(&link->watchers, &w->link);
}

void ln_link_unwatch(struct ln_watcher *w) {
  ln_list_remove(&w->link);
}

void ln_link_tell_watchers(struct ln_link *link, bool ready, const char *why) {
  struct ln_list *l;
  while ((l = ln_list_shift(&link->watchers))) {
    struct ln_watcher *w = LN_CONTAINER(l, struct ln_watcher, link);
    w->fn(w, link, ready, why);
  }
}

/* --- sending --- */

static void note_user(struct ln_link *link, uint64_t client) {
  if (!client) return;
  link->user = link->user && link->user != client ? LN_LINK_MANY : client;
}

void ln_link_use_now(struct ln_link *link) {
  if (link->used) return;
  link->used = true;
  ln_link_events_of(link)->used(link);
}

static void note_use(struct ln_link *link, const struct ln_msg *msg) {
  if (!link->used && ln_use_is(msg)) ln_link_use_now(link);
}

/* Sends it, after those that wait. Replies that say that the link has ended may lead to more calls.
 */
static void send_call(struct ln_link *link, struct ln_call *call) {
  if (link->state == LN_LINK_OPEN) {
    ln_call_send(call);
  } else if (link->state == LN_LINK_CLOSING) {
    ln_call_fail(call, "%s", ln_err_text(LN_ECLOSED));
  } else {
    ln_list_push(&link->calls.waiting, &call->in_queue);
    if (link->state == LN_LINK_READY) ln_link_send_waiting(link);
  }
}

struct ln_call *ln_link_call(struct ln_link *link, const struct ln_call_request *request) {
  struct ln_call *call = ln_call_new(&link->calls, request);
  if (!call) return NULL;
  note_user(link, request->client);
  note_use(link, call->msg);
  send_call(link, call);
  return call;
}

struct ln_call *ln_link_request(struct ln_link *link, struct ln_msg *msg, ln_reply_fn reply,
                                void *arg) {
  return ln_link_call(link, &(struct ln_call_request){.msg = msg, .reply = reply, .arg = arg});
}

void ln_link_adopt(struct ln_link *link, struct ln_call *call) {
  ln_call_move(call, &link->calls);
  note_user(link, call->client);
  note_use(link, call->msg);
  ln_list_push(&link->calls.waiting, &call->in_queue);
  if (ln_link_ready(link)) ln_link_send_waiting(link);
}

static int send_one(struct ln_link *link, struct ln_msg *msg, struct ln_str id,
                    enum ln_note_kind kind) {
  struct ln_out out;
  ln_out_init(&out, msg);
  if (id.p) ln_out_replace(&out, msg->id, id);
  int rc = ln_calls_send(&link->calls, &out, kind);
  ln_out_deinit(&out);
  return rc;
}

void ln_link_notify(struct ln_link *link, struct ln_msg *msg) {
  if (!ln_link_ready(link)) return;
  note_use(link, msg);
  int rc = send_one(link, msg, LN_STR_NONE, LN_NOTE_NOTIFICATION);
  if (rc)
    LN_LOG(link->server->host->log, WARN, link->server->topic, "%.*s was lost: %s",
           LN_STR_ARG(msg->method), ln_err_text(rc));
}

void ln_link_respond(struct ln_link *link, struct ln_str id, struct ln_msg *reply) {
  if (link->state == LN_LINK_CLOSING) return;
  int rc = send_one(link, reply, id, LN_NOTE_RESPONSE);
  if (rc)
    LN_LOG(link->server->host->log, WARN, link->server->topic, "a response was lost: %s",
           ln_err_text(rc));
}

void ln_link_pause(struct ln_link *link, bool pause) {
  if (link->paused == pause || link->state == LN_LINK_CLOSING) return;
  link->paused = pause;
  if (pause)
    ln_channel_pause(link->calls.channel);
  else
    ln_channel_resume(link->calls.channel);
}

static void set_stalled(struct ln_link *link, bool stalled) {
  if (link->stalled == stalled) return;
  link->stalled = stalled;
  ln_link_events_of(link)->stalled(link, stalled);
}

static void calls_stalled(struct ln_calls *c) {
  set_stalled(ln_link_of(c), true);
}

static void channel_drain(void *arg) {
  set_stalled(arg, false);
}

/* --- callbacks of the table of calls --- */

static void call_replied(struct ln_call *call, struct ln_msg *reply) {
  ln_link_events_of(ln_link_of(call->calls))->replied(call, reply);
}

static ln_reply_fn call_abandoned(const struct ln_call *call) {
  return ln_link_events_of(ln_link_of(call->calls))->abandoned(call);
}

static void call_release(struct ln_calls *c, struct ln_exchange *x) {
  ln_link_events_of(ln_link_of(c))->release(x);
}

static void call_ended(struct ln_calls *c) {
  ln_idle_answered(ln_link_of(c));
  ln_link_close_if_idle(ln_link_of(c));
}

static const struct ln_calls_events calls_events = {
    .stalled = calls_stalled,
    .failing = ln_link_call_failing,
    .replied = call_replied,
    .abandoned = call_abandoned,
    .release = call_release,
    .ended = call_ended,
};

/* --- the end --- */

/* It ends without having been closed by us. A link that is drained was reported as lost before. */
static void note_lost(struct ln_link *link) {
  if (link->draining) return;
  if (link->server->shared == link) link->server->shared_lost = true;
  ln_link_events_of(link)->lost(link);
}

/* Nobody finds it any more, so that it gets no new calls. */
static void detach(struct ln_link *link) {
  struct ln_server *server = link->server;
  if (server->shared == link) server->shared = NULL;
  if (server->spare == link) server->spare = NULL;
  ln_link_events_of(link)->detached(link);
  ln_list_remove(&link->owner_link);
  link->owner = NULL;
}

static void end(struct ln_link *link, const char *why) {
  ln_link_set_state(link, LN_LINK_CLOSING);
  set_stalled(link, false);
  if (!link->draining) detach(link);
  ln_calls_fail_all(&link->calls, why);
  ln_link_events_of(link)->ended(link);
  ln_link_tell_watchers(link, false, why);
}

void ln_link_close(struct ln_link *link, const char *why) {
  char copy[LN_WHY_MAX]; /* why may be freed meanwhile */
  if (link->state == LN_LINK_CLOSING) return;
  snprintf(copy, sizeof copy, "%s", why);
  end(link, copy);
  ln_channel_close(link->calls.channel);
}

void ln_link_close_if_idle(struct ln_link *link) {
  if (ln_link_busy(link)) return;
  bool single = link->use == LN_LINK_SINGLE || link->use == LN_LINK_SINGLE_TASK;
  if (single && ln_list_empty(&link->tasks))
    ln_link_close(link, "its one request is done");
  else if (link->draining)
    ln_link_close(link, "the server has ended the session");
  else if (link->server->retired && ln_link_ready(link))
    ln_link_close(link, "the server is no longer configured");
}

void ln_link_drain(struct ln_link *link) {
  if (link->draining) return;
  set_stalled(link, false);
  note_lost(link);
  detach(link);
  link->draining = true;
}

void ln_link_sleep(struct ln_link *link, const char *why) {
  if (link->state == LN_LINK_CLOSING || link->draining) return;
  if (link->server->shared == link) link->server->shared_lost = true;
  ln_link_events_of(link)->asleep(link); /* the next one may list other things */
  ln_link_close(link, why);
}

static void on_leave(struct ln_task *t) {
  struct ln_link *link = LN_CONTAINER(t, struct ln_link, leave);
  if (link->state == LN_LINK_CLOSING) return;
  ln_link_drain(link);
  ln_link_close(link, "its place was needed by another client (max_children)");
}

void ln_link_give_way(struct ln_link *link) {
  link->leaving = true;
  ln_task_post(link->server->host->loop, &link->leave, on_leave);
}

void ln_link_retire_all(struct ln_server *server) {
  server->retired = true;
  LN_LIST_EACH(l, &server->links) {
    struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
    if (!ln_link_busy(link)) ln_link_close(link, "the server is no longer configured");
  }
}

static void channel_ready(void *arg) {
  ln_link_begin(arg);
}

static void channel_lost(void *arg, const char *why) {
  struct ln_link *link = arg;
  char buffer[LN_WHY_MAX];
  if (link->state == LN_LINK_CLOSING) return;
  const char *told = for_clients(link, why, buffer);
  ln_link_failed(link, why, told);
  note_lost(link);
  ln_link_close(link, told);
}

static void channel_closed(void *arg, int err, const char *why) {
  struct ln_link *link = arg;
  struct ln_host *h = link->server->host;
  if (link->state != LN_LINK_CLOSING) {
    char buffer[LN_WHY_MAX];
    const char *told = why ? for_clients(link, why, buffer) : "the connection was closed";
    if (err) ln_link_failed(link, why ? why : told, told);
    note_lost(link);
    end(link, told);
  }
  ln_list_remove(&link->link);
  ln_link_events_of(link)->freed(link);
  link_free(link);
  ln_host_check_closed(h);
}

static void channel_failed(void *arg, uint64_t tag, int err, int status, const char *why) {
  struct ln_link *link = arg;
  struct ln_call *call = tag ? ln_calls_find(&link->calls, (int64_t)tag) : NULL;
  char buffer[LN_WHY_MAX];
  const char *told = for_clients(link, why, buffer);
  if (call && ln_link_is_initialize(link, call)) {
    ln_link_failed(link, why, told);
    ln_link_close(link, told);
    return;
  }
  if (!call || told == buffer)
    LN_LOG(link->server->host->log, WARN, link->server->topic, "%s", why);
  if (!call) {
    if (err == LN_ELIMIT || err == LN_ENOMEM) ln_link_events_of(link)->dropped(link, told);
    return;
  }
  bool forgotten = err == LN_ENOTFOUND && status == 404 && !call->retried && ln_link_ready(link);
  if (forgotten && ln_link_events_of(link)->forgotten(link, call)) return;
  ln_call_fail(call, "%s", told);
}

static void channel_parted(void *arg, uint64_t tag, uint64_t retry_ms) {
  struct ln_link *link = arg;
  struct ln_call *call = ln_calls_find(&link->calls, (int64_t)tag);
  if (call && call->x) ln_link_events_of(link)->disconnected(call, retry_ms);
}

static void channel_message(void *arg, struct ln_bytes *bytes, uint64_t related) {
  struct ln_link *link = arg;
  ln_link_events_of(link)->received(link, bytes, related);
}

static const struct ln_channel_events channel_events = {
    .ready = channel_ready,
    .message = channel_message,
    .failed = channel_failed,
    .drain = channel_drain,
    .disconnected = channel_parted,
    .lost = channel_lost,
    .closed = channel_closed,
};
