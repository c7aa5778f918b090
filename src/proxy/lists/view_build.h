/* Making views out of lists. */
#ifndef LN_PROXY_LISTS_VIEW_BUILD_H
#define LN_PROXY_LISTS_VIEW_BUILD_H

#include "proxy/lists/view.h"

/* A new one out of lists (one per server, NULL where there is none), after the rules. x: the
 * exchange that rules that take ctx get; NULL: none. how: see ln_present. One reference;
 * NULL: it failed, and the log says why. */
struct ln_view *ln_view_build(struct ln_generation *gen, enum ln_kind kind,
                              struct ln_listing *const *listings, struct ln_exchange *x,
                              unsigned how);
/* Whether a new policy's rules can make lists of these: for no client, as far as the first rule
 * that takes ctx. One reference; NULL: they can't. */
struct ln_view *ln_view_build_trial(struct ln_generation *gen, enum ln_kind kind,
                                    struct ln_listing *const *listings);

#endif
