/* Views: whose they are, and looking components up in them; see view.h. */
#include "proxy/lists/view.h"

#include <stdlib.h>

#include "mcp/uri.h"
#include "proxy/client/headers.h"

enum {
  MAX_VARIANTS = 8,   /* a session's views of one kind, for requests with different headers */
  MAX_KEY = 4096,     /* bytes of such headers */
  MAX_KEPT = 1 << 18, /* what sessions are not shown just now, all together: see cost */
};

struct ln_view *ln_view_ref(struct ln_view *v) {
  v->refs++;
  return v;
}

void ln_view_drop_pages(struct ln_view *v) {
  for (size_t i = 0; i < v->n_pages; i++) ln_msg_unref(v->pages[i]);
  free(v->pages);
  v->pages = NULL;
  v->n_pages = 0;
}

void ln_view_unref(struct ln_view *v) {
  if (!v || --v->refs) return;
  ln_list_remove(&v->link);
  ln_reads_deinit(&v->reads);
  ln_bytes_unref(v->key);
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
  ln_view_drop_pages(v);
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
  ln_account_give(v->account, LN_SHORT_BYTES, v->charged);
  ln_account_unref(v->account);
  free(v);
}

void ln_view_charge(struct ln_view *v, struct ln_account *a) {
  /* An entry with its blocks and its places in maps, apart from what is as long as its text. */
  enum { ENTRY = sizeof(struct ln_entry) + 256 };
  if (!a) return;
  v->charged = sizeof *v + v->n_entries * ENTRY;
  for (size_t i = 0; i < v->n_entries; i++) {
    const struct ln_entry *e = &v->entries[i];
    v->charged += (e->key ? 2 * e->key->len : 0) + (e->json ? e->json->len : 0);
  }
  v->account = ln_account_ref(a);
  ln_account_add(a, LN_SHORT_BYTES, v->charged);
}

/* --- a session's --- */

void ln_view_set_key(struct ln_view *v, struct ln_bytes *headers) {
  if (!v->per_request || !headers) return;
  v->unkept = ln_headers_some(headers, v->reads.names, MAX_KEY, &v->key) != LN_OK;
}

bool ln_view_holds(const struct ln_view *v, const struct ln_bytes *headers) {
  if (!v->per_request) return true;
  if (v->unkept) return false;
  if (v->reads.all)
    return v->key ? headers && ln_str_eq(ln_bytes_str(v->key), ln_bytes_str(headers)) : !headers;
  const char *at = v->reads.names->data, *end = at + v->reads.names->len;
  for (; at < end; at += strlen(at) + 1)
    if (!ln_headers_agree(v->key, headers, ln_str_c(at))) return false;
  return true;
}

/* About how much room it takes, by the room of an entry. */
static size_t cost(const struct ln_view *v) {
  return v->n_entries + 16 + (v->key ? v->key->len / 128 : 0);
}

/* It is no longer a variant; its reference is the caller's. */
static void take_out(struct ln_view *v) {
  ln_list_remove(&v->link);
  ln_list_remove(&v->by_age);
  v->host->kept -= cost(v);
}

static void drop(struct ln_view *v) {
  take_out(v);
  ln_view_unref(v);
}

/* Keeps v, whose reference is taken. The oldest go: the session's own, and anybody's. */
static void keep(struct ln_session *s, enum ln_kind kind, struct ln_view *v) {
  struct ln_host *h = s->host;
  size_t n = 1;
  ln_list_push(&s->variants[kind], &v->link);
  ln_list_push(&h->variants, &v->by_age);
  h->kept += cost(v);
  LN_LIST_EACH(l, &s->variants[kind]) n++;
  if (n > MAX_VARIANTS) drop(LN_CONTAINER(s->variants[kind].next, struct ln_view, link));
  while (h->kept > MAX_KEPT) drop(LN_CONTAINER(h->variants.next, struct ln_view, by_age));
}

/* True when both are made of the same lists by the same rules, and differ only by whom for. */
static bool are_variants(const struct ln_view *a, const struct ln_view *b) {
  if (!a->per_request || !b->per_request || a->gen != b->gen) return false;
  for (size_t i = 0; i < a->n_listings; i++)
    if (a->listings[i] != b->listings[i]) return false;
  return true;
}

void ln_view_set(struct ln_session *s, enum ln_kind kind, struct ln_view *v) {
  struct ln_view *old = s->views[kind];
  if (v && v == old) {
    ln_view_unref(v);
    return;
  }
  bool others = old && v && are_variants(old, v);
  s->views[kind] = v;
  if (others && !old->unkept) {
    keep(s, kind, old);
    return;
  }
  ln_view_unref(old);
  if (others) return;
  LN_LIST_EACH(l, &s->variants[kind]) {
    drop(LN_CONTAINER(l, struct ln_view, link));
  }
}

