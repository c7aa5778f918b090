/* Getting views; see view_get.h. */
#include "proxy/lists/view_get.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/lists/fetch.h"
#include "proxy/lists/view_build.h"

struct getter {
  struct ln_view_request request; /* its session and generation are counted */
  bool done;
  size_t missing; /* listings not yet answered, plus one while they are asked for */
  size_t refs;    /* one for each answer to come, and one while it is begun */
  struct ln_listing **listings;
  char why[LN_WHY_MAX + 128];
  struct ln_timer timeout;
  ln_view_fn fn;
  void *arg;
};
struct ask {
  struct getter *g;
  size_t index;
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
  if (v && v->per_request) ln_view_made_for(v, r->headers);
  if (v && !ln_policy_per_client(r->gen->policy, r->kind))
    ln_list_push(&r->gen->host->views, &v->link);
  return v;
}

static struct ln_view *view_for(struct getter *g) {
  const struct ln_view_request *r = &g->request;
  struct ln_session *s = r->session;
  if (r->use == LN_VIEW_EXPLAIN)
    return ln_view_build(r->gen, r->kind, g->listings, r->x, LN_PRESENT_EXPLAIN);
  struct ln_view *v = make(r, g->listings);
  if (v && s->views[r->kind] != v && s->gen == r->gen && s->state != LN_SESSION_GONE)
    ln_view_set(s, r->kind, ln_view_ref(v));
  return v;
}

static void getter_unref(struct getter *g) {
  if (--g->refs) return;
  for (size_t i = 0; i < g->request.gen->n_servers; i++) ln_listing_unref(g->listings[i]);
  free(g->listings);
  ln_generation_unref(g->request.gen);
  ln_session_unref(g->request.session);
  free(g);
}

static void getter_finish(struct getter *g) {
  if (g->done) return;
  g->done = true;
  ln_timer_stop(&g->timeout);
  const struct ln_generation *gen = g->request.gen;
  bool lost = gen->n_servers == 1 && !g->listings[0] && !gen->components[g->request.kind];
  struct ln_view *v = lost ? NULL : view_for(g);
  const char *why = *g->why ? g->why
                    : lost  ? "the server is not ready yet"
                            : "the policy's rules failed on the list";
  g->fn(g->arg, v, v ? NULL : why);
  ln_view_unref(v);
}

static void got_listing(void *arg, struct ln_listing *listing, const char *why) {
  struct ask *a = arg;
  struct getter *g = a->g;
  if (!g->done) {
    g->listings[a->index] = listing ? ln_listing_ref(listing) : NULL;
    if (!listing)
      ln_server_error_text(g->request.gen->servers[a->index], why, g->why, sizeof g->why);
    if (--g->missing == 0) getter_finish(g);
  }
  getter_unref(g);
  free(a);
}

static void on_timeout(struct ln_timer *t) {
  getter_finish(LN_CONTAINER(t, struct getter, timeout));
}

/* With several servers, true when this one's list is not to be waited for: the server has been
 * starting, or the list been fetched, for longer than start_timeout. */
static bool unavailable(const struct ln_view_request *r, const struct ln_server *server) {
  struct ln_session *s = r->session;
  if (r->gen->n_servers < 2) return false;
  const struct ln_index *index = ln_index_of(s, server);
  if (index) return ln_index_unavailable(index, r->kind, r->use != LN_VIEW_USE);
  const struct ln_link *link = ln_pool_current(s, server);
  return link && !ln_link_ready(link) &&
         ln_loop_now(s->host->loop) - link->opened_at > s->host->settings.start_timeout_ms;
}

static void get(const struct ln_view_request *r, ln_view_fn fn, void *arg) {
  struct ln_generation *gen = r->gen;
  struct ln_host *h = gen->host;
  struct getter *g = calloc(1, sizeof *g);
  if (g) g->listings = calloc(gen->n_servers + 1, sizeof(struct ln_listing *));
  if (!g || !g->listings) {
    free(g);
    fn(arg, NULL, "out of memory");
    return;
  }
  g->request = *r;
  ln_session_ref(r->session);
  ln_generation_ref(gen);
  g->fn = fn;
  g->arg = arg;
  g->refs = 1;
  g->missing = 1;
  ln_timer_init(&g->timeout);
  for (size_t i = 0; i < gen->n_servers; i++) {
    struct ask *a = unavailable(r, gen->servers[i]) ? NULL : calloc(1, sizeof *a);
    if (!a) continue;
    *a = (struct ask){g, i};
    g->refs++;
    g->missing++;
    ln_fetch_listing(g->request.session, gen->servers[i], g->request.kind, got_listing, a);
  }
  if (--g->missing == 0)
    getter_finish(g);
  else if (gen->n_servers > 1)
    ln_timer_start(h->loop, &g->timeout, h->settings.start_timeout_ms, on_timeout);
  /* One server is waited for until its own deadlines. */
  getter_unref(g);
}

/* The session's view for this request, when the session's lists are still those that it was made
 * of. */
static struct ln_view *current(const struct ln_view_request *r) {
  struct ln_view *v = r->session->views[r->kind];
  if (!v || v->gen != r->gen) return NULL;
  for (size_t i = 0; i < v->n_listings; i++) {
    const struct ln_index *index = ln_index_of(r->session, r->gen->servers[i]);
    if (!index || !index->listings[r->kind] || index->listings[r->kind] != v->listings[i])
      return NULL;
  }
  return ln_view_for(r->session, r->kind, r->headers);
}

void ln_view_get(const struct ln_view_request *request, ln_view_fn fn, void *arg) {
  struct ln_view *v = request->use == LN_VIEW_EXPLAIN ? NULL : current(request);
  if (v)
    fn(arg, v, NULL);
  else
    get(request, fn, arg);
}

struct ln_view *ln_view_get_now(const struct ln_view_request *r) {
  struct ln_listing **listings = calloc(r->gen->n_servers + 1, sizeof(struct ln_listing *));
  if (!listings) return NULL;
  for (size_t i = 0; i < r->gen->n_servers; i++) {
    const struct ln_index *index = ln_index_of(r->session, r->gen->servers[i]);
    listings[i] = index ? index->listings[r->kind] : NULL;
  }
  struct ln_view *v = make(r, listings);
  free(listings);
  return v;
}
