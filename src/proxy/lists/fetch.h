/* Fetching what an index lacks: a list when it is first needed, again when the server says that it
 * changed, and again when nobody could have heard so. See index.h for who shares what. */
#ifndef LN_PROXY_LISTS_FETCH_H
#define LN_PROXY_LISTS_FETCH_H

#include "proxy/lists/index.h"

/* listing: borrowed; NULL with why when it could not be had. */
typedef void (*ln_listing_fn)(void *arg, struct ln_listing *listing, const char *why);
/* The list of a kind for a session: from the index, or fetched. fn is called at once or later. */
void ln_fetch_listing(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                      ln_listing_fn fn, void *arg);

/* differs: the list is another one now. */
typedef void (*ln_fetched_fn)(void *arg, bool differs);
/* The server said list_changed in this link: fetches again what had been fetched, then calls done,
 * at once or later. */
void ln_fetch_changed(struct ln_link *link, enum ln_kind kind, ln_fetched_fn done, void *arg);
/* A client lists: asks an HTTP server for the list again, where what is indexed is older than
 * list_max_age and no open link with the server would be told of changes. False: nothing is asked.
 * Else done is called, from the loop or at once; what was indexed stays until then, and also when
 * the server fails. */
bool ln_fetch_again(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    ln_fetched_fn done, void *arg);

#endif
