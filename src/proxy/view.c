/* Getting views and looking into them; see view.h. */
#include "proxy/view_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "mcp/uri.h"

static struct ln_str str_of(const struct ln_bytes *b) {
  return b ? (struct ln_str){b->data, b->len} : LN_STR_NONE;
}

/* --- life --- */

struct ln_view *ln_view_ref(struct ln_view *v) {
  v->refs++;
  return v;
}

void ln_view_unref(struct ln_view *v) {
  if (!v || --v->refs) return;
  ln_list_remove(&v->link);
  for (size_t i = 0; i < v->n_entries; i++) {
    struct ln_entry *e = &v->entries[i];
    ln_bytes_unref(e->key);
    ln_bytes_unref(e->before_rules);
    ln_bytes_unref(e->normal);
    ln_bytes_unref(e->before_normal);
    ln_bytes_unref(e->before_loose);
    ln_bytes_unref(e->native_json);
    ln_bytes_unref(e->json);
    ln_bytes_unref(e->why);
    ln_transform_unref(e->transform);
    for (size_t k = 0; k < e->n_old; k++) ln_bytes_unref(e->old[k].name);
    free(e->old);
  }
  for (size_t i = 0; i < v->n_listings; i++) ln_listing_unref(v->listings[i]);
  ln_view_pages_free(v);
  ln_bytes_unref(v->failed);
  ln_map_deinit(&v->by_key);
  ln_map_deinit(&v->hidden);
  ln_map_deinit(&v->by_native);
  ln_templates_deinit(&v->match.visible);
  ln_templates_deinit(&v->match.gone);
  ln_templates_deinit(&v->match.native);
  ln_bytes_unref(v->last.native);
  ln_bytes_unref(v->last.key);
  ln_generation_unref(v->gen);
  free(v->entries);
  free(v->listings);
  free(v);
}

/* --- getting one --- */

struct getter {
  struct ln_session *session; /* counted */
  struct ln_generation *gen;  /* counted */
  struct ln_exchange *x;      /* counted, or NULL */
  enum ln_kind kind;
  bool explain;
  bool done;
  size_t missing; /* listings not yet answered, plus one while they are asked for */
  size_t refs;    /* answers still to come, and the getter's own course */
  struct ln_listing **listings;
  char why[LN_WHY_MAX + 128];
  struct ln_timer patience;
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

/* The session's view if it still holds, or another session's that sees the same. */
static struct ln_view *existing(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                                struct ln_listing *const *listings) {
  struct ln_view *v = s->views[kind];
  if (v && v->gen == gen && same_listings(v, listings)) return v;
  if (ln_policy_per_client(gen->policy, kind)) return NULL;
  LN_LIST_EACH(l, &gen->host->views) {
    v = LN_CONTAINER(l, struct ln_view, link);
    if (v->kind == kind && v->gen == gen && same_listings(v, listings)) return v;
  }
  return NULL;
}

/* One reference. */
static struct ln_view *make(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                            struct ln_listing *const *listings, struct ln_exchange *x) {
  struct ln_view *v = existing(s, gen, kind, listings);
  if (v) return ln_view_ref(v);
  v = ln_view_build(gen, kind, listings, x, 0);
  if (v && !ln_policy_per_client(gen->policy, kind)) ln_list_push(&gen->host->views, &v->link);
  return v;
}

static struct ln_view *view_for(struct getter *g) {
  struct ln_session *s = g->session;
  if (g->explain) return ln_view_build(g->gen, g->kind, g->listings, g->x, LN_PRESENT_EXPLAIN);
  struct ln_view *v = make(s, g->gen, g->kind, g->listings, g->x);
  if (v && s->views[g->kind] != v && s->gen == g->gen && s->state != LN_SESSION_GONE) {
    ln_view_unref(s->views[g->kind]);
    s->views[g->kind] = ln_view_ref(v);
  }
  return v;
}

static void getter_unref(struct getter *g) {
  if (--g->refs) return;
  for (size_t i = 0; i < g->gen->n_servers; i++) ln_listing_unref(g->listings[i]);
  free(g->listings);
  ln_exchange_unref(g->x);
  ln_generation_unref(g->gen);
  ln_session_unref(g->session);
  free(g);
}

static void getter_finish(struct getter *g) {
  if (g->done) return;
  g->done = true;
  ln_timer_stop(&g->patience);
  const struct ln_generation *h = g->gen;
  bool lost = h->n_servers == 1 && !g->listings[0] && !h->components[g->kind];
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
    if (!listing) ln_server_blame(g->gen->servers[a->index], why, g->why, sizeof g->why);
    if (--g->missing == 0) getter_finish(g);
  }
  getter_unref(g);
  free(a);
}

static void out_of_patience(struct ln_timer *t) {
  getter_finish(LN_CONTAINER(t, struct getter, patience));
}

/* A server that has been starting for longer than clients are made to wait keeps nobody up, nor
 * does one whose list doesn't come. */
