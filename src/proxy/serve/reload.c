/* The change of generations; see reload.h. */
#include "proxy/serve/reload.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/exchange/exchange.h"
#include "proxy/lists/share.h"
#include "proxy/lists/view_build.h"
#include "proxy/lists/view_get.h"
#include "proxy/lists/view_page.h"
#include "proxy/route/init_request.h"
#include "proxy/route/subscription.h"
#include "proxy/server/idle.h"
#include "proxy/server/start.h"

/* What a reload changes for one session: its views under the new rules, made before anything is put
 * in force. */
struct plan {
  struct ln_list link;
  struct ln_session *session;      /* counted; NULL: there is no session, see try_known */
  struct ln_view *views[LN_KINDS]; /* counted; NULL where the session has none … */
  struct ln_view *tried[LN_KINDS]; /* … or one made only to see what the rules make */
  bool differs[LN_KINDS];
};

/* Whether two views give clients the same list. */
static bool same_list(struct ln_view *a, struct ln_view *b) {
  bool same = true, more = true;
  for (size_t page = 0; same && more; page++) {
    struct ln_str x = ln_view_page_text(a, page), y = ln_view_page_text(b, page);
    more = x.p && y.p;
    same = (!x.p && !y.p) || (more && ln_str_eq(x, y));
  }
  return same;
}

/* Makes in *made what takes the place of old, which may be NULL. */
static int plan_view(struct plan *p, struct ln_generation *g, enum ln_kind kind,
                     struct ln_view *old, struct ln_view **made) {
  struct ln_exchange *x = ln_exchange_stand_in(p->session, g, ln_kind_rows[kind].list_method);
  if (!x) return LN_ENOMEM;
  if (old && !old->unkept && !ln_view_holds(old, x->headers)) ln_exchange_set_headers(x, old->key);
  struct ln_view_request request = ln_exchange_views(x, kind, LN_VIEW_LIST);
  *made = ln_view_get_now(&request);
  ln_exchange_close(x);
  if (!*made) return LN_ESCRIPT;
  if ((*made)->failed) return LN_EINVALID;
  p->differs[kind] |= old && !same_list(old, *made);
  return LN_OK;
}

static int plan_kind(struct plan *p, struct ln_generation *g, enum ln_kind kind) {
  struct ln_view *old = p->session->views[kind];
  if (!old && !ln_policy_has_rules(g->policy, kind)) return LN_OK;
  int rc = plan_view(p, g, kind, old, old ? &p->views[kind] : &p->tried[kind]);
  /* What it saw with other headers counts, too; those are made again when they come. */
  LN_LIST_EACH(l, &p->session->variants[kind]) {
    if (rc || p->differs[kind]) break;
    ln_view_unref(p->tried[kind]);
    p->tried[kind] = NULL;
    rc = plan_view(p, g, kind, LN_CONTAINER(l, struct ln_view, link), &p->tried[kind]);
  }
  return rc;
}

static void plans_free(struct ln_list *plans) {
  struct ln_list *l;
  while ((l = ln_list_shift(plans))) {
    struct plan *p = LN_CONTAINER(l, struct plan, link);
    for (int k = 0; k < LN_KINDS; k++) {
      ln_view_unref(p->views[k]);
      ln_view_unref(p->tried[k]);
    }
    if (p->session) ln_session_unref(p->session);
    free(p);
  }
}

/* Another server's index for the same client capabilities as index c, or NULL. */
static const struct ln_index *index_of_same_client(const struct ln_server *server,
                                                   const struct ln_index *c) {
  const struct ln_index *last = NULL;
  LN_LIST_EACH(l, &server->indexes) {
    last = LN_CONTAINER(l, struct ln_index, link);
    if (ln_index_same_key(last, c)) return last;
  }
  return ln_server_is_shared(server) ? last : NULL;
}

/* Tries the rules on the lists that are indexed for the capabilities of c; c NULL: on the policy's
 * own components. */
static int try_lists(struct ln_generation *g, const struct ln_index *c, struct plan *p) {
  struct ln_listing **listings = calloc(g->n_servers + 1, sizeof(struct ln_listing *));
  int rc = listings ? LN_OK : LN_ENOMEM;
  for (int k = 0; k < LN_KINDS && !rc; k++) {
    if (!ln_policy_has_rules(g->policy, (enum ln_kind)k)) continue;
    for (size_t i = 0; i < g->n_servers; i++) {
      const struct ln_index *known = c ? index_of_same_client(g->servers[i], c) : NULL;
      listings[i] = known ? known->listings[k] : NULL;
    }
    ln_view_unref(p->tried[k]);
    p->tried[k] = ln_view_build_trial(g, (enum ln_kind)k, listings);
    if (!p->tried[k])
      rc = LN_ESCRIPT;
    else if (p->tried[k]->failed)
      rc = LN_EINVALID;
  }
  free(listings);
  return rc;
}

