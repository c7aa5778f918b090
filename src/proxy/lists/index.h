/* What a server offers to clients of certain capabilities: its initialize result and its four
 * lists, each fetched once, when first needed, all pages of it (fetch.h).
 *
 * Shared by all sessions that offer the same capabilities, until one of them hears list_changed and
 * finds something else: it has an index of its own from then on. (A change that the server
 * announces to the link that fetched the list before that link was used for anything belongs to
 * everybody: servers complete their lists when they learn of the client.) An HTTP server is one for
 * all: what was shared is then asked for anew by whoever lists next, and clients whose links with
 * it are not open, so that they can't have heard, are told. Where no open one would hear, or the
 * server has no way to tell, its lists are good for list_max_age. A server that was started again,
 * or that says it is of another version, is asked anew: sessions that come from then on share what
 * it lists now. */
#ifndef LN_PROXY_LISTS_INDEX_H
#define LN_PROXY_LISTS_INDEX_H

#include "proxy/client/pool.h"
#include "proxy/lists/listing.h"

struct ln_index {
  struct ln_list link; /* in server->indexes when shared, unless too many came after it */
  uint32_t refs;
  struct ln_server *server;   /* not counted */
  struct ln_bytes *offered;   /* the client capabilities that it was seen with */
  struct ln_msg *init_reply;  /* the reply to initialize */
  struct ln_str capabilities; /* in init_reply */
  bool own;                   /* of one session alone */
  uint64_t maker; /* serial of the link that fetched first and has been used for nothing yet; 0:
                     it was, or has gone */

  /* Written by fetch.c. */
  struct ln_listing *listings[LN_KINDS]; /* NULL: not fetched yet */
  struct ln_list fetches[LN_KINDS];      /* who waits for a fetch under way */
  bool fetching[LN_KINDS];
  uint64_t asked_at[LN_KINDS]; /* loop time of the last fetch that began … */
  uint64_t
      backoff_until[LN_KINDS]; /* … and, when it failed, until which calls do without the list */
  bool stale[LN_KINDS];        /* changed while it was being fetched */
};

/* The shared one for these capabilities, or NULL. Not counted. */
struct ln_index *ln_index_find(struct ln_server *server, const struct ln_bytes *offered);
/* A new shared one from a link that has been initialized. One reference, the caller's. NULL: out
 * of memory. */
struct ln_index *ln_index_new(struct ln_link *link, struct ln_bytes *offered);
/* A copy of it for one session alone. One reference, the caller's. NULL: out of memory. */
struct ln_index *ln_index_fork(const struct ln_index *index);
/* Sessions that come from now on don't share it. */
void ln_index_retire(struct ln_index *index);
/* `by` takes its place among the shared ones, as one of them. */
void ln_index_replace(struct ln_index *index, struct ln_index *by);
struct ln_index *ln_index_ref(struct ln_index *index);
void ln_index_unref(struct ln_index *index); /* NULL is fine */
/* With its server: the shared ones go. */
void ln_index_server_ends(struct ln_server *server);

/* Made for clients of the same capabilities. */
bool ln_index_same_offer(const struct ln_index *a, const struct ln_index *b);
/* Whether the server promises this list. */
bool ln_index_offers(const struct ln_index *index, enum ln_kind kind);
/* The list can't be had soon: it has been asked for for longer than clients are made to wait, or,
 * for what is no request for lists itself, it failed a moment ago. */
bool ln_index_hopeless(const struct ln_index *index, enum ln_kind kind, bool listing);

/* What the session sees of a server; NULL: nothing yet. Not counted. */
struct ln_index *ln_index_of(const struct ln_session *s, const struct ln_server *server);
/* Counted by the call. LN_ENOMEM. */
int ln_index_set(struct ln_session *s, struct ln_server *server, struct ln_index *index) LN_CHECK;
/* Some server of the session's has the capability, or is not known well enough to say no. */
bool ln_index_some_have(const struct ln_session *s, const char *capability);
/* What a link was found to list: takes the reference, NULL takes it away. */
void ln_index_set_link(struct ln_link *link, struct ln_index *index);
/* What the link's session sees, or, when all share it, what it was found to list. */
struct ln_index *ln_index_of_link(const struct ln_link *link);
/* The link is used for a client: what changes from now on may be that one's doing. */
void ln_index_used(struct ln_link *link);

#endif
