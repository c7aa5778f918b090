/* Levels and subscriptions of clients that share a server; see shared_state.h. */
#include "proxy/route/shared_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "mcp/uri.h"
#include "proxy/client/pool.h"
#include "proxy/names/rewrite.h"

/* Values of a topic: a log level, or these. */
enum { UNTOLD = -1, OFF = 0, ON = 1 };

/* What the server is told about: its log level, or the subscription to one resource. */
struct ln_shared_topic {
  struct ln_server *server;
  struct ln_bytes *key;     /* a resource's URI, unescaped; NULL: the level */
  struct ln_bytes *normal;  /* its normal form */
  struct ln_list listeners; /* struct ln_subscription, by topic_link */
  struct ln_list waiters;   /* struct waiter, in the order they came */
  int told;                 /* the value that the server has; UNTOLD: its default level */
  int telling;              /* the value that the request under way sets */
  bool busy;                /* such a request is under way, or a waiter is getting its reply */
  bool starting;            /* the request is being made … */
  struct ln_msg *early;     /* … and the reply came meanwhile */
  struct ln_call *request;  /* the one under way … */
  uint64_t through;         /* … the serial of its link … */
  uint64_t asker;           /* … and the key of the session whose words it has; 0: ours */
};

/* A client's request. */
struct waiter {
  struct ln_list link;
  struct ln_exchange *x; /* counted */
  struct ln_msg *msg;    /* counted */
  ln_reply_fn done;
  void *arg;
  int value;    /* the one that it sets */
  bool sent;    /* the reply to the request under way answers it */
  bool retried; /* sent again after the link was lost; only once */
};

struct ln_shared_state {
  struct ln_shared_topic level;
  struct ln_map resources; /* struct ln_shared_topic, by key */
  size_t under_way;        /* requests to the server */
  uint64_t knows; /* the serial of the link that `told` of the topics is true for; 0: none */
};

/* --- life --- */

static void topic_init(struct ln_shared_topic *t, struct ln_server *server, int told) {
  t->server = server;
  t->told = told;
  ln_list_init(&t->listeners);
  ln_list_init(&t->waiters);
}

static struct ln_shared_state *state_of(struct ln_server *server) {
  if (server->shared_state) return server->shared_state;
  struct ln_shared_state *st = calloc(1, sizeof *st);
  if (!st) return NULL;
  topic_init(&st->level, server, UNTOLD);
  ln_map_init(&st->resources);
  return server->shared_state = st;
}

static void topic_free(struct ln_shared_topic *t) {
  LN_LIST_DRAIN(l, &t->listeners) LN_CONTAINER(l, struct ln_subscription, topic_link)->topic = NULL;
  ln_map_remove(&t->server->shared_state->resources, ln_bytes_str(t->key));
  ln_bytes_unref(t->key);
  ln_bytes_unref(t->normal);
  free(t);
}

void ln_shared_state_free(struct ln_server *server) {
  struct ln_map_slot *slot;
  if (!server->shared_state) return;
  for (size_t i = 0; i = 0, ln_map_next(&server->shared_state->resources, &i, &slot);)
    topic_free(slot->value);
  ln_map_deinit(&server->shared_state->resources);
  free(server->shared_state);
  server->shared_state = NULL;
}

static struct ln_bytes *normal_of(struct ln_str uri) {
  struct ln_buf b;
  ln_buf_init(&b, LN_URI_ROOM(uri.n));
  ln_buf_fail(&b, ln_uri_normal(uri, &b));
  return ln_buf_finish(&b);
}

static struct ln_shared_topic *topic_of(struct ln_server *server, struct ln_bytes *key) {
  struct ln_shared_state *st = state_of(server);
  struct ln_shared_topic *t = st ? ln_map_get(&st->resources, ln_bytes_str(key)) : NULL;
  if (t || !st || !(t = calloc(1, sizeof *t))) return t;
  topic_init(t, server, OFF);
  t->key = ln_bytes_ref(key);
  t->normal = normal_of(ln_bytes_str(key));
  if (t->normal && !ln_map_put(&st->resources, ln_bytes_str(t->key), t)) return t;
  ln_bytes_unref(t->key);
  ln_bytes_unref(t->normal);
  free(t);
  return NULL;
}

