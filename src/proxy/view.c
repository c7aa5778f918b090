/* Building and serving views; see view.h. */
#include "proxy/view.h"

#include <stdio.h>
#include <stdlib.h>

#include "mcp/uri.h"

static bool is_uri_kind(enum ln_kind kind) {
  return kind == LN_KIND_RESOURCE;
}

static struct ln_str str_of(const struct ln_bytes *b) {
  return b ? (struct ln_str){b->data, b->len} : LN_STR_NONE;
}

/* --- life --- */

struct ln_view *ln_view_ref(struct ln_view *v) {
  v->refs++;
  return v;
}

static void pages_free(struct ln_view *v) {
  for (size_t i = 0; i < v->n_pages; i++) ln_msg_unref(v->pages[i]);
  free(v->pages);
  v->pages = NULL;
  v->n_pages = 0;
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
  for (size_t i = 0; i < v->n_shelves; i++) ln_shelf_unref(v->shelves[i]);
  pages_free(v);
  ln_bytes_unref(v->failed);
  ln_map_deinit(&v->by_key);
  ln_map_deinit(&v->hidden);
  ln_generation_unref(v->gen);
  free(v->entries);
  free(v->shelves);
  free(v);
}

/* --- building --- */

/* The name an item has before any rule: with its server's prefix; URIs as they are. */
static struct ln_bytes *first_name(const char *prefix, enum ln_kind kind,
                                   const struct ln_bytes *key) {
  if (!prefix || kind == LN_KIND_RESOURCE || kind == LN_KIND_TEMPLATE)
    return ln_bytes_ref((struct ln_bytes *)key);
  size_t n = strlen(prefix);
  struct ln_bytes *b = ln_bytes_new(n + 1 + key->len);
  if (!b) return NULL;
  memcpy(b->data, prefix, n);
  b->data[n] = '_';
  memcpy(b->data + n + 1, key->data, key->len);
  return b;
}

typedef int (*uri_form)(struct ln_str uri, struct ln_buf *out);

/* NULL where the form is the URI itself. */
static struct ln_bytes *form_of(struct ln_str uri, uri_form form) {
  struct ln_buf b;
  ln_buf_init(&b, LN_URI_ROOM(uri.n));
  struct ln_bytes *out = NULL;
  if (form(uri, &b) == LN_OK && !ln_str_eq(ln_buf_str(&b), uri)) out = ln_buf_take(&b);
  ln_buf_deinit(&b);
  return out;
}

static struct ln_bytes *normal_form(struct ln_str uri) {
  return form_of(uri, ln_uri_normal);
}

static int collect(struct ln_view *v) {
  const struct ln_policy_decls *d = v->gen->decls;
  size_t max = d->n_components;
  for (size_t i = 0; i < v->n_shelves; i++) max += v->shelves[i] ? v->shelves[i]->n_items : 0;
  v->entries = calloc(max + 1, sizeof *v->entries);
  if (!v->entries) return LN_ENOMEM;
  for (size_t i = 0; i < d->n_components; i++) {
    if (d->components[i].kind != v->kind) continue;
    struct ln_entry *e = &v->entries[v->n_entries++];
    e->component = i;
    e->before_rules = ln_bytes_copy(d->components[i].key.p, d->components[i].key.n);
    if (!e->before_rules) return LN_ENOMEM;
  }
  for (size_t i = 0; i < v->n_shelves; i++) {
    struct ln_shelf *sh = v->shelves[i];
    for (size_t k = 0; sh && k < sh->n_items; k++) {
      struct ln_entry *e = &v->entries[v->n_entries++];
      e->upstream = sh->upstream;
      e->item = &sh->items[k];
      e->before_rules = first_name(v->gen->prefixes[i], v->kind, e->item->key);
      if (!e->before_rules) return LN_ENOMEM;
    }
  }
  return LN_OK;
}

struct ln_str ln_entry_definition(const struct ln_view *v, const struct ln_entry *e) {
  return e->upstream ? e->item->json : v->gen->decls->components[e->component].json;
}

