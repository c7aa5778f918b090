/* Getting views; see view_get.h. */
#include "proxy/lists/view_get.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/lists/fetch.h"
#include "proxy/lists/view_build.h"

/* Of one server: its listing, or the wait for it. */
struct want {
  struct ln_view_getter *g;
  bool waits;
  struct ln_fetch_wait wait;
};

struct ln_view_getter {
  struct ln_view_request request; /* its session and generation are counted */
  size_t missing;                 /* listings not yet answered, plus one while they are asked for */
  struct ln_listing **listings;   /* one per server, counted; NULL: not there */
  struct want *wants;             /* one per server */
  char why[LN_WHY_MAX + 128];
  struct ln_timer timeout;
  ln_view_fn fn;
  void *arg;
};

static bool same_listings(const struct ln_view *v, struct ln_listing *const *listings) {
  for (size_t i = 0; i < v->n_listings; i++)
    if (v->listings[i] != listings[i]) return false;
  return true;
}

/* The session's view for this request if it is made of these lists, or another session's that is.
 */
static struct ln_view *existing(const struct ln_view_request *r,
                                struct ln_listing *const *listings) {
  struct ln_generation *gen = r->gen;
  enum ln_kind kind = r->kind;
  struct ln_view *v = r->session->views[kind];
  if (v && v->gen == gen && same_listings(v, listings))
    return ln_view_for(r->session, kind, r->headers);
  if (ln_policy_per_client(gen->policy, kind)) return NULL;
  LN_LIST_EACH(l, &gen->host->views) {
    v = LN_CONTAINER(l, struct ln_view, link);
    if (v->kind == kind && v->gen == gen && same_listings(v, listings)) return v;
  }
  return NULL;
}

/* One reference. */
static struct ln_view *make(const struct ln_view_request *r, struct ln_listing *const *listings) {
  struct ln_view *v = existing(r, listings);
  if (v) return ln_view_ref(v);
  v = ln_view_build(r->gen, r->kind, listings, r->x, 0);
  if (!v) return NULL;
  ln_view_set_key(v, r->headers);
  if (ln_policy_per_client(r->gen->policy, r->kind))
    ln_view_charge(v, r->session->purse);
  else
    ln_list_push(&r->gen->host->views, &v->link);
  return v;
}

/* The session has this view from now on. */
static void keep(const struct ln_view_request *r, struct ln_view *v) {
  struct ln_session *s = r->session;
  if (s->views[r->kind] != v && s->gen == r->gen && s->state != LN_SESSION_GONE)
    ln_view_set(s, r->kind, ln_view_ref(v));
}

static struct ln_view *view_for(struct ln_view_getter *g) {
  const struct ln_view_request *r = &g->request;
  if (r->use == LN_VIEW_EXPLAIN)
    return ln_view_build(r->gen, r->kind, g->listings, r->x, LN_PRESENT_EXPLAIN);
  struct ln_view *v = make(r, g->listings);
  if (v) keep(r, v);
  return v;
}

static void getter_free(struct ln_view_getter *g) {
  ln_timer_stop(&g->timeout);
  for (size_t i = 0; i < g->request.gen->n_servers; i++) {
    if (g->wants[i].waits) ln_fetch_forget(&g->wants[i].wait);
    ln_listing_unref(g->listings[i]);
  }
  free(g->wants);
  free(g->listings);
  ln_generation_unref(g->request.gen);
  ln_session_unref(g->request.session);
  free(g);
}

void ln_view_cancel(struct ln_view_getter *g) {
  getter_free(g);
}

/* True when clients that list are shown nothing without this server, and its policy needs it. */
static bool indispensable(const struct ln_view_request *r) {
  return r->gen->n_servers == 1 && !r->gen->components[r->kind] &&
         !r->gen->servers[0]->conf->optional;
}

static void getter_finish(struct ln_view_getter *g) {
  bool lost = indispensable(&g->request) && !g->listings[0];
  struct ln_view *v = lost ? NULL : view_for(g);
  char why[sizeof g->why];
  snprintf(why, sizeof why, "%s",
           *g->why ? g->why
           : lost  ? "the server is not ready yet"
                   : "the policy's rules failed on the list");
  ln_view_fn fn = g->fn;
  void *arg = g->arg;
  getter_free(g);
  fn(arg, v, v ? NULL : why);
  ln_view_unref(v);
}

static void on_timeout(struct ln_timer *t) {
  getter_finish(LN_CONTAINER(t, struct ln_view_getter, timeout));
}

/* So many that the view is made in a turn of its own: to read them took one already. */
enum { MANY_ITEMS = 1000 };

static bool many(const struct ln_view_getter *g) {
  size_t n = 0;
  for (size_t i = 0; i < g->request.gen->n_servers; i++)
    if (g->listings[i]) n += g->listings[i]->n_items;
  return n > MANY_ITEMS;
}

