/* What a server offers to clients with certain capabilities: its initialize result and its four
 * lists, each fetched with all its pages when first needed (fetch.h).
 *
 * An index is shared by all sessions that offered the same capabilities to the server. When one of
 * them gets list_changed and the list fetched then differs, that session has an index of its own
 * from then on. Exceptions:
 * - A change announced in the link that fetched the list first, before that link was used for
 *   anything else, is everybody's: servers complete their lists when they learn of the client.
 * - One HTTP server serves all sessions: other sessions' lists are fetched again when next needed,
 *   and clients that have no open link with it are told.
 * - Where no link can receive list_changed, or the server never sends it, lists are fetched again
 *   after list_max_age (HTTP only).
 * - After a restart of the server, or when its serverInfo differs, new sessions share a new index.
 */
#ifndef LN_PROXY_LISTS_INDEX_H
#define LN_PROXY_LISTS_INDEX_H

#include "proxy/client/pool.h"
#include "proxy/lists/listing.h"

struct ln_index {
  struct ln_list link; /* in server->indexes while new sessions may share it */
  uint32_t refs;
  struct ln_server *server;   /* not counted */
  struct ln_bytes *offered;   /* the client capabilities that were offered to the server */
  struct ln_msg *init_reply;  /* the reply to initialize */
  struct ln_str capabilities; /* in init_reply */
  bool own;                   /* of one session alone */
  uint64_t fetched_by; /* serial of the link it was made from; 0: that was used for a client's
                          request, or is freed */

  /* Written by fetch.c. */
  struct ln_listing *listings[LN_KINDS]; /* NULL: not fetched yet */
  struct ln_list fetches[LN_KINDS];      /* who waits for a fetch under way */
  bool fetching[LN_KINDS];
  uint64_t asked_at[LN_KINDS];      /* loop time of the last fetch that began … */
  uint64_t backoff_until[LN_KINDS]; /* … and, after it failed, until which calls do without it */
  bool stale[LN_KINDS];             /* changed while it was being fetched */
  bool asking[LN_KINDS];            /* what is indexed is being fetched again … */
  struct ln_list joined[LN_KINDS];  /* … and who waits for that besides who began it */
};

/* The shared one for these capabilities, or NULL. Not counted. */
struct ln_index *ln_index_find(struct ln_server *server, const struct ln_bytes *offered);
/* A new shared one from a link that has been initialized. One reference, the caller's. NULL: out
 * of memory. */
struct ln_index *ln_index_new(struct ln_link *link, struct ln_bytes *offered);
/* A copy of it for one session alone. One reference, the caller's. NULL: out of memory. */
struct ln_index *ln_index_fork(const struct ln_index *index);
/* New sessions don't share it. */
void ln_index_retire(struct ln_index *index);
/* `by` becomes shared and takes its place in server->indexes. */
void ln_index_replace(struct ln_index *index, struct ln_index *by);
struct ln_index *ln_index_ref(struct ln_index *index);
void ln_index_unref(struct ln_index *index); /* NULL is fine */
/* The server is about to be freed: releases its shared indexes. */
void ln_index_server_ends(struct ln_server *server);

/* True when both were made for the same client capabilities. */
bool ln_index_same_offer(const struct ln_index *a, const struct ln_index *b);
/* True when the server's capabilities have this list. */
bool ln_index_offers(const struct ln_index *index, enum ln_kind kind);
/* True when a list request should do without it: it has been being fetched for longer than
 * start_timeout. */
bool ln_index_unavailable(const struct ln_index *index, enum ln_kind kind);
/* True when fetching it has just failed: who looks for one component doesn't ask again yet. */
bool ln_index_in_backoff(const struct ln_index *index, enum ln_kind kind);

/* The index that the session uses for a server; NULL: none yet. Not counted. */
struct ln_index *ln_index_of(const struct ln_session *s, const struct ln_server *server);
/* Sets it; counted by the call, may be NULL. LN_ENOMEM. */
int ln_index_set(struct ln_session *s, struct ln_server *server, struct ln_index *index) LN_CHECK;
/* True when some server of the session has the capability, or one has not been asked yet. */
bool ln_index_any_has(const struct ln_session *s, const char *capability);
/* Sets link->index: takes the reference; NULL: none. */
void ln_index_set_link(struct ln_link *link, struct ln_index *index);
/* The index of the link's session; of a shared link its own. */
struct ln_index *ln_index_of_link(const struct ln_link *link);
/* The link is used for a client's request, which may change the lists for that client alone. */
void ln_index_link_used(struct ln_link *link);

#endif
