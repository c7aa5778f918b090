/* MCP sessions with servers: opened when needed, initialized as the client initialized,
 * requests numbered and matched, and an end that leaves nobody waiting. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/catalogue.h"
#include "proxy/router.h"
#include "proxy/share.h"
#include "proxy/task.h"
#include "proxy/urequest.h"

enum { BACKOFF_FIRST_MS = 250, BACKOFF_MAX_MS = 30000, STEADY_MS = 10000, REST_MS = 1000 };

static const struct ln_channel_events channel_events;

static struct ln_log *log_of(const struct ln_link *link) {
  return link->server->host->log;
}

/* The first failure after good times may be tried again at once. */
static uint64_t pause_after(unsigned failures) {
  if (failures < 2) return 0;
  unsigned doublings = failures - 2 < 7 ? failures - 2 : 7;
  return LN_MIN((uint64_t)BACKOFF_FIRST_MS << doublings, BACKOFF_MAX_MS);
}

/* Sessions of other clients with it work. */
static bool works_elsewhere(const struct ln_link *link) {
  LN_LIST_EACH(l, &link->server->links) {
    const struct ln_link *other = LN_CONTAINER(l, struct ln_link, link);
    if (other != link && other->state == LN_LINK_READY) return true;
  }
  return false;
}

/* What one client did to its own session with a server that works is nothing to others: only
 * starts that come to nothing are held against it. */
static void note_failure(struct ln_link *link, const char *why) {
  struct ln_server *server = link->server;
  uint64_t now = ln_loop_now(server->host->loop);
  bool worked = link->state == LN_LINK_READY &&
                (link->served || now - link->opened_at > STEADY_MS || works_elsewhere(link));
  if (worked) server->failures = 0;
  server->failures++;
  if (!worked)
    server->health = LN_SERVER_DOWN;
  else if (!works_elsewhere(link))
    server->health = LN_SERVER_STOPPED;
  server->retry_at = now + pause_after(server->failures);
  server->backoff_until =
      link->state == LN_LINK_READY ? 0 : now + LN_MAX(now - link->opened_at, REST_MS);
  if (why != server->last_error) snprintf(server->last_error, sizeof server->last_error, "%s", why);
  ln_log_write(log_of(link), server->host->asked_once ? LN_LOG_DEBUG : LN_LOG_ERROR, link->topic,
               "%s", why);
}

/* --- opening --- */

static struct ln_link *open_session(struct ln_server *server, struct ln_session *owner,
                                    const char **why) {
  struct ln_host *h = server->host;
  if (h->closing) {
    *why = "Lunette is shutting down";
    return NULL;
  }
  if (owner && owner->state == LN_SESSION_GONE) {
    *why = "the client's session has ended";
    return NULL;
  }
  if (server->health == LN_SERVER_DOWN && ln_loop_now(h->loop) < server->retry_at) {
    *why = server->last_error;
    return NULL;
  }
  struct ln_link *link = calloc(1, sizeof *link);
  if (!link) {
    *why = "out of memory";
    return NULL;
  }
  link->server = ln_server_ref(server);
  link->next_id = 1;
  link->opened_at = ln_loop_now(h->loop);
  snprintf(link->topic, sizeof link->topic, "upstream %s", server->conf->name);
  ln_map_init(&link->requests);
  ln_list_init(&link->waiting);
  ln_list_init(&link->watchers);
  ln_list_init(&link->asks);
  ln_list_init(&link->tasks);
  ln_list_init(&link->owner_link);
  *why = "out of memory";
  link->channel = h->dial ? h->dial(h->dial_arg, server->conf, &channel_events, link, why)
                  : server->pool
                      ? ln_channel_http(server->pool, &channel_events, link)
                      : ln_channel_child(h->loop, &server->child, &channel_events, link, why);
  if (!link->channel) {
    snprintf(server->last_error, sizeof server->last_error, "%s", *why);
    *why = server->last_error;
    note_failure(link, server->last_error);
    ln_map_deinit(&link->requests);
    ln_server_unref(server);
    free(link);
    return NULL;
  }
  link->owner = owner;
  if (owner) ln_list_push(&owner->own, &link->owner_link);
  if (owner && owner->clogged) ln_link_pause(link, true);
  ln_list_push(&server->links, &link->link);
  return link;
}

