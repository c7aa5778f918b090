/* Getting the view that a session sees: as it is, or made of lists that are fetched first. */
#ifndef LN_PROXY_LISTS_VIEW_GET_H
#define LN_PROXY_LISTS_VIEW_GET_H

#include "proxy/client/session.h"
#include "proxy/lists/view.h"

enum ln_view_use {
  LN_VIEW_USE,    /* to find one component */
  LN_VIEW_LIST,   /* to be shown to the client: waits for lists that failed a moment ago, too */
  LN_VIEW_EXPLAIN /* fresh, with each item's way through the rules */
};

/* Whose view. x, on whose behalf rules that take ctx decide, is borrowed: it lives until the answer
 * is there. */
struct ln_view_request {
  struct ln_session *session;
  struct ln_generation *gen;
  struct ln_exchange *x;
  enum ln_kind kind;
  enum ln_view_use use;
};

/* view: borrowed; NULL with why when the only server can't be asked. */
typedef void (*ln_view_fn)(void *arg, struct ln_view *view, const char *why);
/* Fetches what is missing. fn is called at once or later. */
void ln_view_get(const struct ln_view_request *request, ln_view_fn fn, void *arg);
/* Made of what is indexed already: waits for nobody. One reference; NULL: out of memory. */
struct ln_view *ln_view_preview(const struct ln_view_request *request);
/* One of these lists (one per server, NULL where there is none) for no session, after the rules
 * that are the same for everybody: can it be made? One reference; NULL: it can't. */
struct ln_view *ln_view_trial(struct ln_generation *gen, enum ln_kind kind,
                              struct ln_listing *const *listings);

/* What the session was shown last of a kind is no longer what it would be shown: NULL, or v, whose
 * reference is taken. */
void ln_view_set(struct ln_session *s, enum ln_kind kind, struct ln_view *v);
/* The same for all kinds, at the session's end. */
void ln_view_forget(struct ln_session *s);

#endif
