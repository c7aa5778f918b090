/* Client sessions: what is said to the client, in which order, and who hears the answers. */
#include "proxy/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/catalogue.h"
#include "proxy/elicited.h"
#include "proxy/resolve.h"
#include "proxy/share.h"
#include "proxy/task.h"
#include "proxy/upstream.h"
#include "proxy/view.h"

enum {
  MAX_WAITING = 256, /* general messages held for a GET stream that isn't there yet */
  MAX_SUBSCRIPTIONS = 1000
};

struct waiting {
  struct ln_list link;
  struct ln_msg *msg;
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

struct ln_session *ln_session_new(struct ln_host *h, const char *transport, const char *id) {
  if (h->closing || h->n_sessions >= h->settings.max_sessions) return NULL;
  struct ln_session *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->refs = 1;
  s->host = h;
  s->key = ++h->next_session_key;
  s->transport = transport;
  snprintf(s->id, sizeof s->id, "%s", id);
  s->gen = ln_generation_ref(h->gen);
  s->version = LN_STR_LIT(LN_VERSION_LATEST);
  s->client_info = LN_STR_LIT("{}");
  s->capabilities = LN_STR_LIT("{}");
  s->level = -1;
  s->next_ask = 1;
  s->last_used = ln_loop_now(h->loop);
  ln_list_init(&s->exchanges);
  ln_list_init(&s->waiting);
  ln_list_init(&s->subscriptions);
  ln_list_init(&s->own);
  ln_list_init(&s->tasks);
  ln_list_init(&s->elicited);
  ln_map_init(&s->asks);
  ln_list_push(&h->sessions, &s->link);
  h->n_sessions++;
  h->count.sessions++;
  return s;
}

struct ln_session *ln_session_ref(struct ln_session *s) {
  s->refs++;
  return s;
}

void ln_session_unref(struct ln_session *s) {
  if (!s || --s->refs) return;
  LN_ASSERT(s->state == LN_SESSION_GONE);
  ln_generation_unref(s->gen);
  ln_msg_unref(s->hello);
  ln_msg_unref(s->server_init_request);
  ln_bytes_unref(s->offered);
  ln_bytes_unref(s->headers);
  free(s->slots);
  free(s);
}

void ln_subscription_free(struct ln_subscription *sub) {
  ln_share_unlisten(sub);
  ln_list_remove(&sub->link);
  ln_bytes_unref(sub->key);
  ln_msg_unref(sub->msg);
  free(sub);
}

static void drop_waiting(struct ln_session *s) {
  struct ln_list *l;
  while ((l = ln_list_shift(&s->waiting))) {
    struct waiting *w = LN_CONTAINER(l, struct waiting, link);
    ln_msg_unref(w->msg);
    free(w);
  }
  s->n_waiting = s->waiting_bytes = 0;
}

static void ask_end(struct ask *a, struct ln_msg *reply) {
  ln_sink_unref(a->sink);
  a->reply(a->arg, reply);
  free(a);
}

static void drop_asks(struct ln_session *s) {
  size_t i = 0;
  struct ln_map_slot *slot;
  /* Each answer may do anything, but no new request: the session is gone. */
  while (i = 0, ln_map_next(&s->asks, &i, &slot)) {
    struct ask *a = slot->value;
    ln_map_remove(&s->asks, slot->key);
    ask_end(a, ln_msg_error(-32603, "The client's session has ended", LN_STR_NONE));
  }
  ln_map_deinit(&s->asks);
}

void ln_session_end(struct ln_session *s) {
  if (s->state == LN_SESSION_GONE) return;
  s->state = LN_SESSION_GONE;
  ln_session_ref(s);
  LN_LIST_EACH(l, &s->exchanges) {
    struct ln_exchange *x = LN_CONTAINER(l, struct ln_exchange, link);
    ln_exchange_abort(x);
    /* The neighbour may have gone with it: start over. */
    l_next = s->exchanges.next;
  }
  drop_asks(s);
  drop_waiting(s);
  LN_LIST_EACH(l, &s->subscriptions) {
    ln_subscription_free(LN_CONTAINER(l, struct ln_subscription, link));
  }
  if (s->level >= 0) {
    ln_session_set_level(s, -1);
    ln_share_level_changed(s->host);
  }
  ln_task_session_ends(s);
  ln_elicitation_free_all(s);
  ln_sink_unref(s->general);
  s->general = NULL;
  /* Each end may bring others about. */
  while (!ln_list_empty(&s->own))
    ln_link_close(LN_CONTAINER(s->own.next, struct ln_link, owner_link),
                  "the client's session has ended");
  for (size_t i = 0; i < s->n_slots; i++) {
    ln_index_unref(s->slots[i].index);
    ln_server_unref(s->slots[i].server);
  }
  s->n_slots = 0;
  for (int k = 0; k < LN_KINDS; k++) {
    ln_view_unref(s->views[k]);
    s->views[k] = NULL;
  }
  ln_msg_unref(s->set_level);
  s->set_level = NULL;
  ln_policy_session_end(s->gen->policy, s->key);
  ln_list_remove(&s->link);
  s->host->n_sessions--;
  if (s->on_end) s->on_end(s, s->front);
  ln_host_check_closed(s->host);
  ln_session_unref(s);
}

/* --- servers --- */

static struct ln_pool_slot *slot_find(const struct ln_session *s, const struct ln_server *server) {
  for (size_t i = 0; i < s->n_slots; i++)
    if (s->slots[i].server == server) return &s->slots[i];
  return NULL;
}

/* NULL: out of memory, or the session is over and would never give it up again. */
static struct ln_pool_slot *slot_get(struct ln_session *s, struct ln_server *server) {
  struct ln_pool_slot *b = slot_find(s, server);
  if (b || s->state == LN_SESSION_GONE) return b;
  struct ln_pool_slot *grown = realloc(s->slots, (s->n_slots + 1) * sizeof *grown);
  if (!grown) return NULL;
  s->slots = grown;
  b = &grown[s->n_slots++];
  *b = (struct ln_pool_slot){.server = ln_server_ref(server)};
  return b;
}

struct ln_link *ln_session_link(const struct ln_session *s, const struct ln_server *server) {
  struct ln_pool_slot *b = slot_find(s, server);
  return b ? b->link : NULL;
}

struct ln_index *ln_session_index(const struct ln_session *s, const struct ln_server *server) {
  struct ln_pool_slot *b = slot_find(s, server);
  return b ? b->index : NULL;
}

int ln_session_set_link(struct ln_session *s, struct ln_server *server, struct ln_link *link) {
  struct ln_pool_slot *b = link ? slot_get(s, server) : slot_find(s, server);
  if (b) b->link = link;
  return b || !link ? LN_OK : LN_ENOMEM;
}

void ln_session_lost(struct ln_session *s, const struct ln_link *link) {
  struct ln_pool_slot *b = slot_find(s, link->server);
  if (b && b->link == link) b->lost = true;
}

bool ln_session_found(struct ln_session *s, const struct ln_server *server) {
  struct ln_pool_slot *b = slot_find(s, server);
  bool lost = b && b->lost;
  if (b) b->lost = false;
  return lost;
}

int ln_session_set_index(struct ln_session *s, struct ln_server *server, struct ln_index *c) {
  struct ln_pool_slot *b = slot_get(s, server);
  if (!b) return LN_ENOMEM;
  if (c) ln_index_ref(c);
  ln_index_unref(b->index);
  b->index = c;
  return LN_OK;
}

/* --- to the client --- */

void ln_session_throttle(struct ln_session *s) {
  LN_LIST_EACH(l, &s->own) {
    ln_link_pause(LN_CONTAINER(l, struct ln_link, owner_link), s->clogged > 0);
  }
}

bool ln_session_crowded(const struct ln_session *s) {
  return s->n_exchanges >= 4 * (size_t)s->host->settings.max_in_flight;
}

void ln_session_drained(struct ln_session *s) {
  if (s->clogged > 0 && --s->clogged == 0 && s->state != LN_SESSION_GONE) ln_session_throttle(s);
}

static int send_now(struct ln_session *s, struct ln_sink *sink, struct ln_out *out, bool final) {
  int rc = ln_out_finish(out, sink->one_line);
  if (!rc) rc = sink->ops->send(sink, out, final);
  if (rc == LN_EFULL) {
    if (s->clogged++ == 0) ln_session_throttle(s);
    rc = LN_OK;
  }
  return rc;
}

static void forget(struct ln_session *s, struct waiting *w) {
  ln_list_remove(&w->link);
  s->n_waiting--;
  s->waiting_bytes -= w->msg->text.n;
  ln_msg_unref(w->msg);
  free(w);
}

/* A request that can't be kept is answered: its server waits for it. */
static void drop_oldest(struct ln_session *s) {
  struct waiting *oldest = LN_CONTAINER(s->waiting.next, struct waiting, link);
  int64_t id;
  bool request = oldest->msg->kind == LN_MSG_REQUEST && ln_json_int(oldest->msg->id, &id);
  struct ask *a = request ? ln_map_remove(&s->asks, int_key(&id)) : NULL;
  LN_LOG_RATIONED(s->host->log, &s->ration, ln_loop_now(s->host->loop), WARN, s->id,
                  "no stream to send on: dropped %.*s", LN_STR_ARG(oldest->msg->method));
  forget(s, oldest);
  if (a) ask_end(a, ln_msg_error(-32603, "The client does not listen", LN_STR_NONE));
}

/* What has changed and changes again is one change to who was not looking. */
static void merge(struct ln_session *s, const struct ln_msg *m) {
  if (m->kind != LN_MSG_NOTIFICATION) return;
  enum ln_route route = ln_method_find(m->method, LN_FROM_SERVER)->route;
  if (route != LN_ROUTE_LIST_CHANGED && route != LN_ROUTE_UPDATED) return;
  LN_LIST_EACH(l, &s->waiting) {
    struct waiting *w = LN_CONTAINER(l, struct waiting, link);
    if (ln_str_eq(w->msg->method, m->method) && ln_str_eq(w->msg->params, m->params)) forget(s, w);
  }
}

/* Keeps a general message until there is a stream for it; the oldest go when there are too many.
 */
static void hold(struct ln_session *s, struct ln_out *out) {
  struct waiting *w = calloc(1, sizeof *w);
  if (!w) return;
  w->msg = ln_msg_edit(out->msg, out->edits, out->n_edits);
  if (!w->msg) {
    free(w);
    return;
  }
  merge(s, w->msg);
  ln_list_push(&s->waiting, &w->link);
  s->n_waiting++;
  s->waiting_bytes += w->msg->text.n;
  size_t max = s->host->settings.max_message_bytes * 2;
  while (s->n_waiting > 1 && (s->n_waiting > MAX_WAITING || s->waiting_bytes > max)) drop_oldest(s);
}

void ln_session_send(struct ln_session *s, struct ln_sink *sink, struct ln_out *out, bool final) {
  if (s->state == LN_SESSION_GONE) return;
  /* A server's requests wait until the client has said that it is ready for them. */
  bool early = !final && s->state != LN_SESSION_OPEN && out->msg->kind == LN_MSG_REQUEST;
  if (!sink) sink = s->general;
  if (!sink || early) {
    hold(s, out);
    return;
  }
  int rc = send_now(s, sink, out, final);
  if (rc)
    LN_LOG(s->host->log, DEBUG, s->id, "a message to the client was lost: %s", ln_err_text(rc));
}

static void flush_waiting(struct ln_session *s) {
  if (!s->general || s->state != LN_SESSION_OPEN) return;
  struct ln_list *l;
  while (s->general && (l = ln_list_shift(&s->waiting))) {
    struct waiting *w = LN_CONTAINER(l, struct waiting, link);
    s->n_waiting--;
    s->waiting_bytes -= w->msg->text.n;
    struct ln_out out;
    ln_out_init(&out, w->msg);
    ln_session_send(s, NULL, &out, false);
    ln_out_deinit(&out);
    ln_msg_unref(w->msg);
    free(w);
  }
}

void ln_session_set_general(struct ln_session *s, struct ln_sink *sink) {
  if (sink) ln_sink_ref(sink);
  ln_sink_unref(s->general);
  s->general = sink;
  flush_waiting(s);
}

/* --- requests to the client --- */

const char *ln_session_lacks(const struct ln_session *s, struct ln_str method) {
  static const char *const needs[][2] = {{"sampling/createMessage", "sampling"},
                                         {"elicitation/create", "elicitation"},
                                         {"roots/list", "roots"}};
  struct ln_json_item it;
  for (size_t i = 0; i < LN_COUNT(needs); i++)
    if (ln_str_is(method, needs[i][0]) && !ln_capability(s->capabilities, needs[i][1], &it))
      return needs[i][1];
  return NULL;
}

int64_t ln_session_ask(struct ln_session *s, struct ln_sink *sink, struct ln_msg *request,
                       ln_reply_fn reply, void *arg) {
  /* Whoever asks and asks doesn't get more memory for it than who calls and calls. */
  if (s->state == LN_SESSION_GONE || s->asks.len >= s->host->settings.max_in_flight) return 0;
  struct ask *a = calloc(1, sizeof *a);
  if (!a) return 0;
  a->id = s->next_ask++;
  a->reply = reply;
  a->arg = arg;
  a->sink = sink ? ln_sink_ref(sink) : NULL;
  if (ln_map_put(&s->asks, int_key(&a->id), a)) {
    ln_sink_unref(a->sink);
    free(a);
    return 0;
  }
  int64_t id = a->id;
  struct ln_out out;
  ln_out_init(&out, request);
  ln_out_replace_int(&out, request->id, id);
  ln_out_replace_int(&out, request->progress_token, id); /* two servers may choose the same */
  ln_session_send(s, sink, &out, false);
  ln_out_deinit(&out);
  return id;
}

static void tell_cancelled(struct ln_session *s, const struct ask *a, struct ln_msg *cancelled) {
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
    ln_session_send(s, a->sink, &out, false);
    ln_out_deinit(&out);
  }
  ln_msg_unref(m);
}

