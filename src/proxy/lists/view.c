/* Views: whose they are, and looking components up in them; see view.h. */
#include "proxy/lists/view.h"

#include <stdlib.h>

#include "mcp/uri.h"

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
  free(v);
}

void ln_view_set(struct ln_session *s, enum ln_kind kind, struct ln_view *v) {
  ln_view_unref(s->views[kind]);
  s->views[kind] = v;
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
  if (ln_map_get(&v->hidden, key)) return true;
  return ln_view_has_spellings(v) && v->hidden.len &&
         (find_form(&v->hidden, key, ln_uri_normal) || find_form(&v->hidden, key, ln_uri_loose));
}