/* Splices the presented name into a definition, if it isn't there already. */
static int put_name(struct ln_view *v, struct ln_entry *e) {
  struct ln_str json = e->json ? str_of(e->json) : ln_entry_definition(v, e);
  struct ln_json_item it;
  if (!ln_json_get(json, ln_kind_rows[v->kind].key, &it)) return LN_OK;
  struct ln_buf quoted, out;
  ln_buf_init(&quoted, SIZE_MAX / 2);
  ln_buf_init(&out, SIZE_MAX / 2);
  int rc = ln_json_quote(&quoted, str_of(e->key));
  struct ln_iov parts[3];
  const struct ln_edit edit = {it.value, ln_buf_str(&quoted)};
  int n = rc ? rc : ln_json_splice(json, NULL, &edit, 1, parts, LN_COUNT(parts));
  if (n < 0) rc = n;
  for (int i = 0; i < n && !rc; i++) rc = ln_buf_append(&out, parts[i].p, parts[i].n);
  if (!rc) {
    struct ln_bytes *fresh = ln_buf_take(&out);
    ln_bytes_unref(e->json);
    e->json = fresh;
    rc = fresh ? LN_OK : LN_ENOMEM;
  }
  ln_buf_deinit(&quoted);
  ln_buf_deinit(&out);
  return rc;
}

static int settle(struct ln_view *v, struct ln_entry *e, struct ln_view_item *item) {
  e->hidden = item->hidden;
  e->json = item->new_json;
  e->old = item->old;
  e->n_old = item->n_old;
  e->why = item->why;
  e->transform = item->transform;
  if (v->failed)
    ln_bytes_unref(item->failed);
  else
    v->failed = item->failed;
  e->key = item->new_name ? item->new_name : ln_bytes_ref(e->before_rules);
  *item = (struct ln_view_item){0};
  struct ln_str native =
      e->upstream ? str_of(e->item->key) : v->gen->decls->components[e->component].key;
  if (!ln_str_eq(native, str_of(e->key))) {
    int rc = put_name(v, e);
    if (rc) return rc;
    if (e->upstream &&
        !(e->native_json = ln_bytes_copy(e->item->key_value.p, e->item->key_value.n)))
      return LN_ENOMEM;
  }
  if (is_uri_kind(v->kind)) e->normal = normal_form(str_of(e->key));
  return LN_OK;
}

static int apply_rules(struct ln_view *v, struct ln_exchange *x, bool explain) {
  struct ln_view_item *items = calloc(v->n_entries + 1, sizeof *items);
  if (!items) return LN_ENOMEM;
  for (size_t i = 0; i < v->n_entries; i++) {
    struct ln_entry *e = &v->entries[i];
    items[i].upstream = e->upstream ? e->upstream->conf->name : NULL;
    items[i].json = ln_entry_definition(v, e);
    items[i].name = str_of(e->before_rules);
  }
  int rc = LN_OK;
  if (explain || ln_policy_has_rules(v->gen->policy, v->kind))
    rc = ln_policy_present(v->gen->policy, v->kind, items, v->n_entries, x, explain);
  for (size_t i = 0; i < v->n_entries; i++) {
    if (!rc) rc = settle(v, &v->entries[i], &items[i]);
    ln_view_item_deinit(&items[i]);
  }
  free(items);
  return rc;
}

/* What it was called before the rules is no way around them, in no spelling. */
static int index_hidden(struct ln_view *v, struct ln_entry *e) {
  struct ln_str before = str_of(e->before_rules);
  int rc = ln_map_put(&v->hidden, before, e);
  if (rc || !is_uri_kind(v->kind)) return rc;
  e->before_normal = form_of(before, ln_uri_normal);
  e->before_loose = form_of(before, ln_uri_loose);
  if (e->before_normal) rc = ln_map_put(&v->hidden, str_of(e->before_normal), e);
  if (!rc && e->before_loose) rc = ln_map_put(&v->hidden, str_of(e->before_loose), e);
  return rc;
}

/* Two servers list one URI: the later one's gets its server's name before the scheme, which still
 * makes a URI and can be taken off again. False when it can't be had. */