void ln_session_ask_cancel(struct ln_session *s, int64_t id, struct ln_msg *cancelled) {
  struct ask *a = ln_map_remove(&s->asks, int_key(&id));
  if (!a) return;
  tell_cancelled(s, a, cancelled);
  ln_sink_unref(a->sink);
  free(a);
}

void ln_session_ask_withdraw(struct ln_session *s, int64_t id, struct ln_msg *reply) {
  struct ask *a = ln_map_remove(&s->asks, int_key(&id));
  if (!a) {
    ln_msg_unref(reply);
    return;
  }
  tell_cancelled(s, a, NULL);
  ask_end(a, reply);
}

void ln_session_answer(struct ln_session *s, struct ln_msg *response) {
  int64_t id;
  if (!response->id.p || !ln_json_int(response->id, &id)) return;
  struct ask *a = ln_map_remove(&s->asks, int_key(&id));
  if (a) ask_end(a, ln_msg_ref(response));
}

int ln_session_subscribed(struct ln_session *s, struct ln_server *server, struct ln_msg *msg,
                          bool subscribed) {
  if (s->state == LN_SESSION_GONE || !msg->uri.p) return LN_OK;
  struct ln_bytes *key = ln_resolve_key(msg->uri);
  if (!key) return LN_ENOMEM;
  struct ln_subscription *sub = NULL;
  size_t n = 0;
  LN_LIST_EACH(l, &s->subscriptions) {
    struct ln_subscription *old = LN_CONTAINER(l, struct ln_subscription, link);
    n++;
    if (old->server == server && old->key->len == key->len &&
        memcmp(old->key->data, key->data, key->len) == 0)
      sub = old;
  }
  int rc = LN_OK;
  if (sub && !subscribed) {
    ln_subscription_free(sub);
  } else if (sub) {
    ln_msg_unref(sub->msg);
    sub->msg = ln_msg_ref(msg);
  } else if (subscribed) {
    rc = n >= MAX_SUBSCRIPTIONS ? LN_ELIMIT : LN_ENOMEM;
    sub = n >= MAX_SUBSCRIPTIONS ? NULL : calloc(1, sizeof *sub);
  }
  if (sub && subscribed && !sub->session) {
    *sub = (struct ln_subscription){
        .session = s, .server = server, .key = ln_bytes_ref(key), .msg = ln_msg_ref(msg)};
    ln_list_init(&sub->topic_link);
    ln_list_push(&s->subscriptions, &sub->link);
    rc = ln_share_listen(sub);
    if (rc) ln_subscription_free(sub);
  }
  ln_bytes_unref(key);
  return rc;
}

void ln_session_set_level(struct ln_session *s, int level) {
  if (s->level >= 0) s->host->levels[s->level]--;
  s->level = level;
  if (level >= 0) s->host->levels[level]++;
}

struct ln_exchange *ln_session_find(struct ln_session *s, struct ln_str id) {
  LN_LIST_EACH(l, &s->exchanges) {
    struct ln_exchange *x = LN_CONTAINER(l, struct ln_exchange, link);
    if (x->msg->kind == LN_MSG_REQUEST && !x->from_server && !x->reply && !x->ended &&
        ln_str_eq(x->msg->id, id))
      return x;
  }
  return NULL;
}