struct ln_view *ln_view_for(struct ln_session *s, enum ln_kind kind, struct ln_bytes *headers) {
  struct ln_view *v = s->views[kind];
  if (!v || ln_view_holds(v, headers)) return v;
  v = NULL;
  LN_LIST_EACH(l, &s->variants[kind]) {
    struct ln_view *other = LN_CONTAINER(l, struct ln_view, link);
    if (ln_view_holds(other, headers)) v = other;
  }
  if (!v) return NULL;
  take_out(v);
  ln_view_set(s, kind, v);
  return v;
}

void ln_view_forget(struct ln_session *s) {
  for (int k = 0; k < LN_KINDS; k++) ln_view_set(s, (enum ln_kind)k, NULL);
}

struct ln_bytes *ln_view_form(struct ln_str uri, ln_view_uri_form form) {
  struct ln_buf b;
  ln_buf_init(&b, LN_URI_ROOM(uri.n));
  struct ln_bytes *out = NULL;
  if (form(uri, &b) == LN_OK && !ln_str_eq(ln_buf_str(&b), uri)) out = ln_buf_take(&b);
  ln_buf_deinit(&b);
  return out;
}

bool ln_view_complete(const struct ln_view *v) {
  for (size_t i = 0; i < v->n_listings; i++)
    if (!v->listings[i]) return false;
  return true;
}

struct ln_str ln_entry_definition(const struct ln_view *v, const struct ln_entry *e) {
  return e->server ? e->item->json : v->gen->decls->components[e->component].json;
}

/* --- looking up --- */

bool ln_view_needed(const struct ln_generation *g, enum ln_kind kind) {
  bool named = kind == LN_KIND_TOOL || kind == LN_KIND_PROMPT;
  return g->n_servers != 1 || (named && g->prefixes[0]) || g->components[kind] ||
         ln_policy_has_rules(g->policy, kind);
}

static void *find_form(const struct ln_map *m, struct ln_str key, ln_view_uri_form form) {
  struct ln_bytes *other = ln_view_form(key, form);
  void *found = other ? ln_map_get(m, ln_bytes_str(other)) : NULL;
  ln_bytes_unref(other);
  return found;
}

const struct ln_entry *ln_view_find(const struct ln_view *v, struct ln_str key) {
  const struct ln_entry *found = ln_map_get(&v->by_key, key);
  if (!ln_view_has_spellings(v) || (found && ln_str_eq(ln_bytes_str(found->key), key)))
    return found;
  /* Another spelling of what is shown may be the very URI of what isn't. */
  if (ln_view_is_hidden(v, key)) return NULL;
  return found ? found : find_form(&v->by_key, key, ln_uri_normal);
}

bool ln_view_is_hidden(const struct ln_view *v, struct ln_str key) {
  bool hidden = ln_map_get(&v->hidden, key);
  for (unsigned i = 0; !hidden && ln_view_has_spellings(v) && v->hidden.len; i++) {
    struct ln_buf other;
    ln_buf_init(&other, LN_URI_ROOM(key.n));
    int rc = ln_uri_form(key, i, &other);
    hidden = rc ? rc != LN_ENOTFOUND : ln_map_get(&v->hidden, ln_buf_str(&other)) != NULL;
    ln_buf_deinit(&other);
    if (rc) break;
  }
  return hidden;
}

/* A form of what has a scheme is asked of all rules; one with a guessed scheme can't be what `only`
 * leaves. */
static bool hides_form(const struct ln_policy *p, enum ln_kind kind, unsigned i,
                       struct ln_str form) {
  return i < 2 ? ln_present_may_hide(p, kind, form) : ln_present_hides(p, kind, form);
}

bool ln_view_may_hide(const struct ln_generation *g, enum ln_kind kind, struct ln_str key) {
  bool hide = ln_present_may_hide(g->policy, kind, key);
  if (kind != LN_KIND_RESOURCE && kind != LN_KIND_TEMPLATE) return hide;
  for (unsigned i = 0; !hide && ln_policy_has_rules(g->policy, kind); i++) {
    struct ln_buf other;
    ln_buf_init(&other, LN_URI_ROOM(key.n));
    int rc = ln_uri_form(key, i, &other);
    hide = rc ? rc != LN_ENOTFOUND : hides_form(g->policy, kind, i, ln_buf_str(&other));
    ln_buf_deinit(&other);
    if (rc) break;
  }
  return hide;
}
