/* Which link serves which session: one of the session's own, the one that all share, or one for
 * each call, as the server's `session` says; and what becomes of a session whose link ends by
 * itself. */
#ifndef LN_PROXY_CLIENT_POOL_H
#define LN_PROXY_CLIENT_POOL_H

#include "proxy/client/session.h"
#include "proxy/server/generation.h"
#include "proxy/server/link.h"

/* A session and a server. */
struct ln_pool_slot {
  struct ln_server *server; /* counted */
  struct ln_link *link;     /* the current one of the session's own, or NULL */
  bool lost;                /* the last one ended by itself: the next may list other things */
  struct ln_index *index;   /* lists/index.c: what the session sees it list; counted, or NULL */
};

/* What the session has of a server, or NULL. Until the session's slots change. */
struct ln_pool_slot *ln_pool_find(const struct ln_session *s, const struct ln_server *server);
/* The same, made when there is none. NULL: out of memory, or the session is over. */
struct ln_pool_slot *ln_pool_slot_of(struct ln_session *s, struct ln_server *server);
/* Takes away the slots of servers that the session's generation no longer has, unless a link is
 * still at work; index_unref lets go of what a slot has in `index`. */
void ln_pool_drop_slots(struct ln_session *s, void (*index_unref)(struct ln_index *index));

/* The lasting link with the server that the session uses now, or NULL. */
struct ln_link *ln_pool_current(const struct ln_session *s, const struct ln_server *server);
/* The same, opened when there is none. NULL with *why (until the next call) when it can't be had.
 */
struct ln_link *ln_pool_link(struct ln_session *s, struct ln_server *server, const char **why);
/* The one for a single call: a fresh one where each call has its own, which becomes a task's when
 * task is said. */
struct ln_link *ln_pool_link_for_call(struct ln_session *s, struct ln_server *server, bool task,
                                      const char **why);

/* For ln_link_events: a link is about to end by itself (lost), is out of its owner's sight
 * (detached); the server has forgotten its session, and the call goes to another (forgotten). */
void ln_pool_link_lost(struct ln_link *link);
void ln_pool_link_detached(struct ln_link *link);
bool ln_pool_link_forgotten(struct ln_link *link, struct ln_call *call);

#endif
