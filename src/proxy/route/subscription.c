/* Subscriptions; see subscription.h. */
#include "proxy/route/subscription.h"

#include <stdlib.h>

#include "proxy/client/pool.h"
#include "proxy/lists/view_get.h"
#include "proxy/names/shown.h"
#include "proxy/route/forward.h"
#include "proxy/route/relay.h"

enum { MAX_SUBSCRIPTIONS = 1000 };

static void subscription_free(struct ln_subscription *sub) {
  ln_shared_state_unlisten(sub);
  ln_list_remove(&sub->link);
  ln_bytes_unref(sub->key);
  ln_msg_unref(sub->msg);
  ln_bytes_unref(sub->headers);
  free(sub);
}

static struct ln_subscription *find(const struct ln_session *s, const struct ln_server *server,
                                    struct ln_str key, size_t *n) {
  struct ln_subscription *found = NULL;
  *n = 0;
  LN_LIST_EACH(l, &s->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    ++*n;
    if (sub->server == server->serial && ln_str_eq(ln_bytes_str(sub->key), key)) found = sub;
  }
  return found;
}

/* LN_ENOMEM: it is not added. */
static int add(struct ln_session *s, struct ln_server *server, struct ln_bytes *key,
               struct ln_msg *msg, struct ln_bytes *headers) {
  struct ln_subscription *sub = calloc(1, sizeof *sub);
  if (!sub) return LN_ENOMEM;
  *sub = (struct ln_subscription){.session = s, .key = ln_bytes_ref(key), .msg = ln_msg_ref(msg)};
  ln_bytes_charge(key, s->purse);
  ln_bytes_charge(msg->bytes, s->purse);
  if (headers) {
    sub->headers = ln_bytes_ref(headers);
    ln_bytes_charge(headers, s->purse);
  }
  ln_list_init(&sub->topic_link);
  ln_list_push(&s->subscriptions, &sub->link);
  int rc = ln_shared_state_listen(sub, server);
  if (rc) subscription_free(sub);
  return rc;
}

/* Notes that this request has subscribed the client, or (false) unsubscribed it. LN_ENOMEM,
 * LN_ELIMIT: it is not noted. */
static int note(const struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                bool subscribed) {
  struct ln_session *s = x->session;
  if (s->state == LN_SESSION_GONE || !msg->uri.p) return LN_OK;
  struct ln_bytes *key = ln_json_text(msg->uri);
  if (!key) return LN_ENOMEM;
  size_t n;
  int rc = LN_OK;
  struct ln_subscription *sub = find(s, server, ln_bytes_str(key), &n);
  if (sub && subscribed) {
    ln_msg_unref(sub->msg);
    sub->msg = ln_msg_ref(msg);
  } else if (sub) {
    subscription_free(sub);
  } else if (subscribed) {
    rc = n < MAX_SUBSCRIPTIONS ? add(s, server, key, msg, x->headers) : LN_ELIMIT;
  }
  ln_bytes_unref(key);
  return rc;
}

void ln_subscription_session_ends(struct ln_session *s) {
  LN_LIST_EACH(l, &s->subscriptions) {
    subscription_free(LN_CONTAINER(l, struct ln_subscription, link));
  }
}

void ln_subscription_move(struct ln_subscription *sub, struct ln_server *to) {
  ln_shared_state_unlisten(sub);
  if (!to || ln_shared_state_listen(sub, to)) subscription_free(sub);
}

void ln_subscription_restore(struct ln_link *link) {
  LN_LIST_EACH(l, &link->owner->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    if (sub->server == link->server->serial) ln_link_request(link, sub->msg, ln_reply_ignore, NULL);
  }
}

/* --- after a reload --- */

/* Looks at a session's subscriptions one after the other: each by what the policy shows to a
 * request like the one that made it. */
struct check {
  struct ln_session *session; /* counted */
  struct ln_generation *gen;  /* counted */
  struct ln_exchange *x;      /* counted: the stand-in of the one that is looked at, or NULL */
  struct ln_server *server;   /* whose it is; gen counts it */
  struct ln_bytes *key;       /* its own, counted */
  struct ln_view *views[2];   /* counted: resources, templates */
  int have;                   /* how many of those have been asked for */
  bool busy, again;           /* on_view was called from inside look */
  uint64_t steps;
};
static const enum ln_kind looked_in[] = {LN_KIND_RESOURCE, LN_KIND_TEMPLATE};

