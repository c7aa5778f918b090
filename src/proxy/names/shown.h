/* Whether a client sees a resource that a server tells of, by the server's own URI. resolve.h is
 * the other way round: what a client names. */
#ifndef LN_PROXY_NAMES_SHOWN_H
#define LN_PROXY_NAMES_SHOWN_H

#include "proxy/lists/view.h"

enum ln_shown {
  LN_SHOWN_LISTED,   /* it, or a template that it matches */
  LN_SHOWN_UNLISTED, /* no list has it, and no rule could hide it by its URI */
  LN_SHOWN_HIDDEN
};

/* By views of resources and of templates; either may be NULL: none is known. steps (template.h):
 * with none left it is hidden. */
enum ln_shown ln_shown_uri(const struct ln_generation *g, const struct ln_view *resources,
                           const struct ln_view *templates, const struct ln_server *server,
                           struct ln_str native, uint64_t *steps);
/* False when it is hidden from a request of the session's client with these headers (NULL: none).
 */
bool ln_shown_to(struct ln_session *s, const struct ln_server *server, struct ln_str native,
                 struct ln_bytes *headers, uint64_t *steps);

#endif
