/* Another policy takes over: at one moment, between two messages, or not at all.
 *
 * Servers that are declared as before keep their connections and sessions; new ones are started,
 * those that are gone end after what they have under way. What is in flight finishes under the
 * generation it began with. A session hears list_changed for the kinds whose list is another now,
 * and for those only. */
#ifndef LN_PROXY_SERVE_RELOAD_H
#define LN_PROXY_SERVE_RELOAD_H

#include "proxy/core/host.h"

/* Takes the policy's reference. On LN_OK it is in force. Else the old one still is, and why (max
 * bytes) says what was wrong. */
int ln_reload(struct ln_host *h, struct ln_policy *policy, char *why, size_t max) LN_CHECK;

#endif
