/* What a server offers to clients of certain capabilities: its initialize result and its four
 * lists, each fetched once, when first needed, all pages of it.
 *
 * Shared by all sessions that offer the same capabilities, until one of them hears list_changed and
 * finds something else: it has a index of its own from then on. (A change that the server
 * announces to the session that fetched the list before that session used anything belongs to
 * everybody: servers complete their lists when they learn of the client.) An HTTP server is one for
 * all: what was shared is then asked for anew by whoever lists next, and clients whose sessions
 * with it are not open, so that they can't have heard, are told. Where no open one would hear, or
 * the server has no way to tell, its lists are good for list_max_age. A server that was started
 * again, or that says it is of another version, is asked anew: sessions that come from then on
 * share what it lists now. */
#ifndef LN_PROXY_CATALOGUE_H
#define LN_PROXY_CATALOGUE_H

#include "proxy/upstream.h"

struct ln_listing_item {
  struct ln_str json;      /* the definition, raw */
  struct ln_bytes *key;    /* name, URI or URI template, unescaped */
  struct ln_str key_value; /* its raw value inside json, quotes and all */
};

/* One list of one server. Immutable once made; counted. */
struct ln_listing {
  uint32_t refs;
  enum ln_kind kind;
  struct ln_server *server;
  struct ln_msg **pages; /* the replies, in order */
  size_t n_pages;
  struct ln_listing_item *items;
  size_t n_items;
};

struct ln_index {
  struct ln_list link; /* in upstream->indexes when shared, unless too many came after it */
  uint32_t refs;
  struct ln_server *server;
  struct ln_bytes *offered;              /* the capabilities it was seen with */
  struct ln_msg *hello;                  /* the reply to initialize */
  struct ln_str capabilities;            /* in hello */
  struct ln_listing *listings[LN_KINDS]; /* NULL: not fetched yet */
  struct ln_list fetches[LN_KINDS];      /* waiters of a fetch under way */
  bool fetching[LN_KINDS];
  uint64_t asked_at[LN_KINDS]; /* loop time of the last fetch that began … */
  uint64_t
      backoff_until[LN_KINDS]; /* … and, when it failed, until which calls do without the list */
  bool stale[LN_KINDS];        /* changed while it was being fetched */
  bool own;                    /* of one session alone */
  struct ln_link *maker; /* who fetched first and has used nothing yet; compared, never followed */
};

/* The shared one for these capabilities, or NULL. Not counted. */
struct ln_index *ln_index_find(struct ln_server *server, const struct ln_bytes *offered);
/* A new shared one from the reply to initialize. One reference, the caller's. NULL: out of memory.
 */
struct ln_index *ln_index_new(struct ln_server *server, struct ln_bytes *offered,
                              struct ln_msg *hello, struct ln_link *maker);
/* Sessions that come from now on don't share it. */
void ln_index_retire(struct ln_index *c);
struct ln_index *ln_index_ref(struct ln_index *c);
void ln_index_unref(struct ln_index *c);
/* Whether the server promises this list. */
bool ln_index_offers(const struct ln_index *c, enum ln_kind kind);

/* listing: borrowed; NULL with why when it could not be had. */
typedef void (*ln_listing_fn)(void *arg, struct ln_listing *listing, const char *why);
/* The list of a kind for a session: from the index, or fetched. fn is called at once or later. */
void ln_fetch_listing(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                      ln_listing_fn fn, void *arg);
/* The server said list_changed in this link: fetches again what had been fetched, then calls
 * done. */
void ln_fetch_changed(struct ln_link *link, enum ln_kind kind,
                      void (*done)(void *arg, bool differs), void *arg);

/* A client lists: asks an HTTP server for the list again, where what is indexed is older than
 * list_max_age and no open session with the server would be told of changes. False: nothing is
 * asked. Else done is called, from the loop or at once; what was indexed stays until then, and also
 * when the server fails. */
bool ln_fetch_again(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    void (*done)(void *arg, bool differs), void *arg);

/* The list can't be had soon: it has been asked for for longer than clients are made to wait, or,
 * for what is no request for lists itself, it failed a moment ago. */
bool ln_index_hopeless(const struct ln_index *c, enum ln_kind kind, bool listing);

/* An empty list. One reference, the caller's. NULL: out of memory. */
struct ln_listing *ln_listing_new(struct ln_server *server, enum ln_kind kind);
/* Adds one page's items; page is counted. LN_EPROTOCOL when its result has no such list, LN_ELIMIT
 * when there are too many, LN_ENOMEM. */
int ln_listing_add(struct ln_listing *sh, struct ln_msg *page);
/* The same definitions in the same order, byte for byte. */
bool ln_listing_same(const struct ln_listing *a, const struct ln_listing *b);
struct ln_listing *ln_listing_ref(struct ln_listing *sh);
void ln_listing_unref(struct ln_listing *sh);

#endif