static bool set_apart(struct ln_view *v, struct ln_entry *e) {
  bool uri = v->kind == LN_KIND_RESOURCE || v->kind == LN_KIND_TEMPLATE;
  if (!uri || !e->upstream || e->native_json) return false;
  const char *name = e->upstream->conf->name;
  size_t n = strlen(name);
  struct ln_bytes *key = ln_bytes_new(n + 1 + e->key->len);
  if (!key) return false;
  for (size_t i = 0; i < n; i++) {
    bool ok = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
              (i && ((name[i] >= '0' && name[i] <= '9') || name[i] == '.'));
    key->data[i] = ok ? name[i] : i ? '-' : 'x';
  }
  key->data[n] = '+';
  memcpy(key->data + n + 1, e->key->data, e->key->len);
  if (ln_map_get(&v->by_key, str_of(key))) {
    ln_bytes_unref(key);
    return false;
  }
  ln_bytes_unref(e->key);
  e->key = key;
  e->added = n + 1;
  ln_bytes_unref(e->normal);
  e->normal = is_uri_kind(v->kind) ? normal_form(str_of(key)) : NULL;
  e->native_json = ln_bytes_copy(e->item->key_value.p, e->item->key_value.n);
  return e->native_json && put_name(v, e) == LN_OK;
}

static int index_entries(struct ln_view *v) {
  for (size_t i = 0; i < v->n_entries; i++) {
    struct ln_entry *e = &v->entries[i];
    int rc = LN_OK;
    if (e->hidden) {
      rc = index_hidden(v, e);
    } else if (ln_map_get(&v->by_key, str_of(e->key)) && !set_apart(v, e)) {
      e->shadowed = true;
      LN_LOG(v->host->log, WARN, e->upstream ? e->upstream->conf->name : "policy",
             "its %s \"%.*s\" is not shown: another of that name comes first",
             ln_kind_rows[v->kind].noun, LN_STR_ARG(str_of(e->key)));
    } else {
      /* A name set apart above is indexed here too: there is one of it. */
      rc = ln_map_put(&v->by_key, str_of(e->key), e);
      if (!rc && e->normal && !ln_map_get(&v->by_key, str_of(e->normal)))
        rc = ln_map_put(&v->by_key, str_of(e->normal), e);
      if (!rc && !e->added && !ln_str_eq(str_of(e->key), str_of(e->before_rules)))
        rc = index_hidden(v, e);
    }
    v->renames |= e->native_json != NULL;
    if (rc) return rc;
  }
  return LN_OK;
}

static struct ln_view *build(struct ln_generation *gen, enum ln_kind kind,
                             struct ln_shelf *const *shelves, struct ln_exchange *x, bool explain) {
  struct ln_host *h = gen->host;
  struct ln_view *v = calloc(1, sizeof *v);
  if (!v) return NULL;
  v->refs = 1;
  v->host = h;
  v->kind = kind;
  v->gen = ln_generation_ref(gen);
  v->n_shelves = gen->n_upstreams;
  ln_map_init(&v->by_key);
  ln_map_init(&v->hidden);
  ln_list_init(&v->link);
  v->shelves = calloc(gen->n_upstreams + 1, sizeof(struct ln_shelf *));
  if (!v->shelves) v->n_shelves = 0;
  for (size_t i = 0; i < v->n_shelves; i++)
    v->shelves[i] = shelves[i] ? ln_shelf_ref(shelves[i]) : NULL;
  int rc = v->shelves ? collect(v) : LN_ENOMEM;
  if (!rc) rc = apply_rules(v, x, explain);
  if (!rc) rc = index_entries(v);
  if (rc) {
    LN_LOG(h->log, ERROR, "lists", "%s: %s", ln_kind_rows[kind].list_method, ln_err_text(rc));
    ln_view_unref(v);
    return NULL;
  }
  return v;
}

/* --- getting one --- */