/* --- requests to the server --- */

static void waiter_free(struct waiter *w) {
  ln_list_remove(&w->link);
  ln_msg_unref(w->msg);
  ln_exchange_unref(w->x);
  free(w);
}

/* Drops waiters whose exchange has ended. */
static void prune(struct ln_shared_topic *t) {
  LN_LIST_EACH(l, &t->waiters) {
    struct waiter *w = LN_CONTAINER(l, struct waiter, link);
    if (ln_exchange_ended(w->x)) waiter_free(w);
  }
}

static struct waiter *first(const struct ln_shared_topic *t) {
  return ln_list_empty(&t->waiters) ? NULL : LN_CONTAINER(t->waiters.next, struct waiter, link);
}

/* Answers a waiter. Its done function may make another request for the same topic. */
static void answer(struct ln_shared_topic *t, struct waiter *w, struct ln_msg *reply) {
  ln_list_remove(&w->link);
  t->busy = true;
  if (ln_exchange_ended(w->x))
    ln_msg_unref(reply);
  else
    w->done(w->arg, reply);
  t->busy = false;
  waiter_free(w);
}

static int most_verbose(const struct ln_host *h) {
  for (int i = 0; i < LN_LEVELS; i++)
    if (h->levels[i]) return i;
  return UNTOLD;
}

/* True when a session other than this is subscribed. */
static bool others_listen(const struct ln_shared_topic *t, const struct ln_session *s) {
  LN_LIST_EACH(l, &t->listeners) {
    if (LN_CONTAINER(l, struct ln_subscription, topic_link)->session != s) return true;
  }
  return false;
}

/* The value that the server should have once w (NULL: none) is answered. */
static int wanted(const struct ln_shared_topic *t, const struct waiter *w) {
  if (!t->key) return most_verbose(t->server->host);
  if (w && w->value == ON) return ON;
  return others_listen(t, w ? w->x->session : NULL) ? ON : OFF;
}

static struct ln_msg *request_for(const struct ln_shared_topic *t, int value) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_buf_append_c(&b, t->key ? "{\"uri\":" : "{\"level\":");
  ln_json_quote(&b, t->key ? ln_bytes_str(t->key) : ln_str_c(ln_level_names[value]));
  ln_buf_append_c(&b, "}");
  const char *method = !t->key       ? "logging/setLevel"
                       : value == ON ? "resources/subscribe"
                                     : "resources/unsubscribe";
  struct ln_msg *m = ln_buf_error(&b) ? NULL : ln_msg_request(method, ln_buf_str(&b));
  ln_buf_deinit(&b);
  return m;
}

/* The request failed: waiters that came meanwhile for the same value get the same error. Each in
 * turn would wait for a request of its own, for a server that never answers up to its timeout. */
static void fail_equal(struct ln_shared_topic *t) {
  LN_LIST_EACH(l, &t->waiters) {
    struct waiter *w = LN_CONTAINER(l, struct waiter, link);
    if (!w->sent && (w->value != t->telling || (t->key && w->value == OFF))) break;
    w->sent = true;
  }
}

/* What this session gets of a reply. An error has the server's words to the client whose request it
 * was; who failed with that gets its code. Lunette's own errors, whose id is 0, have none. */
static struct ln_msg *told_to(const struct ln_shared_topic *t, struct ln_session *s,
                              struct ln_msg *reply, uint64_t *steps) {
  struct ln_json_item it;
  int64_t code = -32603;
  bool words = reply->kind == LN_MSG_ERROR && !ln_str_is(reply->id, "0");
  if (!words || !t->asker || t->asker == s->key)
    return ln_rewrite_message(s, t->server, reply, steps);
  if (!ln_json_get(reply->error, "code", &it) || !ln_json_int(it.value, &code) || code != (int)code)
    code = -32603;
  return ln_msg_error((int)code, "The server has refused this to another client just now",
                      LN_STR_NONE);
}

