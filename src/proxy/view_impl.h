/* Between the files of view.h: view.c (getting one), view_build.c and view_page.c. */
#ifndef LN_PROXY_VIEW_IMPL_H
#define LN_PROXY_VIEW_IMPL_H

#include "proxy/view.h"

/* A fresh one out of lists, after the rules. how: as ln_policy_present has it. One reference; NULL:
 * it failed, and the log says why. */
struct ln_view *ln_view_build(struct ln_generation *gen, enum ln_kind kind,
                              struct ln_listing *const *listings, struct ln_exchange *x,
                              unsigned how);
/* A form of a URI (see mcp/uri.h); NULL where it is the URI itself. One reference. */
typedef int (*ln_view_uri_form)(struct ln_str uri, struct ln_buf *out);
struct ln_bytes *ln_view_form(struct ln_str uri, ln_view_uri_form form);
void ln_view_pages_free(struct ln_view *v);

/* Lists know resources under all spellings; names and templates have one. */
static inline bool ln_view_spelt(const struct ln_view *v) {
  return v->kind == LN_KIND_RESOURCE;
}

#endif
