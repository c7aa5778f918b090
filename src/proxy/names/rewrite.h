/* Replacing, in a server's message, the server's names by those that the client knows: URIs that a
 * rule renamed or that two servers list, ids of tasks and of elicitations. Never inside text or
 * structuredContent. */
#ifndef LN_PROXY_NAMES_REWRITE_H
#define LN_PROXY_NAMES_REWRITE_H

#include "proxy/exchange/exchange.h"

/* A server's message with the client's names, by the views that the session has. msg is borrowed, a
 * reference is given: of msg itself when nothing differs; of an ERROR message when it has URIs that
 * can't be looked up within the limits. The tables in rewrite.c say where names can be. steps: what
 * looking up may still take for a message that goes to many sessions (LN_MATCH_STEPS at first);
 * NULL: it goes to this one. */
struct ln_msg *ln_rewrite_message(struct ln_session *s, struct ln_server *server,
                                  struct ln_msg *msg, uint64_t *steps);
/* True when the message has a URI that might be replaced. */
bool ln_rewrite_names_uri(const struct ln_msg *msg);
/* A client's reply to a server, with the server's task id in _meta. Takes and gives a reference.
 */
struct ln_msg *ln_rewrite_answer(struct ln_session *s, struct ln_server *server,
                                 struct ln_msg *reply);
/* A result of tools/list, with the client's URIs of the resources that display tools (_meta.ui).
 * servers: of each item, NULL for the policy's own. Takes and gives one reference. */
struct ln_msg *ln_rewrite_tools(struct ln_session *s, struct ln_server *const *servers, size_t n,
                                struct ln_msg *page);

#endif
