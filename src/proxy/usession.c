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

static struct ln_log *log_of(const struct ln_usession *us) {
  return us->upstream->host->log;
}

/* The first failure after good times may be tried again at once. */
static uint64_t pause_after(unsigned failures) {
  if (failures < 2) return 0;
  unsigned doublings = failures - 2 < 7 ? failures - 2 : 7;
  return LN_MIN((uint64_t)BACKOFF_FIRST_MS << doublings, BACKOFF_MAX_MS);
}

/* Sessions of other clients with it work. */
static bool works_elsewhere(const struct ln_usession *us) {
  LN_LIST_EACH(l, &us->upstream->usessions) {
    const struct ln_usession *other = LN_CONTAINER(l, struct ln_usession, link);
    if (other != us && other->state == LN_US_READY) return true;
  }
  return false;
}

/* What one client did to its own session with a server that works is nothing to others: only
 * starts that come to nothing are held against it. */
static void note_failure(struct ln_usession *us, const char *why) {
  struct ln_upstream *u = us->upstream;
  uint64_t now = ln_loop_now(u->host->loop);
  bool worked = us->state == LN_US_READY &&
                (us->served || now - us->opened_at > STEADY_MS || works_elsewhere(us));
  if (worked) u->failures = 0;
  u->failures++;
  if (!worked)
    u->health = LN_UPSTREAM_DOWN;
  else if (!works_elsewhere(us))
    u->health = LN_UPSTREAM_STOPPED;
  u->retry_at = now + pause_after(u->failures);
  u->rest_until = us->state == LN_US_READY ? 0 : now + LN_MAX(now - us->opened_at, REST_MS);
  if (why != u->last_error) snprintf(u->last_error, sizeof u->last_error, "%s", why);
  ln_log_write(log_of(us), u->host->asked_once ? LN_LOG_DEBUG : LN_LOG_ERROR, us->topic, "%s", why);
}

/* --- opening --- */

static struct ln_usession *open_session(struct ln_upstream *u, struct ln_session *owner,
                                        const char **why) {
  struct ln_host *h = u->host;
  if (h->closing) {
    *why = "Lunette is shutting down";
    return NULL;
  }
  if (owner && owner->state == LN_SESSION_GONE) {
    *why = "the client's session has ended";
    return NULL;
  }
  if (u->health == LN_UPSTREAM_DOWN && ln_loop_now(h->loop) < u->retry_at) {
    *why = u->last_error;
    return NULL;
  }
  struct ln_usession *us = calloc(1, sizeof *us);
  if (!us) {
    *why = "out of memory";
    return NULL;
  }
  us->upstream = ln_upstream_ref(u);
  us->next_id = 1;
  us->opened_at = ln_loop_now(h->loop);
  snprintf(us->topic, sizeof us->topic, "upstream %s", u->conf->name);
  ln_map_init(&us->requests);
  ln_list_init(&us->waiting);
  ln_list_init(&us->watchers);
  ln_list_init(&us->asks);
  ln_list_init(&us->tasks);
  ln_list_init(&us->owner_link);
  *why = "out of memory";
  us->channel = h->dial   ? h->dial(h->dial_arg, u->conf, &channel_events, us, why)
                : u->pool ? ln_channel_http(u->pool, &channel_events, us)
                          : ln_channel_child(h->loop, &u->child, &channel_events, us, why);
  if (!us->channel) {
    snprintf(u->last_error, sizeof u->last_error, "%s", *why);
    *why = u->last_error;
    note_failure(us, u->last_error);
    ln_map_deinit(&us->requests);
    ln_upstream_unref(u);
    free(us);
    return NULL;
  }
  us->owner = owner;
  if (owner) ln_list_push(&owner->own, &us->owner_link);
  if (owner && owner->clogged) ln_usession_pause(us, true);
  ln_list_push(&u->usessions, &us->link);
  return us;
}

struct ln_usession *ln_usession_for(struct ln_session *s, struct ln_upstream *u, const char **why) {
  bool shared = u->conf->session == LN_SESSION_SHARED;
  struct ln_usession *us = shared ? u->shared : ln_session_usession(s, u);
  if (us) return us;
  us = open_session(u, shared ? NULL : s, why);
  if (us) us->again = shared ? u->lost_shared : ln_session_found(s, u);
  if (us && shared) u->shared = us, u->lost_shared = false;
  if (us && !shared && ln_session_set_usession(s, u, us)) {
    *why = "out of memory";
    ln_usession_close(us, *why);
    us = NULL;
  }
  return us;
}

