/* Names that servers give and clients know under another: URIs that a rule renamed or that two
 * servers list, ids of tasks and of elicitations. Wherever a server's message has one, the client
 * gets its own name for it. Never inside text or structuredContent. */
#ifndef LN_PROXY_NAMES_REWRITE_H
#define LN_PROXY_NAMES_REWRITE_H

#include "proxy/exchange/exchange.h"

/* A server's message as the session's client is to see it: contents of resources, links and
 * embedded resources in results of tools, prompts and tasks, errors that name a resource or
 * elicitations, what is to be sampled, what a notification is about. By what the session knows.
 * msg is borrowed, a reference is given: the same one when nothing differs; an ERROR message when
 * there are URIs in it that can't be looked up within the limits. */
struct ln_msg *ln_rewrite_message(struct ln_session *s, struct ln_server *server,
                                  struct ln_msg *msg);
/* The same for a message that belongs to x: where it names URIs and the session has no lists yet
 * that would tell what they are to the client, gets those first. ready is called with the message
 * as it is to be seen, its reference, at once or later; not at all when x has ended meanwhile. */
void ln_rewrite(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                ln_reply_fn ready, void *arg);
/* A client's reply to a server, which may say what task it belongs to: the server's own id goes
 * back. Takes and gives one reference. */
struct ln_msg *ln_rewrite_answer(struct ln_session *s, struct ln_server *server,
                                 struct ln_msg *reply);
/* A page of a list of tools (a result): the resources that show them, as the client knows them.
 * upstreams: of each item, NULL for the policy's own. Takes and gives one reference. */
struct ln_msg *ln_rewrite_tools(struct ln_session *s, struct ln_server *const *servers, size_t n,
                                struct ln_msg *page);

#endif