/* One reference; NULL: out of memory. */
static struct ln_msg *about(const struct ln_subscription *sub, const char *method,
                            struct ln_msg *(*make)(const char *method, struct ln_str params)) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_buf_append_c(&b, "{\"uri\":");
  ln_json_quote(&b, ln_bytes_str(sub->key));
  ln_buf_append_c(&b, "}");
  struct ln_msg *m = ln_buf_error(&b) ? NULL : make(method, ln_buf_str(&b));
  ln_buf_deinit(&b);
  return m;
}

/* Of those that share a server nobody may want it any more: shared_state.c tells. */
static void unsubscribe(struct ln_subscription *sub, struct ln_server *server) {
  struct ln_link *link = ln_server_is_shared(server) ? NULL : ln_pool_current(sub->session, server);
  struct ln_msg *m = link ? about(sub, "resources/unsubscribe", ln_msg_request) : NULL;
  if (m) ln_link_request(link, m, ln_reply_ignore, NULL);
  ln_msg_unref(m);
  subscription_free(sub);
}

/* It was updated while it was not known whether the client may hear of it. */
static void tell(const struct ln_subscription *sub, struct ln_server *server) {
  struct ln_msg *m = about(sub, "notifications/resources/updated", ln_msg_notification);
  if (m && sub->session->state == LN_SESSION_OPEN) ln_relay(server, sub->session, NULL, m);
  ln_msg_unref(m);
}

/* True for an update of what it is to, or of a part of that. */
static bool is_for(const struct ln_subscription *sub, const struct ln_server *server,
                   struct ln_str uri) {
  struct ln_str key = ln_bytes_str(sub->key);
  return sub->server == server->serial && uri.n >= key.n &&
         ln_str_eq((struct ln_str){uri.p, key.n}, key);
}

bool ln_subscription_shows(struct ln_session *s, const struct ln_server *server, struct ln_str uri,
                           uint64_t *steps) {
  const struct ln_policy *p = s->gen->policy;
  bool by_request =
      ln_policy_per_client(p, LN_KIND_RESOURCE) || ln_policy_per_client(p, LN_KIND_TEMPLATE);
  LN_LIST_EACH(l, &s->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    if (by_request && is_for(sub, server, uri) && ln_shown_to(s, server, uri, sub->headers, steps))
      return true;
  }
  /* No request has asked for it: a rule may hide it from those without headers, or from those that
   * this client makes. */
  return (!by_request || ln_shown_to(s, server, uri, s->headers, steps)) &&
         ln_shown_to(s, server, uri, NULL, steps);
}

bool ln_subscription_unsure(struct ln_session *s, const struct ln_server *server,
                            struct ln_str uri) {
  bool unsure = false;
  LN_LIST_EACH(l, &s->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    if (!sub->unsure || sub->server != server->serial) continue;
    unsure = true;
    sub->missed |= is_for(sub, server, uri);
  }
  return unsure;
}

/* True when no view lacks the server's list: what none has is in none. */
static bool all_known(const struct check *c) {
  size_t i = 0;
  while (i < c->gen->n_servers && c->gen->servers[i] != c->server) i++;
  for (size_t k = 0; k < LN_COUNT(looked_in); k++)
    if (!c->views[k] || i == c->gen->n_servers || !c->views[k]->listings[i]) return false;
  return true;
}

static bool passes_unlisted(const struct check *c) {
  const struct ln_generation *g = c->gen;
  if (g->n_servers == 1 && !ln_policy_strict(g->policy, LN_KIND_RESOURCE)) return true;
  for (size_t i = 0; i < g->n_servers; i++)
    if (g->servers[i] == c->server && g->decls->servers[i].unlisted) return true;
  return false;
}

/* Ends the one that was looked at if it would be refused now. */
static void decide(struct check *c) {
  enum ln_shown shown =
      ln_shown_uri(c->gen, c->views[0], c->views[1], c->server, ln_bytes_str(c->key), &c->steps);
  size_t n;
  struct ln_subscription *sub = find(c->session, c->server, ln_bytes_str(c->key), &n);
  bool keep = shown == LN_SHOWN_LISTED ||
              (shown == LN_SHOWN_UNLISTED && (!all_known(c) || passes_unlisted(c)));
  if (sub && !keep) unsubscribe(sub, c->server);
  if (!sub || !keep) return;
  sub->unsure = false;
  if (sub->missed) tell(sub, c->server);
  sub->missed = false;
}