struct ln_link *ln_pool_link(struct ln_session *s, struct ln_server *server, const char **why) {
  bool shared = server->conf->session == LN_SHARING_SHARED;
  struct ln_link *link = shared ? server->shared : ln_session_link(s, server);
  if (link) return link;
  link = open_session(server, shared ? NULL : s, why);
  if (link) link->again = shared ? server->lost_shared : ln_session_found(s, server);
  if (link && shared) server->shared = link, server->lost_shared = false;
  if (link && !shared && ln_session_set_link(s, server, link)) {
    *why = "out of memory";
    ln_link_close(link, *why);
    link = NULL;
  }
  return link;
}

bool ln_link_busy(const struct ln_link *link) {
  return link->requests.len > 0 || !ln_list_empty(&link->waiting);
}

struct ln_link *ln_pool_link_for_call(struct ln_session *s, struct ln_server *server,
                                      const char **why) {
  if (server->conf->session != LN_SHARING_REQUEST) return ln_pool_link(s, server, why);
  struct ln_link *link = open_session(server, s, why);
  if (link) link->single = true;
  return link;
}

void ln_link_probe(struct ln_server *server) {
  const char *why;
  if (server->health != LN_SERVER_DOWN) return;
  LN_LIST_EACH(l, &server->links) {
    if (LN_CONTAINER(l, struct ln_link, link)->state < LN_LINK_READY) return;
  }
  struct ln_link *link = open_session(server, NULL, &why);
  if (link && server->conf->session == LN_SHARING_SHARED)
    server->shared = link;
  else if (link)
    link->probe = true;
}

void ln_link_watch(struct ln_link *link, struct ln_watcher *w) {
  if (link->state == LN_LINK_READY) {
    ln_list_init(&w->link);
    w->fn(w, link, true, NULL);
  } else {
    ln_list_push(&link->watchers, &w->link);
  }
}

void ln_link_unwatch(struct ln_watcher *w) {
  ln_list_remove(&w->link);
}

static void tell_watchers(struct ln_link *link, bool ready, const char *why) {
  struct ln_list *l;
  while ((l = ln_list_shift(&link->watchers))) {
    struct ln_watcher *w = LN_CONTAINER(l, struct ln_watcher, link);
    w->fn(w, link, ready, why);
  }
}

/* --- sending --- */

static void send_initialized(struct ln_link *link, struct ln_msg *client_words) {
  if (link->initialized_sent) return;
  link->initialized_sent = true;
  struct ln_msg *m = client_words ? ln_msg_ref(client_words)
                                  : ln_msg_notification("notifications/initialized", LN_STR_NONE);
  if (m) ln_link_notify(link, m);
  ln_msg_unref(m);
}

/* A server that starts later learns what the client had set. */
static void restore_state(struct ln_link *link) {
  struct ln_session *s = link->owner;
  struct ln_json_item logging;
  if (link->server->shared == link) ln_share_ready(link);
  if (!s) return;
  if (s->set_level && ln_capability(link->index->capabilities, "logging", &logging))
    ln_link_request(link, s->set_level, LN_STR_NONE, NULL, NULL, ln_reply_ignore, NULL);
  if (link->single) return;
  LN_LIST_EACH(l, &s->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    if (sub->server == link->server)
      ln_link_request(link, sub->msg, LN_STR_NONE, NULL, NULL, ln_reply_ignore, NULL);
  }
}

void ln_link_flush(struct ln_link *link) {
  if (ln_list_empty(&link->waiting)) return;
  if (!link->initialized_sent) {
    send_initialized(link, NULL);
    restore_state(link);
  }
  struct ln_list *l;
  while (link->state == LN_LINK_READY && (l = ln_list_shift(&link->waiting)))
    ln_call_send(link, LN_CONTAINER(l, struct ln_call, in_queue));
}

void ln_link_client_initialized(struct ln_link *link, struct ln_msg *initialized) {
  if (link->state != LN_LINK_READY || link->initialized_sent) return;
  send_initialized(link, initialized);
  restore_state(link);
  ln_link_flush(link);
}

void ln_link_pause(struct ln_link *link, bool pause) {
  if (link->paused == pause || link->state == LN_LINK_CLOSING) return;
  link->paused = pause;
  if (pause)
    ln_channel_pause(link->channel);
  else
    ln_channel_resume(link->channel);
}

/* --- the handshake --- */

void ln_link_give_up(struct ln_link *link, const char *why) {
  note_failure(link, why);
  ln_link_close(link, why);
}

