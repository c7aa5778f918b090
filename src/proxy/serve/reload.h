/* Putting a new policy in force: between two messages, or, when anything fails, not at all.
 *
 * Servers that are declared as before keep their links; new ones are started, links with those no
 * longer declared close after their calls. Exchanges under way keep the generation that they began
 * under. A client gets list_changed for those kinds only whose list differs. */
#ifndef LN_PROXY_SERVE_RELOAD_H
#define LN_PROXY_SERVE_RELOAD_H

#include "proxy/core/host.h"

/* Takes the policy's reference. On LN_OK it is in force. Else the old one still is, and why (max
 * bytes) says what was wrong. */
int ln_reload(struct ln_host *h, struct ln_policy *policy, char *why, size_t max) LN_CHECK;

#endif