static void forget(struct check *c) {
  if (c->x) ln_exchange_close(c->x);
  ln_exchange_unref(c->x);
  c->x = NULL;
  c->server = NULL;
  ln_bytes_unref(c->key);
  c->key = NULL;
  for (size_t k = 0; k < LN_COUNT(looked_in); k++) {
    ln_view_unref(c->views[k]);
    c->views[k] = NULL;
  }
  c->have = 0;
}

/* Takes the next one. False: there is none. */
static bool take_next(struct check *c) {
  LN_LIST_EACH(l, &c->session->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    if (!sub->unsure) continue;
    for (size_t i = 0; i < c->gen->n_servers && !c->server; i++)
      if (c->gen->servers[i]->serial == sub->server) c->server = c->gen->servers[i];
    c->x = ln_exchange_stand_in(c->session, c->gen, "resources/subscribe");
    if (c->x) ln_exchange_ref(c->x); /* the session's end ends it */
    if (!c->server || !c->x) {
      sub->unsure = false;
      forget(c);
      continue;
    }
    ln_exchange_set_headers(c->x, sub->headers);
    c->key = ln_bytes_ref(sub->key);
    return true;
  }
  return false;
}

static void on_view(void *arg, struct ln_view *v, const char *why);

static void look(struct check *c) {
  c->busy = true;
  do {
    c->again = false;
    bool over = c->session->state == LN_SESSION_GONE || c->session->gen != c->gen;
    if (c->key && !over && c->have == LN_COUNT(looked_in)) {
      decide(c);
      forget(c);
    }
    if (over || (!c->key && !take_next(c))) {
      forget(c);
      ln_generation_unref(c->gen);
      ln_session_unref(c->session);
      free(c);
      return;
    }
    struct ln_view_request request = ln_exchange_views(c->x, looked_in[c->have], LN_VIEW_USE);
    ln_view_get(&request, on_view, c);
  } while (c->again);
  c->busy = false;
}

static void on_view(void *arg, struct ln_view *v, const char *why) {
  struct check *c = arg;
  (void)why; /* without a view its URI decides */
  c->views[c->have++] = v ? ln_view_ref(v) : NULL;
  c->again = true;
  if (!c->busy) look(c);
}

void ln_subscription_reloaded(struct ln_session *s) {
  if (ln_list_empty(&s->subscriptions)) return;
  struct check *c = calloc(1, sizeof *c);
  LN_LIST_EACH(l, &s->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    sub->unsure = c != NULL;
    if (!c) subscription_free(sub);
  }
  if (!c) return;
  c->session = ln_session_ref(s);
  c->gen = ln_generation_ref(s->gen);
  c->steps = LN_MATCH_STEPS;
  look(c);
}

/* The reply to the request c.msg. */
static void subscribed(void *arg, struct ln_msg *reply) {
  struct ln_chain *c = arg;
  struct ln_server *server = c->x->server;
  bool on = ln_str_is(c->msg->method, "resources/subscribe");
  int rc = reply->kind == LN_MSG_RESULT ? note(c->x, server, c->msg, on) : 0;
  if (rc && ln_server_is_shared(server)) {
    ln_msg_unref(reply);
    reply = ln_msg_error(-32603, rc == LN_ELIMIT ? "Too many subscriptions" : "Out of memory",
                         LN_STR_NONE);
  } else if (rc == LN_ELIMIT) {
    LN_LOG(c->x->session->host->log, WARN, c->x->session->id,
           "too many subscriptions: not all outlive a server's restart");
  }
  c->done(c->arg, reply);
}

void ln_subscription_request(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                             ln_reply_fn done, void *arg) {
  struct ln_chain *c = calloc(1, sizeof *c);
  if (!c) {
    ln_reply_no_memory(done, arg);
    return;
  }
  *c = (struct ln_chain){.x = x, .msg = ln_msg_ref(msg), .done = done, .arg = arg};
  ln_list_push(&x->chain, &c->link);
  ln_exchange_set_server(x, server);
  if (ln_server_is_shared(server) && msg->uri.p)
    ln_shared_state_request(server, x, msg, subscribed, c);
  else
    ln_forward(x, server, msg, LN_STR_NONE, NULL, subscribed, c);
}