bool ln_usession_busy(const struct ln_usession *us) {
  return us->requests.len > 0 || !ln_list_empty(&us->waiting);
}

struct ln_usession *ln_usession_for_request(struct ln_session *s, struct ln_upstream *u,
                                            const char **why) {
  if (u->conf->session != LN_SESSION_REQUEST) return ln_usession_for(s, u, why);
  struct ln_usession *us = open_session(u, s, why);
  if (us) us->single = true;
  return us;
}

void ln_usession_probe(struct ln_upstream *u) {
  const char *why;
  if (u->health != LN_UPSTREAM_DOWN) return;
  LN_LIST_EACH(l, &u->usessions) {
    if (LN_CONTAINER(l, struct ln_usession, link)->state < LN_US_READY) return;
  }
  struct ln_usession *us = open_session(u, NULL, &why);
  if (us && u->conf->session == LN_SESSION_SHARED)
    u->shared = us;
  else if (us)
    us->probe = true;
}

void ln_usession_watch(struct ln_usession *us, struct ln_watcher *w) {
  if (us->state == LN_US_READY) {
    ln_list_init(&w->link);
    w->fn(w, us, true, NULL);
  } else {
    ln_list_push(&us->watchers, &w->link);
  }
}

void ln_usession_unwatch(struct ln_watcher *w) {
  ln_list_remove(&w->link);
}

static void tell_watchers(struct ln_usession *us, bool ready, const char *why) {
  struct ln_list *l;
  while ((l = ln_list_shift(&us->watchers))) {
    struct ln_watcher *w = LN_CONTAINER(l, struct ln_watcher, link);
    w->fn(w, us, ready, why);
  }
}

/* --- sending --- */

static void send_initialized(struct ln_usession *us, struct ln_msg *client_words) {
  if (us->initialized_sent) return;
  us->initialized_sent = true;
  struct ln_msg *m = client_words ? ln_msg_ref(client_words)
                                  : ln_msg_notification("notifications/initialized", LN_STR_NONE);
  if (m) ln_usession_notify(us, m);
  ln_msg_unref(m);
}

void ln_reply_ignore(void *arg, struct ln_msg *reply) {
  (void)arg;
  ln_msg_unref(reply);
}

/* A server that starts later learns what the client had set. */
static void restore_state(struct ln_usession *us) {
  struct ln_session *s = us->owner;
  struct ln_json_item logging;
  if (us->upstream->shared == us) ln_share_ready(us);
  if (!s) return;
  if (s->set_level && ln_capability(us->catalogue->capabilities, "logging", &logging))
    ln_usession_request(us, s->set_level, LN_STR_NONE, NULL, NULL, ln_reply_ignore, NULL);
  if (us->single) return;
  LN_LIST_EACH(l, &s->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    if (sub->upstream == us->upstream)
      ln_usession_request(us, sub->msg, LN_STR_NONE, NULL, NULL, ln_reply_ignore, NULL);
  }
}

void ln_usession_flush(struct ln_usession *us) {
  if (ln_list_empty(&us->waiting)) return;
  if (!us->initialized_sent) {
    send_initialized(us, NULL);
    restore_state(us);
  }
  struct ln_list *l;
  while (us->state == LN_US_READY && (l = ln_list_shift(&us->waiting)))
    ln_urequest_send(us, LN_CONTAINER(l, struct ln_urequest, link));
}

void ln_usession_client_open(struct ln_usession *us, struct ln_msg *initialized) {
  if (us->state != LN_US_READY || us->initialized_sent) return;
  send_initialized(us, initialized);
  restore_state(us);
  ln_usession_flush(us);
}

void ln_usession_pause(struct ln_usession *us, bool pause) {
  if (us->paused == pause || us->state == LN_US_CLOSING) return;
  us->paused = pause;
  if (pause)
    ln_channel_pause(us->channel);
  else
    ln_channel_resume(us->channel);
}

/* --- the handshake --- */

void ln_usession_give_up(struct ln_usession *us, const char *why) {
  note_failure(us, why);
  ln_usession_close(us, why);
}

