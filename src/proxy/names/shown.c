/* What a client sees of what a server tells of; see shown.h. */
#include "proxy/names/shown.h"

#include "proxy/exchange/exchange.h"
#include "proxy/lists/view_get.h"

static bool is_listed(const struct ln_view *v, const struct ln_server *server,
                      struct ln_str native) {
  const struct ln_entry *e = ln_map_get(&v->by_native, native);
  while (e && e->server != server) e = e->next_native;
  if (!e) e = ln_view_find(v, native);
  return e && e->server == server;
}

/* The set's entry that native matches, or NULL. LN_OK, or why it can't be told. */
static int match(const struct ln_templates *set, const void *owner, struct ln_str native,
                 uint64_t *steps, const struct ln_entry **e) {
  void *found = NULL;
  int rc = ln_templates_find(set, owner, native, steps, &found);
  *e = found;
  return rc == LN_ENOTFOUND ? LN_OK : rc;
}

/* A rule hides the URI by which the client would know it. */
static bool hidden_as(const struct ln_generation *g, const struct ln_entry *e, struct ln_str native,
                      uint64_t *steps) {
  struct ln_buf uri;
  ln_buf_init(&uri, SIZE_MAX / 2);
  int rc =
      ln_template_convert(ln_bytes_str(e->item->key), ln_bytes_str(e->key), native, &uri, steps);
  bool hidden = rc || ln_view_may_hide(g, LN_KIND_RESOURCE, ln_buf_str(&uri));
  ln_buf_deinit(&uri);
  return hidden;
}

static enum ln_shown by_template(const struct ln_generation *g, const struct ln_view *v,
                                 const struct ln_server *server, struct ln_str native,
                                 uint64_t *steps) {
  const struct ln_entry *renamed, *visible = NULL, *gone = NULL;
  int rc = match(&v->match.native, server, native, steps, &renamed);
  if (!rc && !renamed) rc = match(&v->match.visible, NULL, native, steps, &visible);
  if (!rc && !renamed && !visible) rc = match(&v->match.gone, NULL, native, steps, &gone);
  if (rc || gone || (renamed && hidden_as(g, renamed, native, steps))) return LN_SHOWN_HIDDEN;
  return renamed || visible ? LN_SHOWN_LISTED : LN_SHOWN_UNLISTED;
}

enum ln_shown ln_shown_uri(const struct ln_generation *g, const struct ln_view *resources,
                           const struct ln_view *templates, const struct ln_server *server,
                           struct ln_str native, uint64_t *steps) {
  if (resources && is_listed(resources, server, native)) return LN_SHOWN_LISTED;
  if ((resources && ln_view_is_hidden(resources, native)) ||
      ln_view_may_hide(g, LN_KIND_RESOURCE, native))
    return LN_SHOWN_HIDDEN;
  return templates ? by_template(g, templates, server, native, steps) : LN_SHOWN_UNLISTED;
}

/* What the client was shown of a kind for a request with these headers, or would be shown now. It
 * is then what it was last shown, whose names it is told. */
static const struct ln_view *view_of(struct ln_session *s, enum ln_kind kind,
                                     struct ln_bytes *headers) {
  struct ln_view *known = ln_view_for(s, kind, headers);
  if (known) return known;
  struct ln_exchange *x = ln_exchange_stand_in(s, s->gen, ln_kind_rows[kind].list_method);
  if (!x) return NULL;
  ln_exchange_set_headers(x, headers);
  struct ln_view_request request = ln_exchange_views(x, kind, LN_VIEW_USE);
  struct ln_view *v = ln_view_get_now(&request);
  ln_exchange_close(x);
  if (v) ln_view_set(s, kind, v);
  return v;
}

bool ln_shown_to(struct ln_session *s, const struct ln_server *server, struct ln_str native,
                 struct ln_bytes *headers, uint64_t *steps) {
  const struct ln_generation *g = s->gen;
  if (!ln_policy_has_rules(g->policy, LN_KIND_RESOURCE) &&
      !ln_policy_has_rules(g->policy, LN_KIND_TEMPLATE))
    return true;
  return ln_shown_uri(g, view_of(s, LN_KIND_RESOURCE, headers),
                      view_of(s, LN_KIND_TEMPLATE, headers), server, native,
                      steps) != LN_SHOWN_HIDDEN;
}
