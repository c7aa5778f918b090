/* Making views: entries are collected from lists, go through the rules and are indexed by name; see
 * view_build.h. */
#include "proxy/lists/view_build.h"

#include <stdlib.h>

#include "json/json.h"
#include "mcp/apps.h"
#include "mcp/method.h"
#include "mcp/uri.h"

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

static struct ln_bytes *normal_form(struct ln_str uri) {
  return ln_view_form(uri, ln_uri_normal);
}

/* Matching a URI takes longer the more templates there are, and the more expressions they have. */
enum { MAX_EXPRESSIONS = 32 };

static bool too_costly(const struct ln_view *v, const struct ln_listing_item *item, size_t kept) {
  return v->kind == LN_KIND_TEMPLATE &&
         (kept >= v->gen->decls->settings.max_templates ||
          ln_template_expressions(ln_bytes_str(item->key)) > MAX_EXPRESSIONS);
}

/* The prefix of another server, when that is the longest one that fits the name: what a server
 * lists can't take the place of what another has, or may have once it is there. Looked at before
 * the rules, which may give any name to what they are meant for, and shall not touch the wrong one
 * by it. */
static const char *owner_of(const struct ln_view *v, const char *prefix,
                            const struct ln_bytes *name) {
  if (v->kind != LN_KIND_TOOL && v->kind != LN_KIND_PROMPT) return NULL;
  size_t i = ln_generation_owner(v->gen, ln_bytes_str((struct ln_bytes *)name));
  if (i == v->gen->n_servers) return NULL;
  const char *owner = v->gen->prefixes[i];
  return prefix && strcmp(prefix, owner) == 0 ? NULL : owner;
}

static int collect_listing(struct ln_view *v, const char *prefix, const struct ln_listing *list) {
  size_t kept = 0;
  for (size_t k = 0; k < list->n_items; k++) {
    if (too_costly(v, &list->items[k], kept)) continue;
    struct ln_entry *e = &v->entries[v->n_entries++];
    e->server = list->server;
    e->item = &list->items[k];
    e->before_rules = first_name(prefix, v->kind, e->item->key);
    if (!e->before_rules) return LN_ENOMEM;
    e->withheld = owner_of(v, prefix, e->before_rules);
    kept++;
  }
  v->unmatched |= kept < list->n_items;
  if (kept < list->n_items)
    ln_generation_warn_once(
        v->gen, list->server->conf->name,
        "%zu of its %zu resource templates are left out: of one server no more than "
        "%u are kept (max_templates), and none with more than %d expressions",
        list->n_items - kept, list->n_items, v->gen->decls->settings.max_templates,
        MAX_EXPRESSIONS);
  return LN_OK;
}

static int collect(struct ln_view *v) {
  const struct ln_policy_decls *d = v->gen->decls;
  size_t max = d->n_components;
  for (size_t i = 0; i < v->n_listings; i++) max += v->listings[i] ? v->listings[i]->n_items : 0;
  v->entries = calloc(max + 1, sizeof *v->entries);
  if (!v->entries) return LN_ENOMEM;
  for (size_t i = 0; i < d->n_components; i++) {
    if (d->components[i].kind != v->kind) continue;
    struct ln_entry *e = &v->entries[v->n_entries++];
    e->component = i;
    e->before_rules = ln_bytes_copy(d->components[i].key.p, d->components[i].key.n);
    if (!e->before_rules) return LN_ENOMEM;
  }
  for (size_t i = 0; i < v->n_listings; i++) {
    int rc = v->listings[i] ? collect_listing(v, v->gen->prefixes[i], v->listings[i]) : LN_OK;
    if (rc) return rc;
  }
  return LN_OK;
}

/* Puts the presented name into an entry's definition. */
static int put_name(struct ln_view *v, struct ln_entry *e) {
  struct ln_str json = e->json ? ln_bytes_str(e->json) : ln_entry_definition(v, e);
  struct ln_json_item it;
  if (!ln_json_get(json, ln_kind_rows[v->kind].key, &it)) return LN_OK;
  struct ln_buf quoted, out;
  ln_buf_init(&quoted, SIZE_MAX / 2);
  ln_buf_init(&out, SIZE_MAX / 2);
  ln_json_quote(&quoted, ln_bytes_str(e->key));
  ln_buf_append(&out, json.p, (size_t)(it.value.p - json.p));
  ln_buf_append_str(&out, ln_buf_str(&quoted));
  const char *rest = it.value.p + it.value.n;
  ln_buf_append(&out, rest, (size_t)(json.p + json.n - rest));
  ln_buf_fail(&out, ln_buf_error(&quoted));
  ln_buf_deinit(&quoted);
  struct ln_bytes *fresh = ln_buf_finish(&out);
  if (!fresh) return LN_ENOMEM;
  ln_bytes_unref(e->json);
  e->json = fresh;
  return LN_OK;
}