static void on_initialized(void *arg, struct ln_msg *reply) {
  struct ln_usession *us = arg;
  struct ln_upstream *u = us->upstream;
  struct ln_json_item it;
  char why[512];
  if (us->state == LN_US_CLOSING) {
    ln_msg_unref(reply);
    return;
  }
  if (reply->kind == LN_MSG_ERROR) {
    char words[400], ours[128];
    ln_msg_error_words(reply, words, sizeof words);
    /* What ln_urequest_fail made was not the server's refusal. */
    size_t n = LN_MIN((size_t)snprintf(ours, sizeof ours, "Server \"%s\": ", u->conf->name),
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
  us->state = LN_US_READY;
  u->health = LN_UPSTREAM_UP;
  ln_channel_initialized(us->channel, ln_version_answer(ln_json_inside(it.value)), true);
  us->catalogue = ln_router_catalogue(us, reply);
  if (us->catalogue && (!us->owner || us->owner->state == LN_SESSION_OPEN)) {
    send_initialized(us, NULL);
    restore_state(us);
  }
  ln_msg_unref(reply);
  if (!us->catalogue) {
    ln_usession_close(us, "out of memory");
    return;
  }
  tell_watchers(us, true, NULL);
  if (us->state == LN_US_READY) ln_usession_flush(us);
  if (us->again && us->state == LN_US_READY) ln_router_restarted(us);
  if (us->probe) ln_usession_close(us, "it was asked for nothing but whether it is there");
  return;
fail:
  ln_msg_unref(reply);
  ln_usession_give_up(us, why);
}

static void channel_ready(void *arg) {
  struct ln_usession *us = arg;
  if (us->state != LN_US_CONNECTING) return;
  us->state = LN_US_INITIALIZING;
  struct ln_msg *hello = ln_router_hello(us);
  struct ln_urequest *r = hello ? ln_urequest_new(us, hello, on_initialized, us) : NULL;
  ln_msg_unref(hello);
  if (!r) {
    ln_usession_close(us, "out of memory");
    return;
  }
  ln_urequest_send(us, r);
}

/* --- receiving --- */

static void response_in(struct ln_usession *us, struct ln_msg *msg) {
  int64_t id;
  struct ln_urequest *r = NULL;
  if (msg->id.p && ln_json_int(msg->id, &id)) r = ln_map_get(&us->requests, ln_urequest_key(&id));
  if (!r) {
    LN_LOG(log_of(us), DEBUG, us->topic, "a response nobody waits for was dropped");
    ln_msg_unref(msg);
    return;
  }
  ln_loop_doing_what(us->upstream->host->loop, r->msg->method);
  us->served |= us->state == LN_US_READY;
  ln_channel_abandon(us->channel, (uint64_t)r->id);
  r->answered = true;
  ln_urequest_end(r, msg);
}

/* The request that an unreadable text was meant to answer, if that can be told: it would wait until
 * its deadline otherwise. By its stream; else by the id that the text shows (words that a server
 * prints are no answer); a text too long to be had (absent) is the only one's. */
static struct ln_urequest *answered_badly(struct ln_usession *us, struct ln_str text,
                                          uint64_t related) {
  int64_t key = (int64_t)related;
  const char *at = related || !text.p ? NULL : memmem(text.p, text.n, "\"id\"", 4);
  if (at) {
    struct ln_str rest = {at + 4, (size_t)(text.p + text.n - at - 4)};
    while (rest.n && (*rest.p == ' ' || *rest.p == ':')) rest.p++, rest.n--;
    size_t digits = 0;
    while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9') digits++;
    if (!ln_json_int((struct ln_str){rest.p, digits}, &key)) key = 0;
  }
  struct ln_urequest *r = key ? ln_map_get(&us->requests, ln_urequest_key(&key)) : NULL;
  size_t i = 0;
  struct ln_map_slot *slot;
  if (!r && !text.p && us->requests.len == 1 && ln_map_next(&us->requests, &i, &slot))
    r = slot->value;
  return r;
}

static void one_in(struct ln_usession *us, struct ln_bytes *bytes, struct ln_str text,
                   uint64_t related) {
  const struct ln_settings *set = &us->upstream->host->settings;
  const struct ln_msg_limits limits = {.json = {.max_bytes = set->max_message_bytes,
                                                .max_depth = set->max_depth,
                                                .max_members = UINT32_MAX}};
  struct ln_msg *msg;
  struct ln_msg_fault fault;
  ln_loop_doing(us->upstream->host->loop, us->topic, LN_STR_LIT("a message"));
  int rc = ln_msg_parse(bytes, text, &limits, &msg, &fault);
  if (rc) {
    LN_LOG_RATIONED(log_of(us), &us->ration, ln_loop_now(us->upstream->host->loop), WARN, us->topic,
                    "sent what is no message (%s): %.*s",
                    *fault.text ? fault.text : ln_err_text(rc), (int)LN_MIN(text.n, (size_t)120),
                    text.p);
    ln_bytes_unref(fault.id_bytes);
    struct ln_urequest *r = answered_badly(us, text, related);
    if (r) {
      ln_channel_abandon(us->channel, (uint64_t)r->id);
      ln_urequest_fail(r, "%s", "answered with what is no message");
    }
    return;
  }
  if (msg->kind == LN_MSG_RESULT || msg->kind == LN_MSG_ERROR) {
    if (msg->kind == LN_MSG_ERROR && !msg->id.p && related) {
      /* An error for a request whose id the server could not read: it belongs to its stream. */
      int64_t key = (int64_t)related;
      struct ln_urequest *r = ln_map_get(&us->requests, ln_urequest_key(&key));
      struct ln_msg *with_id = r ? ln_msg_error_raw(msg->error) : NULL;
      ln_msg_unref(msg);
      if (with_id) {
        ln_channel_abandon(us->channel, related);
        ln_urequest_end(r, with_id);
      }
      return;
    }
    response_in(us, msg);
    return;
  }
  ln_loop_doing_what(us->upstream->host->loop, msg->method);
  int64_t key = (int64_t)related;
  struct ln_urequest *cause = related ? ln_map_get(&us->requests, ln_urequest_key(&key)) : NULL;
  ln_router_from_server(us, msg, cause);
  ln_msg_unref(msg);
}

static void channel_message(void *arg, struct ln_bytes *bytes, uint64_t related) {
  struct ln_usession *us = arg;
  struct ln_str text = ln_json_trim((struct ln_str){bytes->data, bytes->len});
  if (text.n && text.p[0] == '[') { /* a batch: 2025-03-26 servers may */
    struct ln_json_info info;
    struct ln_json_limits limits = LN_JSON_LIMITS_DEFAULT;
    limits.max_bytes = us->upstream->host->settings.max_message_bytes;
    if (ln_json_scan(text, &limits, &info) == LN_OK) {
      struct ln_json_cur cur = ln_json_enter(text);
      struct ln_json_item it;
      while (us->state != LN_US_CLOSING && ln_json_next(&cur, &it))
        one_in(us, bytes, it.value, related);
      ln_bytes_unref(bytes);
      return;
    }
  }
  if (us->state != LN_US_CLOSING) one_in(us, bytes, text, related);
  ln_bytes_unref(bytes);
}

/* --- the end --- */

/* Out of everybody's sight: nothing new comes to it. */
static void detach(struct ln_usession *us) {
  struct ln_upstream *u = us->upstream;
  if (u->shared == us) {
    u->shared = NULL;
    ln_share_lost(us);
  }
  if (us->owner && ln_session_usession(us->owner, u) == us &&
      ln_session_set_usession(us->owner, u, NULL))
    LN_ASSERT(false); /* taking away needs no memory */
  ln_list_remove(&us->owner_link);
  us->owner = NULL;
}

static void fail_all(struct ln_usession *us, const char *why) {
  struct ln_list *l;
  while ((l = ln_list_shift(&us->waiting)))
    ln_urequest_fail(LN_CONTAINER(l, struct ln_urequest, link), "%s", why);
  struct ln_map_slot *slot;
  for (size_t i = 0; i = 0, ln_map_next(&us->requests, &i, &slot);)
    ln_urequest_fail(slot->value, "%s", why);
  while ((l = ln_list_shift(&us->asks))) {
    struct ln_exchange *x = LN_CONTAINER(l, struct ln_exchange, asker_link);
    x->asker = NULL;
    ln_exchange_abort(x);
  }
  ln_task_usession_ends(us);
  tell_watchers(us, false, why);
}

void ln_usession_rest(struct ln_usession *us) {
  if (ln_usession_busy(us)) return;
  if (us->single && ln_list_empty(&us->tasks))
    ln_usession_close(us, "its one request is done");
  else if (us->leaving)
    ln_usession_close(us, "the server has ended the session");
  else if (us->upstream->retired && us->state == LN_US_READY)
    ln_usession_close(us, "the server is no longer configured");
}

void ln_usession_close(struct ln_usession *us, const char *why) {
  if (us->state == LN_US_CLOSING) return;
  us->state = LN_US_CLOSING;
  ln_router_stalled(us, false);
  detach(us);
  char copy[LN_WHY_MAX]; /* why may be about to go */
  snprintf(copy, sizeof copy, "%s", why);
  fail_all(us, copy);
  ln_channel_close(us->channel);
}

/* It ends, and not because we wanted it. */
static void note_lost(struct ln_usession *us) {
  if (us->owner)
    ln_session_lost(us->owner, us);
  else if (us->upstream->shared == us)
    us->upstream->lost_shared = true;
}

static void channel_lost(void *arg, const char *why) {
  struct ln_usession *us = arg;
  if (us->state == LN_US_CLOSING) return;
  note_failure(us, why);
  note_lost(us);
  ln_usession_close(us, why);
}

static void channel_closed(void *arg, int err, const char *why) {
  struct ln_usession *us = arg;
  struct ln_upstream *u = us->upstream;
  struct ln_host *h = u->host;
  if (us->state != LN_US_CLOSING) {
    if (err) {
      note_failure(us, why);
    }
    note_lost(us);
    us->state = LN_US_CLOSING;
    ln_router_stalled(us, false);
    detach(us);
    fail_all(us, why ? why : "the connection was closed");
  }
  ln_list_remove(&us->link);
  ln_map_deinit(&us->requests);
  if (us->catalogue && us->catalogue->maker == us) us->catalogue->maker = NULL;
  ln_catalogue_unref(us->catalogue);
  free(us);
  ln_upstream_unref(u);
  ln_host_check_closed(h);
}

/* The server has forgotten our session: nothing was done, so the request may go once more, to a
 * fresh one. */
static bool retry_elsewhere(struct ln_usession *us, struct ln_urequest *r) {
  struct ln_session *s = us->owner ? us->owner : r->x ? r->x->session : NULL;
  struct ln_upstream *u = us->upstream;
  bool nobodys = !s && u->conf->session != LN_SESSION_SHARED;
  if (r->retried || nobodys || us->state != LN_US_READY) return false;
  const char *why;
  ln_map_remove(&us->requests, ln_urequest_key(&r->id));
  r->id = 0;
  r->retried = true;
  ln_router_stalled(us, false);
  note_lost(us);
  detach(us);
  struct ln_usession *fresh = ln_usession_for(s, u, &why);
  r->usession = fresh ? fresh : us;
  if (fresh) {
    if (r->x) { /* what the server says now may be of this */
      fresh->mixed |= fresh->user && fresh->user != r->x->session->key;
      fresh->user = r->x->session->key;
    }
    ln_list_push(&fresh->waiting, &r->link);
    if (fresh->state == LN_US_READY) ln_usession_flush(fresh);
  } else {
    ln_urequest_fail(r, "%s", why);
  }
  /* What else is under way in it was perhaps done before: each hears of it by itself. */
  us->leaving = true;
  ln_usession_rest(us);
  return true;
}

static void channel_failed(void *arg, uint64_t tag, int err, int status, const char *why) {
  struct ln_usession *us = arg;
  int64_t key = (int64_t)tag;
  struct ln_urequest *r = tag ? ln_map_get(&us->requests, ln_urequest_key(&key)) : NULL;
  if (!r) {
    LN_LOG(log_of(us), WARN, us->topic, "%s", why);
    /* An answer that was too long to take. */
    if (err == LN_ELIMIT && (r = answered_badly(us, LN_STR_NONE, 0)))
      ln_urequest_fail(r, "%s", why);
    return;
  }
  if (err == LN_ENOTFOUND && status == 404 && retry_elsewhere(us, r)) return;
  ln_urequest_fail(r, "%s", why);
}

static void channel_parted(void *arg, uint64_t tag, uint64_t retry_ms) {
  struct ln_usession *us = arg;
  int64_t key = (int64_t)tag;
  struct ln_urequest *r = ln_map_get(&us->requests, ln_urequest_key(&key));
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