static bool hopeless(const struct getter *g, struct ln_server *server) {
  struct ln_session *s = g->session;
  if (g->gen->n_servers < 2) return false;
  const struct ln_index *c = ln_session_index(s, server);
  bool listing = !g->x || g->x->method->route == LN_ROUTE_LIST;
  if (c) return ln_index_hopeless(c, g->kind, listing);
  struct ln_link *link =
      server->conf->session == LN_SHARING_SHARED ? server->shared : ln_session_link(s, server);
  return link && link->state != LN_LINK_READY &&
         ln_loop_now(s->host->loop) - link->opened_at > s->host->settings.start_timeout_ms;
}

static void get(struct ln_session *s, enum ln_kind kind, struct ln_exchange *x, bool explain,
                ln_view_fn fn, void *arg) {
  struct ln_host *h = s->host;
  struct ln_generation *gen = x ? x->gen : s->gen;
  struct getter *g = calloc(1, sizeof *g);
  if (g) g->listings = calloc(gen->n_servers + 1, sizeof(struct ln_listing *));
  if (!g || !g->listings) {
    free(g);
    fn(arg, NULL, "out of memory");
    return;
  }
  g->session = ln_session_ref(s);
  g->gen = ln_generation_ref(gen);
  if (x) ln_exchange_ref(x);
  g->x = x;
  g->kind = kind;
  g->explain = explain;
  g->fn = fn;
  g->arg = arg;
  g->refs = 1;
  g->missing = 1;
  ln_timer_init(&g->patience);
  for (size_t i = 0; i < gen->n_servers; i++) {
    struct ln_server *server = gen->servers[i];
    struct ask *a = hopeless(g, server) ? NULL : calloc(1, sizeof *a);
    if (!a) continue;
    *a = (struct ask){g, i};
    g->refs++;
    g->missing++;
    ln_fetch_listing(s, server, kind, got_listing, a);
  }
  if (--g->missing == 0)
    getter_finish(g);
  else if (gen->n_servers > 1)
    ln_timer_start(h->loop, &g->patience, h->settings.start_timeout_ms, out_of_patience);
  /* With one server its own deadlines apply. */
  getter_unref(g);
}

/* The view as it is, when every list it was made of still is what the session sees. */
static struct ln_view *current(const struct ln_session *s, const struct ln_generation *gen,
                               enum ln_kind kind) {
  struct ln_view *v = s->views[kind];
  if (!v || v->gen != gen) return NULL;
  for (size_t i = 0; i < v->n_listings; i++) {
    const struct ln_index *c = ln_session_index(s, gen->servers[i]);
    if (!c || !c->listings[kind] || c->listings[kind] != v->listings[i]) return NULL;
  }
  return v;
}

void ln_view_get(struct ln_session *s, enum ln_kind kind, struct ln_exchange *x, ln_view_fn fn,
                 void *arg) {
  struct ln_view *v = current(s, x ? x->gen : s->gen, kind);
  if (v)
    fn(arg, v, NULL);
  else
    get(s, kind, x, false, fn, arg);
}

void ln_view_explain(struct ln_session *s, enum ln_kind kind, struct ln_exchange *x, ln_view_fn fn,
                     void *arg) {
  get(s, kind, x, true, fn, arg);
}

struct ln_view *ln_view_preview(struct ln_session *s, enum ln_kind kind, struct ln_exchange *x) {
  struct ln_generation *gen = x->gen;
  struct ln_listing **listings = calloc(gen->n_servers + 1, sizeof(struct ln_listing *));
  if (!listings) return NULL;
  for (size_t i = 0; i < gen->n_servers; i++) {
    const struct ln_index *c = ln_session_index(s, gen->servers[i]);
    listings[i] = c ? c->listings[kind] : NULL;
  }
  struct ln_view *v = make(s, gen, kind, listings, x);
  free(listings);
  return v;
}

struct ln_view *ln_view_trial(struct ln_generation *gen, enum ln_kind kind,
                              struct ln_listing *const *listings) {
  return ln_view_build(gen, kind, listings, NULL, LN_PRESENT_TRIAL);
}

bool ln_view_needed(const struct ln_generation *g, enum ln_kind kind) {
  bool named = kind == LN_KIND_TOOL || kind == LN_KIND_PROMPT;
  return g->n_servers != 1 || (named && g->prefixes[0]) || g->components[kind] ||
         ln_policy_has_rules(g->policy, kind);
}

/* --- looking up --- */

static void *look(const struct ln_map *m, struct ln_str key, ln_view_uri_form form) {
  struct ln_bytes *other = ln_view_form(key, form);
  void *found = other ? ln_map_get(m, str_of(other)) : NULL;
  ln_bytes_unref(other);
  return found;
}

const struct ln_entry *ln_view_find(const struct ln_view *v, struct ln_str key) {
  void *found = ln_map_get(&v->by_key, key);
  if (found || !ln_view_spelt(v) || ln_view_is_hidden(v, key)) return found;
  return look(&v->by_key, key, ln_uri_normal);
}

bool ln_view_is_hidden(const struct ln_view *v, struct ln_str key) {
  if (ln_map_get(&v->hidden, key)) return true;
  return ln_view_spelt(v) && v->hidden.len &&
         (look(&v->hidden, key, ln_uri_normal) || look(&v->hidden, key, ln_uri_loose));
}