struct getter {
  struct ln_session *session; /* counted */
  struct ln_generation *gen;  /* counted */
  struct ln_exchange *x;      /* counted, or NULL */
  enum ln_kind kind;
  bool explain;
  bool done;
  size_t missing; /* shelves not yet answered, plus one while they are asked for */
  size_t refs;    /* answers still to come, and the getter's own course */
  struct ln_shelf **shelves;
  char why[512];
  struct ln_timer patience;
  ln_view_fn fn;
  void *arg;
};
struct ask {
  struct getter *g;
  size_t index;
};

static bool same_shelves(const struct ln_view *v, struct ln_shelf *const *shelves) {
  for (size_t i = 0; i < v->n_shelves; i++)
    if (v->shelves[i] != shelves[i]) return false;
  return true;
}

/* The session's view if it still holds, or another session's that sees the same. */
static struct ln_view *existing(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                                struct ln_shelf *const *shelves) {
  struct ln_view *v = s->views[kind];
  if (v && v->gen == gen && same_shelves(v, shelves)) return v;
  if (ln_policy_per_client(gen->policy, kind)) return NULL;
  LN_LIST_EACH(l, &gen->host->views) {
    v = LN_CONTAINER(l, struct ln_view, link);
    if (v->kind == kind && v->gen == gen && same_shelves(v, shelves)) return v;
  }
  return NULL;
}

/* One reference. */
static struct ln_view *make(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                            struct ln_shelf *const *shelves, struct ln_exchange *x) {
  struct ln_view *v = existing(s, gen, kind, shelves);
  if (v) return ln_view_ref(v);
  v = build(gen, kind, shelves, x, false);
  if (v && !ln_policy_per_client(gen->policy, kind)) ln_list_push(&gen->host->views, &v->link);
  return v;
}

static struct ln_view *view_for(struct getter *g) {
  struct ln_session *s = g->session;
  if (g->explain) return build(g->gen, g->kind, g->shelves, g->x, true);
  struct ln_view *v = make(s, g->gen, g->kind, g->shelves, g->x);
  if (v && s->views[g->kind] != v && s->gen == g->gen && s->state != LN_SESSION_GONE) {
    ln_view_unref(s->views[g->kind]);
    s->views[g->kind] = ln_view_ref(v);
  }
  return v;
}

static void getter_unref(struct getter *g) {
  if (--g->refs) return;
  for (size_t i = 0; i < g->gen->n_upstreams; i++) ln_shelf_unref(g->shelves[i]);
  free(g->shelves);
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
  bool lost = h->n_upstreams == 1 && !g->shelves[0] && !h->components[g->kind];
  struct ln_view *v = lost ? NULL : view_for(g);
  const char *why = *g->why ? g->why
                    : lost  ? "the server is not ready yet"
                            : "the policy's rules failed on the list";
  g->fn(g->arg, v, v ? NULL : why);
  ln_view_unref(v);
}

static void got_shelf(void *arg, struct ln_shelf *shelf, const char *why) {
  struct ask *a = arg;
  struct getter *g = a->g;
  if (!g->done) {
    g->shelves[a->index] = shelf ? ln_shelf_ref(shelf) : NULL;
    if (!shelf)
      snprintf(g->why, sizeof g->why, "Server \"%s\": %s", g->gen->upstreams[a->index]->conf->name,
               why);
    if (--g->missing == 0) getter_finish(g);
  }
  getter_unref(g);
  free(a);
}

static void out_of_patience(struct ln_timer *t) {
  getter_finish(LN_CONTAINER(t, struct getter, patience));
}

/* A server that has been starting for longer than clients are made to wait keeps nobody up. */
static bool hopeless(const struct getter *g, struct ln_upstream *u) {
  struct ln_session *s = g->session;
  if (g->gen->n_upstreams < 2 || ln_session_catalogue(s, u)) return false;
  struct ln_usession *us =
      u->conf->session == LN_SESSION_SHARED ? u->shared : ln_session_usession(s, u);
  return us && us->state != LN_US_READY &&
         ln_loop_now(s->host->loop) - us->opened_at > s->host->settings.start_timeout_ms;
}