/* The request was answered. */
static void take(struct ln_shared_topic *t, struct ln_msg *reply) {
  struct ln_server *server = t->server;
  struct waiter *w = first(t);
  t->busy = false;
  t->request = NULL;
  server->shared_state->under_way--;
  bool done = reply->kind == LN_MSG_RESULT, there = t->through == server->shared_state->knows;
  if (!there) {
    /* Its link was lost meanwhile, and a new one has been told nothing. */
    t->told = t->key ? OFF : UNTOLD;
    if (w && done) w->sent = false;
  } else if (done || !w) {
    t->told = t->telling; /* also after an error that no client waits for: it isn't tried again */
  } else {
    fail_equal(t);
  }
  uint64_t steps = LN_MATCH_STEPS;
  while ((w = first(t)) && w->sent) answer(t, w, told_to(t, w->x->session, reply, &steps));
  ln_msg_unref(reply);
}

static void pump(struct ln_shared_topic *t);

static void replied(void *arg, struct ln_msg *reply) {
  struct ln_shared_topic *t = arg;
  if (t->starting) {
    t->early = reply;
    return;
  }
  take(t, reply);
  pump(t);
}

/* True when a client's request has words of its own, by which it has used the link: all but a
 * level, and a URI that the server lists itself. */
static bool has_words(const struct waiter *w) {
  const struct ln_exchange *x = w->x;
  bool listed = x->entry && x->view->kind == LN_KIND_RESOURCE;
  return ln_json_count(w->msg->params) > 1 || (w->msg->uri.p && !listed);
}

/* Makes a request that sets this value. False: it can't be made, and w (if any) got an error. */
static bool tell(struct ln_shared_topic *t, int value, struct waiter *w) {
  struct ln_link *link = t->server->shared;
  const char *why = "out of memory";
  if (!link && w) link = ln_link_shared(t->server, &why);
  bool its = w && w->value == value;
  struct ln_msg *m = !link ? NULL : its ? ln_msg_ref(w->msg) : request_for(t, value);
  if (m) {
    t->asker = its && has_words(w) ? w->x->session->key : 0;
    t->telling = value;
    t->through = link->serial;
    t->busy = true;
    t->server->shared_state->under_way++;
    if (w) w->sent = true;
    t->starting = true;
    const struct ln_call_request request = {
        .msg = m, .client = t->asker, .reply = replied, .arg = t};
    t->request = ln_link_call(link, &request);
    bool ok = t->request != NULL;
    t->starting = false;
    ln_msg_unref(m);
    struct ln_msg *early = t->early;
    t->early = NULL;
    if (early) take(t, early);
    if (ok) return true;
    t->busy = false;
    t->server->shared_state->under_way--;
  }
  if (w) {
    char text[LN_WHY_MAX + 128];
    ln_server_error_text(t->server, why, text, sizeof text);
    answer(t, w, ln_msg_error(-32603, text, LN_STR_NONE));
  }
  return false;
}

/* Makes the next request that is needed, for waiters first; frees a topic that nothing needs. */
static void pump(struct ln_shared_topic *t) {
  struct ln_server *server = ln_server_ref(t->server);
  struct waiter *w;
  int want;
  while (!t->busy && (prune(t), w = first(t))) {
    want = wanted(t, w);
    if (want == t->told || want == UNTOLD)
      answer(t, w, ln_msg_result(LN_STR_LIT("{}")));
    else
      (void)tell(t, want, w);
  }
  want = t->busy ? t->told : wanted(t, NULL);
  bool ready = server->shared && server->shared_state->knows == server->shared->serial;
  if (want != t->told && want != UNTOLD && ready && !tell(t, want, NULL)) t->told = want;
  if (t->key && !t->busy && ln_list_empty(&t->listeners) && (t->told == OFF || !ready))
    topic_free(t);
  ln_server_unref(server);
}

/* --- from clients --- */