/* Takes over what the rules made of it. */
static int take_result(struct ln_view *v, struct ln_entry *e, struct ln_present_item *item) {
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
  v->has_ui |= v->kind == LN_KIND_TOOL && ln_apps_has_ui(ln_entry_definition(v, e));
  e->key = item->new_name ? item->new_name : ln_bytes_ref(e->before_rules);
  *item = (struct ln_present_item){0};
  struct ln_str native =
      e->server ? ln_bytes_str(e->item->key) : v->gen->decls->components[e->component].key;
  if (!ln_str_eq(native, ln_bytes_str(e->key))) {
    int rc = put_name(v, e);
    if (rc) return rc;
    if (e->server && !(e->native_json = ln_bytes_copy(e->item->key_value.p, e->item->key_value.n)))
      return LN_ENOMEM;
  }
  if (ln_view_has_spellings(v)) e->normal = normal_form(ln_bytes_str(e->key));
  return LN_OK;
}

static int apply_rules(struct ln_view *v, struct ln_exchange *x, unsigned how) {
  struct ln_present_item *items = calloc(v->n_entries + 1, sizeof *items), untouched = {0};
  if (!items) return LN_ENOMEM;
  size_t n = 0, taken = 0;
  for (size_t i = 0; i < v->n_entries; i++) {
    struct ln_entry *e = &v->entries[i];
    if (e->withheld) continue;
    items[n].server = e->server ? e->server->conf->name : NULL;
    items[n].json = ln_entry_definition(v, e);
    items[n++].name = ln_bytes_str(e->before_rules);
  }
  if (ln_view_complete(v)) how |= LN_PRESENT_COMPLETE;
  int rc = ln_present(v->gen->policy, v->kind, items, n, x, how, &v->reads);
  v->per_request = v->reads.all || v->reads.names;
  for (size_t i = 0; i < v->n_entries && !rc; i++)
    rc = take_result(v, &v->entries[i], v->entries[i].withheld ? &untouched : &items[taken++]);
  for (size_t i = 0; i < n; i++) ln_present_item_deinit(&items[i]);
  free(items);
  return rc;
}

/* It can't be used by the name that it had before the rules, in any spelling. */
static int index_hidden(struct ln_view *v, struct ln_entry *e) {
  struct ln_str before = ln_bytes_str(e->before_rules);
  int rc = ln_map_put(&v->hidden, before, e);
  if (rc || !ln_view_has_spellings(v)) return rc;
  e->before_normal = ln_view_form(before, ln_uri_normal);
  e->before_loose = ln_view_form(before, ln_uri_loose);
  if (e->before_normal) rc = ln_map_put(&v->hidden, ln_bytes_str(e->before_normal), e);
  if (!rc && e->before_loose) rc = ln_map_put(&v->hidden, ln_bytes_str(e->before_loose), e);
  return rc;
}

/* Two servers list the same URI: the later one's gets "NAME+" before its scheme, which makes
 * another valid URI. False: it can't be given one. */
static bool add_uri_prefix(struct ln_view *v, struct ln_entry *e) {
  bool uri = v->kind == LN_KIND_RESOURCE || v->kind == LN_KIND_TEMPLATE;
  if (!uri || !e->server || e->native_json) return false;
  const char *name = e->server->conf->name;
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
  if (ln_map_get(&v->by_key, ln_bytes_str(key))) {
    ln_bytes_unref(key);
    return false;
  }
  ln_bytes_unref(e->key);
  e->key = key;
  e->uri_prefix = n + 1;
  ln_bytes_unref(e->normal);
  e->normal = ln_view_has_spellings(v) ? normal_form(ln_bytes_str(key)) : NULL;
  e->native_json = ln_bytes_copy(e->item->key_value.p, e->item->key_value.n);
  return e->native_json && put_name(v, e) == LN_OK;
}