/* Without sessions: tries the rules on all lists that are indexed. */
static int try_known(struct ln_generation *g, struct plan *p) {
  int rc = try_lists(g, NULL, p);
  for (size_t i = 0; i < g->n_servers; i++) {
    LN_LIST_EACH(l, &g->servers[i]->indexes) {
      const struct ln_index *c = LN_CONTAINER(l, struct ln_index, link);
      bool tried = false;
      for (size_t k = 0; k < i && !tried; k++) {
        const struct ln_index *other = index_of_same_client(g->servers[k], c);
        tried = other && ln_index_same_key(other, c);
      }
      if (!rc && !tried) rc = try_lists(g, c, p);
    }
  }
  return rc;
}

static struct plan *plan_new(struct ln_session *s, struct ln_list *plans) {
  struct plan *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->session = s ? ln_session_ref(s) : NULL;
  ln_list_push(plans, &p->link);
  return p;
}

static int plan_all(struct ln_host *h, struct ln_generation *g, struct ln_list *plans) {
  if (ln_list_empty(&h->sessions)) {
    struct plan *p = plan_new(NULL, plans);
    int rc = p ? try_known(g, p) : LN_ENOMEM;
    if (!rc) plans_free(plans); /* without a session there is nothing to carry out */
    return rc;
  }
  LN_LIST_EACH(l, &h->sessions) {
    struct plan *p = plan_new(LN_CONTAINER(l, struct ln_session, link), plans);
    if (!p) return LN_ENOMEM;
    for (int k = 0; k < LN_KINDS; k++) {
      int rc = plan_kind(p, g, (enum ln_kind)k);
      if (rc) return rc;
    }
  }
  return LN_OK;
}

static struct ln_server *by_serial(const struct ln_generation *g, uint64_t serial) {
  for (size_t i = 0; i < g->n_servers; i++)
    if (g->servers[i]->serial == serial) return g->servers[i];
  return NULL;
}

static struct ln_server *namesake(const struct ln_generation *g, const struct ln_server *server) {
  for (size_t i = 0; i < g->n_servers; i++)
    if (strcmp(g->servers[i]->conf->name, server->conf->name) == 0) return g->servers[i];
  return NULL;
}

/* A server that is declared otherwise now is another one, which learns what the client listens to;
 * subscriptions at a server that is no longer declared end. */
static void move_subscriptions(struct ln_session *s, struct ln_generation *g,
                               const struct ln_generation *old) {
  LN_LIST_EACH(l, &s->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    if (by_serial(g, sub->server)) continue;
    const struct ln_server *before = by_serial(old, sub->server);
    ln_subscription_move(sub, before ? namesake(g, before) : NULL);
  }
}

static void carry_out(struct plan *p, struct ln_generation *g, const struct ln_generation *old) {
  struct ln_session *s = p->session;
  if (s->state == LN_SESSION_GONE) return;
  ln_session_set_generation(s, g);
  move_subscriptions(s, g, old);
  if (ln_init_request_offer(s))
    LN_LOG(g->host->log, WARN, s->id, "out of memory: new servers are offered what the old were");
  for (int k = 0; k < LN_KINDS; k++) {
    ln_view_set(s, (enum ln_kind)k, p->views[k]);
    p->views[k] = NULL;
  }
  ln_subscription_reloaded(s);
  if (s->state != LN_SESSION_OPEN) return;
  bool resources = p->differs[LN_KIND_RESOURCE] || p->differs[LN_KIND_TEMPLATE];
  if (p->differs[LN_KIND_TOOL]) ln_outbox_notify(&s->outbox, ln_kind_rows[LN_KIND_TOOL].changed);
  if (resources) ln_outbox_notify(&s->outbox, ln_kind_rows[LN_KIND_RESOURCE].changed);
  if (p->differs[LN_KIND_PROMPT])
    ln_outbox_notify(&s->outbox, ln_kind_rows[LN_KIND_PROMPT].changed);
}

/* Starts new servers for the sessions: one link for all that offer the same capabilities, which
 * share its index and are told when the server is ready. */
static void start_new_servers(struct ln_session *s, struct ln_generation *g,
                              const struct ln_generation *old) {
  for (size_t i = 0; i < g->n_servers; i++) {
    struct ln_server *server = g->servers[i];
    if (ln_generation_has(old, server) || s->state != LN_SESSION_OPEN || !s->peer.said) continue;
    bool started = false;
    LN_LIST_EACH(l, &server->links) {
      const struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
      started |= !link->owner || ln_str_eq(ln_index_key(link->owner), ln_index_key(s));
    }
    const char *why;
    if (!started && !ln_pool_link(s, server, &why))
      LN_LOG(g->host->log, WARN, s->id, "server \"%s\": %s", server->conf->name, why);
  }
}