static void on_initialized(void *arg, struct ln_msg *reply) {
  struct ln_link *link = arg;
  struct ln_server *server = link->server;
  struct ln_json_item it;
  char why[512];
  if (link->state == LN_LINK_CLOSING) {
    ln_msg_unref(reply);
    return;
  }
  if (reply->kind == LN_MSG_ERROR) {
    char words[400], ours[128];
    ln_msg_error_words(reply, words, sizeof words);
    /* What ln_call_fail made was not the server's refusal. */
    size_t n = LN_MIN((size_t)snprintf(ours, sizeof ours, "Server \"%s\": ", server->conf->name),
                      sizeof ours - 1);
    bool own = strncmp(words, ours, n) == 0;
    snprintf(why, sizeof why, "%s%s", own ? "" : "refused initialize: ", words + (own ? n : 0));
    goto fail;
  }
  if (!ln_json_get(reply->result, "protocolVersion", &it) || it.type != LN_JSON_STRING ||
      !ln_version_known(ln_json_inside(it.value))) {
    snprintf(why, sizeof why, "answered initialize with a protocol version Lunette doesn't know");
    goto fail;
  }
  link->state = LN_LINK_READY;
  server->health = LN_SERVER_UP;
  ln_channel_initialized(link->channel, ln_version_answer(ln_json_inside(it.value)), true);
  link->index = ln_router_index(link, reply);
  if (link->index && (!link->owner || link->owner->state == LN_SESSION_OPEN)) {
    send_initialized(link, NULL);
    restore_state(link);
  }
  ln_msg_unref(reply);
  if (!link->index) {
    ln_link_close(link, "out of memory");
    return;
  }
  tell_watchers(link, true, NULL);
  if (link->state == LN_LINK_READY) ln_link_flush(link);
  if (link->again && link->state == LN_LINK_READY) ln_router_restarted(link);
  if (link->probe) ln_link_close(link, "it was asked for nothing but whether it is there");
  return;
fail:
  ln_msg_unref(reply);
  ln_link_give_up(link, why);
}

static void channel_ready(void *arg) {
  struct ln_link *link = arg;
  if (link->state != LN_LINK_CONNECTING) return;
  link->state = LN_LINK_INITIALIZING;
  struct ln_msg *hello = ln_server_hello_request(link);
  struct ln_call *r = hello ? ln_call_new(link, hello, on_initialized, link) : NULL;
  ln_msg_unref(hello);
  if (!r) {
    ln_link_close(link, "out of memory");
    return;
  }
  ln_call_send(link, r);
}

/* --- receiving --- */

static void response_in(struct ln_link *link, struct ln_msg *msg) {
  int64_t id;
  struct ln_call *r = NULL;
  if (msg->id.p && ln_json_int(msg->id, &id)) r = ln_map_get(&link->requests, ln_call_key(&id));
  if (!r) {
    LN_LOG(log_of(link), DEBUG, link->topic, "a response nobody waits for was dropped");
    ln_msg_unref(msg);
    return;
  }
  ln_loop_doing_what(link->server->host->loop, r->msg->method);
  link->served |= link->state == LN_LINK_READY;
  ln_channel_abandon(link->channel, (uint64_t)r->id);
  r->answered = true;
  ln_call_end(r, msg);
}

/* The request that an unreadable text was meant to answer, if that can be told: it would wait until
 * its deadline otherwise. By its stream; else by the id that the text shows (words that a server
 * prints are no answer); a text too long to be had (absent) is the only one's. */
static struct ln_call *answered_badly(struct ln_link *link, struct ln_str text, uint64_t related) {
  int64_t key = (int64_t)related;
  const char *at = related || !text.p ? NULL : memmem(text.p, text.n, "\"id\"", 4);
  if (at) {
    struct ln_str rest = {at + 4, (size_t)(text.p + text.n - at - 4)};
    while (rest.n && (*rest.p == ' ' || *rest.p == ':')) rest.p++, rest.n--;
    size_t digits = 0;
    while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9') digits++;
    if (!ln_json_int((struct ln_str){rest.p, digits}, &key)) key = 0;
  }
  struct ln_call *r = key ? ln_map_get(&link->requests, ln_call_key(&key)) : NULL;
  size_t i = 0;
  struct ln_map_slot *slot;
  if (!r && !text.p && link->requests.len == 1 && ln_map_next(&link->requests, &i, &slot))
    r = slot->value;
  return r;
}