/* Some model APIs limit the names of tools: warns when the prefix or a rule made one too long. */
static void warn_long_name(const struct ln_view *v, const struct ln_entry *e) {
  enum { MODEL_API_NAME_MAX = 64 };
  if (v->kind != LN_KIND_TOOL || !e->server || e->key->len <= MODEL_API_NAME_MAX ||
      e->item->key->len > MODEL_API_NAME_MAX)
    return;
  ln_generation_warn_once(
      v->gen, e->server->conf->name,
      "its tool \"%.*s\" has a name of %zu bytes; some model APIs take %d at most: give it "
      "another name, or its server a shorter prefix",
      LN_STR_ARG(ln_bytes_str(e->key)), e->key->len, MODEL_API_NAME_MAX);
}

static int index_native(struct ln_view *v, struct ln_entry *e) {
  struct ln_str key = ln_bytes_str(e->item->key);
  struct ln_entry *first = ln_map_get(&v->by_native, key), *other = first;
  while (other && other->server != e->server) other = other->next_native;
  if (other) return LN_OK; /* listed twice */
  if (!first) return ln_map_put(&v->by_native, key, e);
  e->next_native = first->next_native;
  first->next_native = e;
  return LN_OK;
}

/* match.gone has the forms before the rules, so that a URI can't be used by a template that a rule
 * hid or gave another form. */
static int index_template(struct ln_view *v, struct ln_entry *e) {
  bool renamed = e->server ? e->native_json && !e->uri_prefix
                           : !ln_str_eq(ln_bytes_str(e->key), ln_bytes_str(e->before_rules));
  int rc = LN_OK;
  v->unmatched |= (e->hidden || renamed) && e->before_rules->len > LN_TEMPLATE_MAX;
  if (ln_entry_listed(e)) rc = ln_templates_add(&v->match.visible, NULL, ln_bytes_str(e->key), e);
  if (!rc && (e->hidden || renamed))
    rc = ln_templates_add(&v->match.gone, NULL, ln_bytes_str(e->before_rules), e);
  if (!rc && ln_entry_listed(e) && e->native_json)
    rc = ln_templates_add(&v->match.native, e->server, ln_bytes_str(e->item->key), e);
  return rc;
}

/* Indexes servers' URIs that clients know under others, and templates. */
static int index_uris(struct ln_view *v) {
  int rc = LN_OK;
  for (size_t i = 0; i < v->n_entries && !rc; i++) {
    struct ln_entry *e = &v->entries[i];
    if (v->kind == LN_KIND_TEMPLATE) rc = index_template(v, e);
    if (v->kind == LN_KIND_RESOURCE && e->native_json && ln_entry_listed(e))
      rc = index_native(v, e);
  }
  ln_templates_seal(&v->match.visible);
  ln_templates_seal(&v->match.gone);
  ln_templates_seal(&v->match.native);
  return rc;
}

/* The entry that has its key, and came first. A server's two spellings of one URI are two. */
static const struct ln_entry *first_of(const struct ln_view *v, const struct ln_entry *e) {
  const struct ln_entry *first = ln_map_get(&v->by_key, ln_bytes_str(e->key));
  bool respelt = first && first->server == e->server &&
                 !ln_str_eq(ln_bytes_str(first->key), ln_bytes_str(e->key));
  return respelt ? NULL : first;
}

static int index_entry(struct ln_view *v, struct ln_entry *e) {
  if (e->withheld) return LN_OK;
  if (e->hidden) return index_hidden(v, e);
  const struct ln_entry *first = first_of(v, e);
  int rc = LN_OK;
  /* The policy's own components come first. */
  bool both = first && first->server && first->server != e->server && add_uri_prefix(v, e);
  if (first && !both) {
    e->shadowed_by = first;
  } else {
    warn_long_name(v, e);
    /* Also of those that just got a prefix, which makes them unique. */
    rc = ln_map_put(&v->by_key, ln_bytes_str(e->key), e);
    if (!rc && e->normal && !ln_map_get(&v->by_key, ln_bytes_str(e->normal)))
      rc = ln_map_put(&v->by_key, ln_bytes_str(e->normal), e);
  }
  if (!rc && !e->uri_prefix && !ln_str_eq(ln_bytes_str(e->key), ln_bytes_str(e->before_rules)))
    rc = index_hidden(v, e);
  return rc;
}

static int index_entries(struct ln_view *v) {
  int rc = LN_OK;
  for (size_t i = 0; i < v->n_entries && !rc; i++) {
    rc = index_entry(v, &v->entries[i]);
    v->renames |= v->entries[i].native_json != NULL;
  }
  return rc;
}

