/* What a server offers to a client: its initialize result and its four lists, each fetched with all
 * its pages when first needed (fetch.h).
 *
 * An index is one session's own, or shared by clients that the server can't tell apart: share.h
 * says when. Its key is what the server was told of the client, byte for byte: the params of the
 * initialize request that it got, which are the client's own (revision, capabilities, clientInfo,
 * whatever else it said) with what the policy adds. That is all a server can know of a client whose
 * session has used nothing: the credentials and headers that it gets are its declaration's, the
 * same for all. Whatever is made to differ from client to client one day belongs into ln_index_key,
 * too.
 */
#ifndef LN_PROXY_LISTS_INDEX_H
#define LN_PROXY_LISTS_INDEX_H

#include "proxy/client/pool.h"
#include "proxy/lists/listing.h"

struct ln_index {
  struct ln_list link; /* in server->indexes while new sessions may share it */
  uint32_t refs;
  struct ln_server *server;    /* not counted */
  struct ln_msg *init_request; /* what the server was told */
  struct ln_msg *init_reply;   /* the reply to initialize */
  struct ln_str capabilities;  /* in init_reply */
  bool own;                    /* of one session alone */
  bool outdated; /* the server is another now: asked again before it is shown in a list */

  /* Written by share.c. */
  struct ln_listing *listings[LN_KINDS]; /* interned; NULL: not fetched yet */
  uint64_t by[LN_KINDS];                 /* the serial of the link that listed it so last */
  uint64_t asked_at[LN_KINDS];           /* loop time when it was last asked for */
  bool expired[LN_KINDS]; /* it may have changed since: asked again before it is shown in a list */
  bool calm[LN_KINDS];    /* it had expired for the last time for nothing */
  struct ln_listing *doubt[LN_KINDS]; /* another client's, while both are asked again */

  /* Written by fetch.c. */
  struct ln_list fetches[LN_KINDS]; /* who waits for a fetch under way */
  bool fetching[LN_KINDS];
  uint64_t fetcher[LN_KINDS];       /* the key of the session in whose link; 0: a shared one */
  struct ln_list again[LN_KINDS];   /* who waits until what is known was asked for again … */
  bool asking[LN_KINDS];            /* … which is under way */
  uint64_t backoff_until[LN_KINDS]; /* after a fetch failed, until when calls do without it */
  bool stale[LN_KINDS];             /* changed while it was being fetched */
};

/* What decides who may share an index (see above). Of a session absent before its initialize. */
struct ln_str ln_index_key(const struct ln_session *s);

/* The shared one of this key, or NULL. Not counted. */
struct ln_index *ln_index_find(struct ln_server *server, struct ln_str key);
/* A new one from a link that has been initialized; shared from now on, or own. One reference, the
 * caller's. NULL: out of memory. */
struct ln_index *ln_index_new(struct ln_link *link, bool own);
/* A copy of it for one session alone. One reference, the caller's. NULL: out of memory. */
struct ln_index *ln_index_fork(const struct ln_index *index);
/* New sessions don't share it. */
void ln_index_retire(struct ln_index *index);
struct ln_index *ln_index_ref(struct ln_index *index);
void ln_index_unref(struct ln_index *index); /* NULL is fine */
/* The server is about to be freed: releases its shared indexes. */
void ln_index_server_ends(struct ln_server *server);

/* True when the server was told the same for both. */
bool ln_index_same_key(const struct ln_index *a, const struct ln_index *b);
/* True when the server's capabilities have this list. */
bool ln_index_offers(const struct ln_index *index, enum ln_kind kind);
/* True when a list that this kind's list_changed is about is known. */
bool ln_index_knows(const struct ln_index *index, enum ln_kind kind);
/* True when it has been being fetched for longer than start_timeout. */
bool ln_index_late(const struct ln_index *index, enum ln_kind kind);
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

#endif