static void one_in(struct ln_link *link, struct ln_bytes *bytes, struct ln_str text,
                   uint64_t related) {
  const struct ln_settings *set = &link->server->host->settings;
  const struct ln_msg_limits limits = {.json = {.max_bytes = set->max_message_bytes,
                                                .max_depth = set->max_depth,
                                                .max_members = UINT32_MAX}};
  struct ln_msg *msg;
  struct ln_msg_fault fault;
  ln_loop_doing(link->server->host->loop, link->topic, LN_STR_LIT("a message"));
  int rc = ln_msg_parse(bytes, text, &limits, &msg, &fault);
  if (rc) {
    LN_LOG_RATIONED(log_of(link), &link->ration, ln_loop_now(link->server->host->loop), WARN,
                    link->topic, "sent what is no message (%s): %.*s",
                    *fault.text ? fault.text : ln_err_text(rc), (int)LN_MIN(text.n, (size_t)120),
                    text.p);
    ln_bytes_unref(fault.id_bytes);
    struct ln_call *r = answered_badly(link, text, related);
    if (r) {
      ln_channel_abandon(link->channel, (uint64_t)r->id);
      ln_call_fail(r, "%s", "answered with what is no message");
    }
    return;
  }
  if (msg->kind == LN_MSG_RESULT || msg->kind == LN_MSG_ERROR) {
    if (msg->kind == LN_MSG_ERROR && !msg->id.p && related) {
      /* An error for a request whose id the server could not read: it belongs to its stream. */
      int64_t key = (int64_t)related;
      struct ln_call *r = ln_map_get(&link->requests, ln_call_key(&key));
      struct ln_msg *with_id = r ? ln_msg_error_raw(msg->error) : NULL;
      ln_msg_unref(msg);
      if (with_id) {
        ln_channel_abandon(link->channel, related);
        ln_call_end(r, with_id);
      }
      return;
    }
    response_in(link, msg);
    return;
  }
  ln_loop_doing_what(link->server->host->loop, msg->method);
  int64_t key = (int64_t)related;
  struct ln_call *cause = related ? ln_map_get(&link->requests, ln_call_key(&key)) : NULL;
  ln_router_from_server(link, msg, cause);
  ln_msg_unref(msg);
}

static void channel_message(void *arg, struct ln_bytes *bytes, uint64_t related) {
  struct ln_link *link = arg;
  struct ln_str text = ln_json_trim((struct ln_str){bytes->data, bytes->len});
  if (text.n && text.p[0] == '[') { /* a batch: 2025-03-26 servers may */
    struct ln_json_info info;
    struct ln_json_limits limits = LN_JSON_LIMITS_DEFAULT;
    limits.max_bytes = link->server->host->settings.max_message_bytes;
    if (ln_json_scan(text, &limits, &info) == LN_OK) {
      struct ln_json_cur cur = ln_json_enter(text);
      struct ln_json_item it;
      while (link->state != LN_LINK_CLOSING && ln_json_next(&cur, &it))
        one_in(link, bytes, it.value, related);
      ln_bytes_unref(bytes);
      return;
    }
  }
  if (link->state != LN_LINK_CLOSING) one_in(link, bytes, text, related);
  ln_bytes_unref(bytes);
}

/* --- the end --- */

/* Out of everybody's sight: nothing new comes to it. */
static void detach(struct ln_link *link) {
  struct ln_server *server = link->server;
  if (server->shared == link) {
    server->shared = NULL;
    ln_share_lost(link);
  }
  if (link->owner && ln_session_link(link->owner, server) == link &&
      ln_session_set_link(link->owner, server, NULL))
    LN_ASSERT(false); /* taking away needs no memory */
  ln_list_remove(&link->owner_link);
  link->owner = NULL;
}

static void fail_all(struct ln_link *link, const char *why) {
  struct ln_list *l;
  while ((l = ln_list_shift(&link->waiting)))
    ln_call_fail(LN_CONTAINER(l, struct ln_call, in_queue), "%s", why);
  struct ln_map_slot *slot;
  for (size_t i = 0; i = 0, ln_map_next(&link->requests, &i, &slot);)
    ln_call_fail(slot->value, "%s", why);
  while ((l = ln_list_shift(&link->asks))) {
    struct ln_exchange *x = LN_CONTAINER(l, struct ln_exchange, asker_link);
    x->asker = NULL;
    ln_exchange_abort(x);
  }
  ln_task_link_ends(link);
  tell_watchers(link, false, why);
}

void ln_link_close_if_idle(struct ln_link *link) {
  if (ln_link_busy(link)) return;
  if (link->single && ln_list_empty(&link->tasks))
    ln_link_close(link, "its one request is done");
  else if (link->leaving)
    ln_link_close(link, "the server has ended the session");
  else if (link->server->retired && link->state == LN_LINK_READY)
    ln_link_close(link, "the server is no longer configured");
}