/* Why it is not listed, though no rule hid it. */
static void warn_lost(const struct ln_view *v, const struct ln_entry *e, const char *topic) {
  enum { SHOWN = 200 }; /* of a name, which may have megabytes */
  const struct ln_entry *first = e->shadowed_by;
  const char *noun = ln_kind_rows[v->kind].noun;
  struct ln_str key = ln_bytes_str(e->key);
  key.n = LN_MIN(key.n, SHOWN);
  if (e->withheld) {
    size_t owner = ln_generation_owner(v->gen, ln_bytes_str(e->key));
    ln_generation_warn_once(
        v->gen, topic,
        "its %s \"%.*s\" is withheld: names that begin with \"%s_\" are those of server \"%s\"",
        noun, LN_STR_ARG(key), e->withheld, v->gen->servers[owner]->conf->name);
  } else if (e->server && e->server == first->server) {
    struct ln_str its = ln_bytes_str(e->item->key), other = ln_bytes_str(first->item->key);
    its.n = LN_MIN(its.n, SHOWN);
    other.n = LN_MIN(other.n, SHOWN);
    ln_generation_warn_once(
        v->gen, topic,
        "two of its %ss are called \"%.*s\": its \"%.*s\" is shown, its \"%.*s\" is not", noun,
        LN_STR_ARG(key), LN_STR_ARG(other), LN_STR_ARG(its));
  } else {
    ln_generation_warn_once(v->gen, topic, "its %s \"%.*s\" is not shown: that of %s comes first",
                            noun, LN_STR_ARG(key),
                            first->server ? first->server->conf->name : "the policy");
  }
}

/* Tells what is not listed though no rule hid it. Servers can list any number of such names: of
 * each list some are told, and how many more there are. */
static void warn_all_lost(const struct ln_view *v) {
  enum { TOLD = 10 };
  for (size_t i = 0, end; i < v->n_entries; i = end) {
    const struct ln_server *server = v->entries[i].server;
    const char *topic = server ? server->conf->name : "policy";
    size_t n = 0;
    for (end = i; end < v->n_entries && v->entries[end].server == server; end++) {
      const struct ln_entry *e = &v->entries[end];
      if (e->hidden || ln_entry_listed(e)) continue;
      if (n++ < TOLD) warn_lost(v, e, topic);
    }
    if (n > TOLD)
      ln_generation_warn_once(v->gen, topic,
                              "%zu more of its %ss are not shown for such a reason; `lunette list "
                              "--explain` shows which",
                              n - TOLD, ln_kind_rows[v->kind].noun);
  }
}

struct ln_view *ln_view_build(struct ln_generation *gen, enum ln_kind kind,
                              struct ln_listing *const *listings, struct ln_exchange *x,
                              unsigned how) {
  struct ln_host *h = gen->host;
  struct ln_view *v = calloc(1, sizeof *v);
  if (!v) return NULL;
  v->refs = 1;
  v->host = h;
  v->kind = kind;
  v->gen = ln_generation_ref(gen);
  v->n_listings = gen->n_servers;
  ln_map_init(&v->by_key);
  ln_map_init(&v->hidden);
  ln_map_init(&v->by_native);
  ln_templates_init(&v->match.visible);
  ln_templates_init(&v->match.gone);
  ln_templates_init(&v->match.native);
  ln_list_init(&v->link);
  ln_list_init(&v->by_age);
  v->listings = calloc(gen->n_servers + 1, sizeof(struct ln_listing *));
  if (!v->listings) v->n_listings = 0;
  for (size_t i = 0; i < v->n_listings; i++)
    v->listings[i] = listings[i] ? ln_listing_ref(listings[i]) : NULL;
  int rc = v->listings ? collect(v) : LN_ENOMEM;
  if (!rc) rc = apply_rules(v, x, how);
  if (!rc) rc = index_entries(v);
  if (!rc) rc = index_uris(v);
  if (!rc) warn_all_lost(v);
  if (rc) {
    LN_LOG(h->log, ERROR, "lists", "%s: %s", ln_kind_rows[kind].list_method, ln_err_text(rc));
    ln_view_unref(v);
    return NULL;
  }
  return v;
}

struct ln_view *ln_view_build_trial(struct ln_generation *gen, enum ln_kind kind,
                                    struct ln_listing *const *listings) {
  return ln_view_build(gen, kind, listings, NULL, LN_PRESENT_TRIAL);
}