static void get(struct ln_session *s, enum ln_kind kind, struct ln_exchange *x, bool explain,
                ln_view_fn fn, void *arg) {
  struct ln_host *h = s->host;
  struct ln_generation *gen = x ? x->gen : s->gen;
  struct getter *g = calloc(1, sizeof *g);
  if (g) g->shelves = calloc(gen->n_upstreams + 1, sizeof(struct ln_shelf *));
  if (!g || !g->shelves) {
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
  for (size_t i = 0; i < gen->n_upstreams; i++) {
    struct ln_upstream *u = gen->upstreams[i];
    struct ask *a = hopeless(g, u) ? NULL : calloc(1, sizeof *a);
    if (!a) continue;
    *a = (struct ask){g, i};
    g->refs++;
    g->missing++;
    ln_catalogue_shelf(s, u, kind, got_shelf, a);
  }
  if (--g->missing == 0)
    getter_finish(g);
  else if (gen->n_upstreams > 1)
    ln_timer_start(h->loop, &g->patience, h->settings.start_timeout_ms, out_of_patience);
  /* With one server its own deadlines apply. */
  getter_unref(g);
}

/* The view as it is, when every list it was made of still is what the session sees. */
static struct ln_view *current(const struct ln_session *s, const struct ln_generation *gen,
                               enum ln_kind kind) {
  struct ln_view *v = s->views[kind];
  if (!v || v->gen != gen) return NULL;
  for (size_t i = 0; i < v->n_shelves; i++) {
    const struct ln_catalogue *c = ln_session_catalogue(s, gen->upstreams[i]);
    if (!c || !c->shelves[kind] || c->shelves[kind] != v->shelves[i]) return NULL;
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
  struct ln_shelf **shelves = calloc(gen->n_upstreams + 1, sizeof(struct ln_shelf *));
  if (!shelves) return NULL;
  for (size_t i = 0; i < gen->n_upstreams; i++) {
    const struct ln_catalogue *c = ln_session_catalogue(s, gen->upstreams[i]);
    shelves[i] = c ? c->shelves[kind] : NULL;
  }
  struct ln_view *v = make(s, gen, kind, shelves, x);
  free(shelves);
  return v;
}

bool ln_view_needed(const struct ln_generation *g, enum ln_kind kind) {
  bool named = kind == LN_KIND_TOOL || kind == LN_KIND_PROMPT;
  return g->n_upstreams != 1 || (named && g->prefixes[0]) || g->components[kind] ||
         ln_policy_has_rules(g->policy, kind);
}

/* --- looking up --- */

static void *look(const struct ln_map *m, struct ln_str key, uri_form form) {
  struct ln_bytes *other = form_of(key, form);
  void *found = other ? ln_map_get(m, str_of(other)) : NULL;
  ln_bytes_unref(other);
  return found;
}

const struct ln_entry *ln_view_find(const struct ln_view *v, struct ln_str key) {
  void *found = ln_map_get(&v->by_key, key);
  if (found || !is_uri_kind(v->kind) || ln_view_is_hidden(v, key)) return found;
  return look(&v->by_key, key, ln_uri_normal);
}

bool ln_view_is_hidden(const struct ln_view *v, struct ln_str key) {
  if (ln_map_get(&v->hidden, key)) return true;
  return is_uri_kind(v->kind) && v->hidden.len &&
         (look(&v->hidden, key, ln_uri_normal) || look(&v->hidden, key, ln_uri_loose));
}

/* --- pages
 * ---------------------------------------------------------------------------------------- */

static bool listed(const struct ln_entry *e) {
  return !e->hidden && !e->shadowed;
}

/* True when the one server's one page can go out as it came. */
static bool untouched(const struct ln_view *v) {
  if (v->n_shelves != 1 || !v->shelves[0] || v->shelves[0]->n_pages != 1) return false;
  for (size_t i = 0; i < v->n_entries; i++)
    if (!v->entries[i].upstream || !listed(&v->entries[i]) || v->entries[i].json) return false;
  struct ln_json_item it;
  struct ln_str result = v->shelves[0]->pages[0]->result;
  return !ln_json_get(result, "nextCursor", &it) &&
         ln_json_get(result, ln_kind_rows[v->kind].array, &it) &&
         ln_json_count(it.value) == v->n_entries;
}

/* "[…]" of the entries from *i on, at most max of them; *i moves past them. */
static int array_text(const struct ln_view *v, size_t *i, size_t max, struct ln_buf *out) {
  int rc = ln_buf_append_c(out, "[");
  size_t n = 0;
  for (; *i < v->n_entries && n < max && !rc; (*i)++) {
    const struct ln_entry *e = &v->entries[*i];
    if (!listed(e)) continue;
    if (n++) rc = ln_buf_append_c(out, ",");
    if (!rc) rc = ln_buf_append_str(out, e->json ? str_of(e->json) : ln_entry_definition(v, e));
  }
  while (*i < v->n_entries && !listed(&v->entries[*i])) (*i)++;
  return rc ? rc : ln_buf_append_c(out, "]");
}

/* The reply around an array: one server's own result with its other members, else ours. */
static struct ln_msg *page_message(const struct ln_view *v, struct ln_str array, size_t next) {
  const char *name = ln_kind_rows[v->kind].array;
  struct ln_json_item it;
  if (!next && v->n_shelves == 1 && v->shelves[0] && v->shelves[0]->n_pages == 1) {
    const struct ln_msg *own = v->shelves[0]->pages[0];
    if (ln_json_get(own->result, name, &it))
      return ln_msg_edit(own, &(struct ln_edit){it.value, array}, 1);
  }
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  int rc = ln_buf_printf(&b, "{\"%s\":", name);
  if (!rc) rc = ln_buf_append_str(&b, array);
  if (!rc && next) rc = ln_buf_printf(&b, ",\"nextCursor\":\"from-%zu\"", next);
  if (!rc) rc = ln_buf_append_c(&b, "}");
  struct ln_msg *m = rc ? NULL : ln_msg_result(ln_buf_str(&b));
  ln_buf_deinit(&b);
  return m;
}

static int make_pages(struct ln_view *v) {
  size_t size = v->host->settings.page_size, i = 0;
  size_t max = size ? v->n_entries / size + 2 : 1;
  v->pages = calloc(max, sizeof(struct ln_msg *));
  if (!v->pages) return LN_ENOMEM;
  if ((!size || v->n_entries <= size) && untouched(v)) {
    v->pages[v->n_pages++] = ln_msg_ref(v->shelves[0]->pages[0]);
    return LN_OK;
  }
  do {
    struct ln_buf array;
    ln_buf_init(&array, SIZE_MAX / 2);
    struct ln_msg *m = NULL;
    if (array_text(v, &i, size ? size : SIZE_MAX, &array) == LN_OK)
      m = page_message(v, ln_buf_str(&array), i < v->n_entries ? v->n_pages + 1 : 0);
    ln_buf_deinit(&array);
    if (!m) {
      pages_free(v);
      return LN_ENOMEM;
    }
    v->pages[v->n_pages++] = m;
  } while (i < v->n_entries);
  return LN_OK;
}

struct ln_msg *ln_view_page(struct ln_view *v, struct ln_str cursor) {
  if (!v->pages && make_pages(v)) return NULL;
  size_t page = 0;
  if (cursor.p) {
    struct ln_str raw = ln_json_inside(cursor);
    int64_t n = 0;
    if (!raw.p || !ln_str_starts(raw, "from-") ||
        !ln_json_int((struct ln_str){raw.p + 5, raw.n - 5}, &n) || n < 1 || (size_t)n >= v->n_pages)
      return ln_msg_error(-32602, "Unknown cursor: start again without one", LN_STR_NONE);
    page = (size_t)n;
  }
  return ln_msg_ref(v->pages[page]);
}

struct ln_str ln_view_text(struct ln_view *v, size_t page) {
  if ((!v->pages && make_pages(v)) || page >= v->n_pages) return LN_STR_NONE;
  return v->pages[page]->result;
}