void ln_link_close(struct ln_link *link, const char *why) {
  if (link->state == LN_LINK_CLOSING) return;
  link->state = LN_LINK_CLOSING;
  ln_router_stalled(link, false);
  detach(link);
  char copy[LN_WHY_MAX]; /* why may be about to go */
  snprintf(copy, sizeof copy, "%s", why);
  fail_all(link, copy);
  ln_channel_close(link->channel);
}

/* It ends, and not because we wanted it. */
static void note_lost(struct ln_link *link) {
  if (link->owner)
    ln_session_lost(link->owner, link);
  else if (link->server->shared == link)
    link->server->lost_shared = true;
}

static void channel_lost(void *arg, const char *why) {
  struct ln_link *link = arg;
  if (link->state == LN_LINK_CLOSING) return;
  note_failure(link, why);
  note_lost(link);
  ln_link_close(link, why);
}

static void channel_closed(void *arg, int err, const char *why) {
  struct ln_link *link = arg;
  struct ln_server *server = link->server;
  struct ln_host *h = server->host;
  if (link->state != LN_LINK_CLOSING) {
    if (err) {
      note_failure(link, why);
    }
    note_lost(link);
    link->state = LN_LINK_CLOSING;
    ln_router_stalled(link, false);
    detach(link);
    fail_all(link, why ? why : "the connection was closed");
  }
  ln_list_remove(&link->link);
  ln_map_deinit(&link->requests);
  if (link->index && link->index->maker == link) link->index->maker = NULL;
  ln_index_unref(link->index);
  free(link);
  ln_server_unref(server);
  ln_host_check_closed(h);
}

/* The server has forgotten our session: nothing was done, so the request may go once more, to a
 * fresh one. */
static bool retry_elsewhere(struct ln_link *link, struct ln_call *r) {
  struct ln_session *s = link->owner ? link->owner : r->x ? r->x->session : NULL;
  struct ln_server *server = link->server;
  bool nobodys = !s && server->conf->session != LN_SHARING_SHARED;
  if (r->retried || nobodys || link->state != LN_LINK_READY) return false;
  const char *why;
  ln_map_remove(&link->requests, ln_call_key(&r->id));
  r->id = 0;
  r->retried = true;
  ln_router_stalled(link, false);
  note_lost(link);
  detach(link);
  struct ln_link *fresh = ln_pool_link(s, server, &why);
  r->link = fresh ? fresh : link;
  if (fresh) {
    if (r->x) { /* what the server says now may be of this */
      fresh->mixed |= fresh->user && fresh->user != r->x->session->key;
      fresh->user = r->x->session->key;
    }
    ln_list_push(&fresh->waiting, &r->in_queue);
    if (fresh->state == LN_LINK_READY) ln_link_flush(fresh);
  } else {
    ln_call_fail(r, "%s", why);
  }
  /* What else is under way in it was perhaps done before: each hears of it by itself. */
  link->leaving = true;
  ln_link_close_if_idle(link);
  return true;
}

static void channel_failed(void *arg, uint64_t tag, int err, int status, const char *why) {
  struct ln_link *link = arg;
  int64_t key = (int64_t)tag;
  struct ln_call *r = tag ? ln_map_get(&link->requests, ln_call_key(&key)) : NULL;
  if (!r) {
    LN_LOG(log_of(link), WARN, link->topic, "%s", why);
    /* An answer that was too long to take. */
    if (err == LN_ELIMIT && (r = answered_badly(link, LN_STR_NONE, 0))) ln_call_fail(r, "%s", why);
    return;
  }
  if (err == LN_ENOTFOUND && status == 404 && retry_elsewhere(link, r)) return;
  ln_call_fail(r, "%s", why);
}

static void channel_parted(void *arg, uint64_t tag, uint64_t retry_ms) {
  struct ln_link *link = arg;
  int64_t key = (int64_t)tag;
  struct ln_call *r = ln_map_get(&link->requests, ln_call_key(&key));
  struct ln_exchange *x = r ? r->x : NULL;
  if (x && !x->ended && x->sink && x->session->on_parted)
    x->session->on_parted(x->session, x->sink, retry_ms);
}

static void channel_drain(void *arg) {
  ln_router_stalled(arg, false);
}

static const struct ln_channel_events channel_events = {
    .ready = channel_ready,
    .message = channel_message,
    .failed = channel_failed,
    .drain = channel_drain,
    .parted = channel_parted,
    .lost = channel_lost,
    .closed = channel_closed,
};