static void adopt_idle(struct ln_server *server, uint64_t ms) {
  if (server->conf->idle_ms == ms) return;
  server->conf->idle_ms = ms;
  LN_LIST_EACH(l, &server->links) ln_idle_start(LN_CONTAINER(l, struct ln_link, link));
}

/* Servers taken over may be declared differently in these members. */
static void adopt_declarations(struct ln_generation *g) {
  for (size_t i = 0; i < g->n_servers; i++) {
    g->servers[i]->conf->timeout_ms = g->decls->servers[i].timeout_ms;
    g->servers[i]->conf->optional = g->decls->servers[i].optional;
    bool own = g->decls->servers[i].lists_own, before = g->servers[i]->conf->lists_own;
    g->servers[i]->conf->lists_own = own;
    if (own && !before) ln_share_none(g->servers[i]);
    g->servers[i]->conf->eager = g->decls->servers[i].eager;
    adopt_idle(g->servers[i], g->decls->servers[i].idle_ms);
  }
}

/* Warns when a server's default prefix came or went with the number of servers, as clients and
 * rules must use other names then. */
static void warn_prefixes(const struct ln_generation *g, const struct ln_generation *old) {
  for (size_t i = 0; i < g->n_servers; i++) {
    const char *name = g->servers[i]->conf->name, *now = g->prefixes[i];
    for (size_t k = 0; k < old->n_servers; k++) {
      const char *then = old->prefixes[k];
      bool same = then == now || (then && now && strcmp(then, now) == 0);
      if (same || strcmp(old->servers[k]->conf->name, name) != 0) continue;
      LN_LOG(g->host->log, WARN, name,
             "its tools and prompts are called %s%sNAME from now on, no longer %s%sNAME; `prefix` "
             "says what they are called however many servers there are",
             now ? now : "", now ? "_" : "", then ? then : "", then ? "_" : "");
    }
  }
}

/* The error of the first rule that failed on a list, or NULL. */
static const struct ln_bytes *rule_error(struct ln_list *plans) {
  LN_LIST_EACH(l, plans) {
    const struct plan *p = LN_CONTAINER(l, struct plan, link);
    for (int k = 0; k < LN_KINDS; k++) {
      if (p->views[k] && p->views[k]->failed) return p->views[k]->failed;
      if (p->tried[k] && p->tried[k]->failed) return p->tried[k]->failed;
    }
  }
  return NULL;
}

int ln_reload(struct ln_host *h, struct ln_policy *policy, char *why, size_t max) {
  const char *trouble = "out of memory";
  struct ln_generation *old = h->gen, *g = ln_generation_new(h, policy, &trouble);
  if (!g) {
    snprintf(why, max, "%s", trouble);
    return LN_EINVALID;
  }
  struct ln_list plans;
  ln_list_init(&plans);
  ln_policy_inherit_states(policy, old->policy); /* rules may look at them */
  int rc = plan_all(h, g, &plans);
  if (rc) {
    const struct ln_bytes *said = rule_error(&plans);
    if (said)
      snprintf(why, max, "%.*s", (int)LN_MIN(said->len, max), said->data);
    else
      snprintf(why, max, "the lists can't be made under it: %s", ln_err_text(rc));
    plans_free(&plans);
    ln_generation_unref(g);
    return rc;
  }
  h->gen = g;
  ln_host_set_settings(h, &g->decls->settings);
  h->reloads++;
  adopt_declarations(g);
  warn_prefixes(g, old);
  LN_LIST_EACH(l, &plans) {
    carry_out(LN_CONTAINER(l, struct plan, link), g, old);
  }
  LN_LIST_EACH(l, &plans) {
    start_new_servers(LN_CONTAINER(l, struct plan, link)->session, g, old);
  }
  for (size_t i = 0; i < g->n_servers; i++)
    if (!ln_generation_has(old, g->servers[i])) ln_start_eager(g->servers[i]);
  ln_policy_retire(old->policy);
  for (size_t i = 0; i < old->n_servers; i++)
    if (!ln_generation_has(g, old->servers[i])) ln_link_retire_all(old->servers[i]);
  LN_LIST_EACH(l, &plans) {
    ln_pool_drop_slots(LN_CONTAINER(l, struct plan, link)->session, ln_index_unref);
  }
  plans_free(&plans);
  ln_generation_unref(old);
  return LN_OK;
}
