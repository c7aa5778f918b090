/* Making views out of lists. */
#ifndef LN_PROXY_LISTS_VIEW_BUILD_H
#define LN_PROXY_LISTS_VIEW_BUILD_H

#include "proxy/lists/view.h"

/* A fresh one out of lists (one per server, NULL where there is none), after the rules. x: on whose
 * behalf, for rules that take ctx; NULL: for everybody. how: as ln_policy_present has it. One
 * reference; NULL: it failed, and the log says why. */
struct ln_view *ln_view_build(struct ln_generation *gen, enum ln_kind kind,
                              struct ln_listing *const *listings, struct ln_exchange *x,
                              unsigned how);

#endif
