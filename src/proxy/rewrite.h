/* URIs of resources that clients know under another: renamed by a rule, or set apart because two
 * servers list the same. Wherever a server's message names one, the client gets its own name for
 * it. Never inside text or structuredContent. */
#ifndef LN_PROXY_REWRITE_H
#define LN_PROXY_REWRITE_H

#include "proxy/view.h"

/* A server's reply as the session's client is to see it: contents of resources, links and embedded
 * resources in results of tools and prompts. The reply itself when nothing differs; takes and gives
 * one reference. */
struct ln_msg *ln_rewrite_reply(const struct ln_session *s, const struct ln_upstream *u,
                                struct ln_msg *reply);
/* The same for notifications/resources/updated, which is borrowed: a reference is given. */
struct ln_msg *ln_rewrite_updated(const struct ln_session *s, const struct ln_upstream *u,
                                  struct ln_msg *msg);

#endif
