/* Which link serves which session: one of its own, one that all sessions share, or one for each
 * call, as the server's `session` mode says; and what happens to a session whose link is lost. */
#ifndef LN_PROXY_CLIENT_POOL_H
#define LN_PROXY_CLIENT_POOL_H

#include "proxy/client/session.h"
#include "proxy/server/generation.h"
#include "proxy/server/link.h"

/* What a session keeps of one server. */
struct ln_pool_slot {
  struct ln_server *server; /* counted */
  struct ln_link *link;     /* the session's own, or NULL */
  bool lost;                /* the last own link was lost: the server may list other things now */
  struct ln_index *index; /* lists/index.c: the server's lists as the session sees them; counted */
};

/* The session's slot of a server, or NULL. Valid until its slots change. */
struct ln_pool_slot *ln_pool_find(const struct ln_session *s, const struct ln_server *server);
/* The same, made when there is none. NULL: out of memory, or the session has ended. */
struct ln_pool_slot *ln_pool_slot_of(struct ln_session *s, struct ln_server *server);
/* Frees the slots of servers that the session's generation doesn't have and that have no link (all
 * slots when the session has ended). index_unref releases a slot's index. */
void ln_pool_drop_slots(struct ln_session *s, void (*index_unref)(struct ln_index *index));

/* The session's own link with the server, or the shared one; NULL: there is none now. */
struct ln_link *ln_pool_current(const struct ln_session *s, const struct ln_server *server);
/* The same, opened when there is none. NULL with *why (until the next call): it can't be.
 */
struct ln_link *ln_pool_link(struct ln_session *s, struct ln_server *server, const char **why);
/* The link for one call: in mode "request" a new one. task: the call asks for a task, so the link
 * stays for the task. */
struct ln_link *ln_pool_link_for_call(struct ln_session *s, struct ln_server *server, bool task,
                                      const char **why);

/* The only session of whose generation a shared server is, who has all of it; NULL: there are
 * several, or none, or the server is not shared. Borrowed. */
struct ln_session *ln_pool_only_session(const struct ln_server *server);

/* For ln_link_events (server/events.h). */
void ln_pool_link_lost(struct ln_link *link);
void ln_pool_link_detached(struct ln_link *link);
bool ln_pool_link_forgotten(struct ln_link *link, struct ln_call *call);

#endif
