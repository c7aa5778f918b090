/* Fetching servers' lists into indexes: when a list is first needed, when the server announces a
 * change, and when changes could not have been announced. index.h says who shares what. */
#ifndef LN_PROXY_LISTS_FETCH_H
#define LN_PROXY_LISTS_FETCH_H

#include "proxy/lists/index.h"

/* listing: borrowed; NULL with why when it could not be fetched. */
typedef void (*ln_listing_fn)(void *arg, struct ln_listing *listing, const char *why);
/* Who waits for a list: its owner's memory until fn is called. The server must live until then. */
struct ln_fetch_wait {
  struct ln_watcher watch;    /* first step: until the server is ready */
  struct ln_list link;        /* second step: in index->fetches */
  struct ln_session *session; /* counted */
  struct ln_server *server;
  enum ln_kind kind;
  bool retried; /* a fetch in another session's link failed, so it is fetched once more in ours */
  ln_listing_fn fn;
  void *arg;
};
/* The list of a kind for a session: from the index, or fetched. fn is called once, at once or
 * later, unless w is forgotten before. */
void ln_fetch_listing(struct ln_fetch_wait *w, struct ln_session *s, struct ln_server *server,
                      enum ln_kind kind, ln_listing_fn fn, void *arg);
/* True when a request should do without it: it has been being fetched for longer than
 * start_timeout, and not by another client's session, which may be the only one that is stuck. */
bool ln_fetch_hopeless(const struct ln_session *s, const struct ln_index *index, enum ln_kind kind);
/* fn won't be called; the fetch goes on, as the list is others', too. */
void ln_fetch_forget(struct ln_fetch_wait *w);

/* differs: the list is not the one that was indexed. */
typedef void (*ln_fetched_fn)(void *arg, bool differs);
/* The server sent list_changed in this link: if the list is indexed, fetches it again. Then calls
 * done, at once or later. */
void ln_fetch_changed(struct ln_link *link, enum ln_kind kind, ln_fetched_fn done, void *arg);
/* For a client's list request: fetches the list again if what is indexed may not be true any more
 * (share.h). False: it is not fetched. Else done is called, from the loop or at once, for all who
 * asked meanwhile; until then, and when the fetch fails, the index stays as it is. */
bool ln_fetch_again(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    ln_fetched_fn done, void *arg);
/* The same if it is older than list_max_age, whether the server would announce changes or not. */
bool ln_fetch_older(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    ln_fetched_fn done, void *arg);

#endif
