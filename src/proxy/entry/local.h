/* A client inside the process, for the command line's list, call, read and prompt. It has no
 * capabilities, refuses requests and ignores notifications. */
#ifndef LN_PROXY_ENTRY_LOCAL_H
#define LN_PROXY_ENTRY_LOCAL_H

#include "proxy/client/session.h"
#include "proxy/lists/view.h"

struct ln_local;

/* NULL when out of memory. */
struct ln_local *ln_local_new(struct ln_host *h);
/* Sends a request (params absent: none) and runs the loop until its reply is there: one reference,
 * the caller's. initialize is followed by notifications/initialized. NULL: out of memory. */
struct ln_msg *ln_local_request(struct ln_local *c, const char *method, struct ln_str params);
/* The view of a kind that tells what rules did (LN_VIEW_EXPLAIN); runs the loop until it is there.
 * One reference; NULL with *why (until the next call). */
struct ln_view *ln_local_explain(struct ln_local *c, enum ln_kind kind, const char **why);
/* Ends the session and frees it. */
void ln_local_free(struct ln_local *c);

#endif