static void got_listing(void *arg, struct ln_listing *listing, const char *why) {
  struct want *a = arg;
  struct ln_view_getter *g = a->g;
  size_t i = (size_t)(a - g->wants);
  a->waits = false;
  g->listings[i] = listing ? ln_listing_ref(listing) : NULL;
  if (!listing) ln_server_error_text(g->request.gen->servers[i], why, g->why, sizeof g->why);
  if (--g->missing > 0) return;
  if (many(g))
    ln_timer_start(g->request.gen->host->loop, &g->timeout, 0, on_timeout);
  else
    getter_finish(g);
}

/* True when this server's list is not to be waited for: the server has been starting, or the list
 * been fetched, for longer than start_timeout. */
static bool unavailable(const struct ln_view_request *r, const struct ln_server *server) {
  struct ln_session *s = r->session;
  if (indispensable(r)) return false;
  const struct ln_index *index = ln_index_of(s, server);
  if (index)
    return ln_fetch_hopeless(s, index, r->kind) ||
           (r->use == LN_VIEW_USE && ln_index_in_backoff(index, r->kind));
  const struct ln_link *link = ln_pool_current(s, server);
  return link && !ln_link_ready(link) &&
         ln_loop_now(s->host->loop) - link->opened_at > s->host->settings.start_timeout_ms;
}

static struct ln_view_getter *getter_new(const struct ln_view_request *r, ln_view_fn fn,
                                         void *arg) {
  size_t n = r->gen->n_servers;
  struct ln_view_getter *g = calloc(1, sizeof *g);
  if (!g) return NULL;
  g->listings = calloc(n + 1, sizeof(struct ln_listing *));
  g->wants = calloc(n + 1, sizeof *g->wants);
  if (!g->listings || !g->wants) {
    free(g->listings);
    free(g->wants);
    free(g);
    return NULL;
  }
  g->request = *r;
  ln_session_ref(r->session);
  ln_generation_ref(r->gen);
  g->fn = fn;
  g->arg = arg;
  g->missing = 1;
  ln_timer_init(&g->timeout);
  return g;
}

static struct ln_view_getter *get(const struct ln_view_request *r, ln_view_fn fn, void *arg) {
  struct ln_loop *loop = r->gen->host->loop;
  uint64_t now = ln_loop_now(loop);
  struct ln_view_getter *g = getter_new(r, fn, arg);
  if (!g) {
    fn(arg, NULL, "out of memory");
    return NULL;
  }
  size_t n = r->first ? r->first : r->gen->n_servers;
  for (size_t i = 0; i < n; i++) {
    struct want *a = &g->wants[i];
    a->g = g;
    if (unavailable(r, r->gen->servers[i])) continue;
    a->waits = true;
    g->missing++;
    ln_fetch_listing(&a->wait, r->session, r->gen->servers[i], r->kind, got_listing, a);
  }
  uint64_t until = r->until ? r->until : now + r->gen->host->settings.start_timeout_ms;
  if (--g->missing == 0) {
    getter_finish(g);
    return NULL;
  }
  if (!indispensable(r))
    ln_timer_start(loop, &g->timeout, until > now ? until - now : 0, on_timeout);
  return g;
}

/* The list as the session's index of that server has it; NULL: not fetched yet. */
static struct ln_listing *known(const struct ln_view_request *r, size_t i) {
  const struct ln_index *index = ln_index_of(r->session, r->gen->servers[i]);
  return index ? index->listings[r->kind] : NULL;
}

/* The session's view for this request, when what is known is still what it was made of. */
static struct ln_view *current(const struct ln_view_request *r) {
  struct ln_view *v = r->session->views[r->kind];
  if (!v || v->gen != r->gen) return NULL;
  for (size_t i = 0; i < v->n_listings; i++)
    if (v->listings[i] != known(r, i)) return NULL;
  return ln_view_for(r->session, r->kind, r->headers);
}

struct ln_view_getter *ln_view_get(const struct ln_view_request *r, ln_view_fn fn, void *arg) {
  struct ln_view *v = r->use == LN_VIEW_EXPLAIN ? NULL : current(r);
  if (!v || !ln_view_complete(v)) return get(r, fn, arg);
  fn(arg, v, NULL);
  return NULL;
}

struct ln_view *ln_view_get_now(const struct ln_view_request *r) {
  struct ln_view *v = r->use == LN_VIEW_USE ? current(r) : NULL;
  if (v) return ln_view_ref(v); /* the common case allocates nothing */
  struct ln_listing **listings = calloc(r->gen->n_servers + 1, sizeof(struct ln_listing *));
  if (!listings) return NULL;
  for (size_t i = 0; i < r->gen->n_servers; i++) listings[i] = known(r, i);
  v = make(r, listings);
  free(listings);
  if (v && r->use == LN_VIEW_USE) keep(r, v);
  return v;
}