/* True when a request is under way whose waiters have all ended. */
static bool abandoned(const struct ln_shared_topic *t) {
  LN_LIST_EACH(l, &t->waiters) {
    if (!ln_exchange_ended(LN_CONTAINER(l, struct waiter, link)->x)) return false;
  }
  return t->busy && ln_list_empty(&t->listeners);
}

/* True when max_in_flight requests of which all waiters have ended are under way: a client that
 * cancels each request it makes doesn't get more. */
static bool overrun(const struct ln_server *server) {
  const struct ln_shared_state *st = server->shared_state;
  size_t max = server->host->settings.max_in_flight, n = 0;
  struct ln_map_slot *slot;
  if (!st || st->under_way < max) return false;
  for (size_t i = 0; ln_map_next(&st->resources, &i, &slot);) n += abandoned(slot->value);
  return n >= max;
}

void ln_shared_state_request(struct ln_server *server, struct ln_exchange *x, struct ln_msg *msg,
                             ln_reply_fn done, void *arg) {
  bool level = x->method->route == LN_ROUTE_SET_LEVEL;
  if (!level && overrun(server)) {
    done(arg, ln_msg_error(-32603, "Too many requests at once", LN_STR_NONE));
    return;
  }
  struct ln_bytes *key = level || !msg->uri.p ? NULL : ln_json_text(msg->uri);
  struct ln_shared_topic *t = level ? (state_of(server) ? &server->shared_state->level : NULL)
                              : key != NULL ? topic_of(server, key)
                                            : NULL;
  ln_bytes_unref(key);
  struct waiter *w = t ? calloc(1, sizeof *w) : NULL;
  if (!w) {
    done(arg, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
    return;
  }
  ln_exchange_ref(x);
  *w = (struct waiter){.x = x, .msg = ln_msg_ref(msg), .done = done, .arg = arg};
  w->value = level                                           ? ln_level_of(msg->params)
             : ln_str_is(msg->method, "resources/subscribe") ? ON
                                                             : OFF;
  prune(t);
  ln_list_push(&t->waiters, &w->link);
  pump(t);
}

void ln_shared_state_level_changed(struct ln_host *h) {
  LN_LIST_EACH(l, &h->servers) {
    struct ln_server *server = LN_CONTAINER(l, struct ln_server, link);
    if (server->shared_state) pump(&server->shared_state->level);
  }
}

int ln_shared_state_listen(struct ln_subscription *sub, struct ln_server *server) {
  sub->server = server->serial;
  if (!ln_server_is_shared(server)) return LN_OK;
  struct ln_shared_topic *t = topic_of(server, sub->key);
  if (!t) return LN_ENOMEM;
  sub->topic = t;
  ln_list_push(&t->listeners, &sub->topic_link);
  return LN_OK;
}

void ln_shared_state_unlisten(struct ln_subscription *sub) {
  struct ln_shared_topic *t = sub->topic;
  if (!t) return;
  ln_list_remove(&sub->topic_link);
  sub->topic = NULL;
  pump(t);
}

/* --- from the server --- */

/* A copy of the list of all topics, as each may be freed when it is pumped. */
static struct ln_shared_topic **all_topics(struct ln_shared_state *st, size_t *n) {
  struct ln_shared_topic **list = calloc(st->resources.len + 1, sizeof(struct ln_shared_topic *));
  struct ln_map_slot *slot;
  *n = 0;
  for (size_t i = 0; list && ln_map_next(&st->resources, &i, &slot);) list[(*n)++] = slot->value;
  if (list) list[(*n)++] = &st->level;
  return list;
}

void ln_shared_state_ready(struct ln_link *link) {
  struct ln_shared_state *st = state_of(link->server);
  struct ln_json_item it;
  size_t n = 0;
  if (!st) return;
  st->knows = link->serial;
  struct ln_shared_topic **list = all_topics(st, &n);
  bool logs = ln_capability(link->capabilities, "logging", &it);
  for (size_t i = 0; i < n; i++) {
    struct ln_shared_topic *t = list[i];
    if (t->request && ln_link_of(t->request->calls) == link)
      t->through = link->serial; /* it was moved here from a lost link */
    if (t->key || logs) pump(t);
  }
  free(list);
}

/* True when its request is in this link. Not when the call is being moved to another link (it has
 * no id then). */
static bool waits_in(const struct ln_shared_topic *t, const struct ln_link *link) {
  const struct ln_call *r = t->request;
  return r && ln_link_of(r->calls) == link && !(r->retried && !r->id);
}

static struct ln_shared_topic *first_waiting_in(struct ln_shared_state *st,
                                                const struct ln_link *link) {
  struct ln_map_slot *slot;
  if (waits_in(&st->level, link)) return &st->level;
  for (size_t i = 0; ln_map_next(&st->resources, &i, &slot);)
    if (waits_in(slot->value, link)) return slot->value;
  return NULL;
}

static void withdraw(struct ln_shared_topic *t) {
  struct ln_call *r = t->request;
  t->request = NULL;
  t->server->shared_state->under_way--;
  ln_call_drop(r, NULL);
  t->busy = false;
  struct waiter *w = first(t);
  if (!w || !w->sent) return;
  w->sent = false;
  if (w->retried)
    answer(t, w, ln_msg_error(-32603, "The server ended before it answered", LN_STR_NONE));
  else
    w->retried = true;
}

void ln_shared_state_lost(struct ln_link *link) {
  struct ln_shared_state *st = link->server->shared_state;
  struct ln_map_slot *slot;
  struct ln_shared_topic *t;
  if (!st) return;
  st->knows = 0;
  st->level.told = UNTOLD;
  for (size_t i = 0; ln_map_next(&st->resources, &i, &slot);)
    ((struct ln_shared_topic *)slot->value)->told = OFF;
  /* From the start each time: replies may free topics. */
  while ((t = first_waiting_in(st, link))) {
    withdraw(t);
    pump(t);
  }
}

/* True when part is the resource whole, or one below it. */
static bool covers(struct ln_str whole, struct ln_str part) {
  if (!whole.n || part.n < whole.n || memcmp(whole.p, part.p, whole.n) != 0) return false;
  return part.n == whole.n || whole.p[whole.n - 1] == '/' || strchr("/?#", part.p[whole.n]);
}

static int by_address(const void *a, const void *b) {
  const struct ln_session *const *x = a, *const *y = b;
  return *x < *y ? -1 : *x > *y;
}

void ln_shared_state_updated(struct ln_link *link, struct ln_str uri,
                             void (*fn)(void *arg, struct ln_session *s), void *arg) {
  struct ln_shared_state *st = link->server->shared_state;
  struct ln_bytes *normal = st ? normal_of(uri) : NULL;
  struct ln_buf list; /* of sessions, each counted */
  ln_buf_init(&list, SIZE_MAX / 2);
  struct ln_map_slot *slot;
  for (size_t i = 0; normal && ln_map_next(&st->resources, &i, &slot);) {
    struct ln_shared_topic *t = slot->value;
    if (!covers(ln_bytes_str(t->normal), ln_bytes_str(normal))) continue;
    LN_LIST_EACH(l, &t->listeners) {
      struct ln_session *s = LN_CONTAINER(l, struct ln_subscription, topic_link)->session;
      if (!ln_buf_append(&list, (const char *)&s, sizeof s)) ln_session_ref(s);
    }
  }
  struct ln_session **sessions = (void *)list.data;
  size_t n = list.len / sizeof *sessions;
  if (n) qsort(sessions, n, sizeof *sessions, by_address);
  for (size_t i = 0; i < n; i++)
    if ((i == 0 || sessions[i] != sessions[i - 1]) && sessions[i]->state == LN_SESSION_OPEN)
      fn(arg, sessions[i]);
  for (size_t i = 0; i < n; i++) ln_session_unref(sessions[i]);
  ln_buf_deinit(&list);
  ln_bytes_unref(normal);
}
