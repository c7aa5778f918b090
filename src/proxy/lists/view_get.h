/* Getting a session's view: the one that it has, or a new one of lists that are fetched first. */
#ifndef LN_PROXY_LISTS_VIEW_GET_H
#define LN_PROXY_LISTS_VIEW_GET_H

#include "proxy/client/session.h"
#include "proxy/lists/view.h"

enum ln_view_use {
  LN_VIEW_USE,    /* to find one component: kept for the session also when lists are missing */
  LN_VIEW_LIST,   /* for a list request: tries again to fetch lists that just failed */
  LN_VIEW_EXPLAIN /* a new one that tells for each entry what rules did */
};

/* Whose view (ln_exchange_views). x, which rules that take ctx get, is borrowed with its headers
 * and must live until the answer. */
struct ln_view_request {
  struct ln_session *session;
  struct ln_generation *gen;
  struct ln_bytes *headers; /* of x; NULL: none */
  struct ln_exchange *x;
  enum ln_kind kind;
  enum ln_view_use use;
  uint64_t until; /* loop time until which lists that are late are waited for; 0: start_timeout from
                     now on */
  size_t first;   /* only the first so many servers' are fetched; 0: all */
};

/* view: borrowed; NULL with why when the only server has no list, or the rules failed. */
typedef void (*ln_view_fn)(void *arg, struct ln_view *view, const char *why);
/* Fetches the lists that are missing, and does without those that are late, but for that of an only
 * server where there would be nothing else to show. fn is called once: at once, then the result is
 * NULL, or later, unless ln_view_cancel is called before. */
struct ln_view_getter *ln_view_get(const struct ln_view_request *request, ln_view_fn fn, void *arg);
void ln_view_cancel(struct ln_view_getter *g);
/* The same of the lists that are indexed already. One reference; NULL: the rules failed, or out of
 * memory. */
struct ln_view *ln_view_get_now(const struct ln_view_request *request);

#endif
