/* logging/setLevel (server/utilities/logging): a client's log level, set at its servers for as long
 * as its session lasts. A shared server gets the most verbose level of all clients
 * (shared_state.h). */
#ifndef LN_PROXY_ROUTE_LEVEL_H
#define LN_PROXY_ROUTE_LEVEL_H

#include "proxy/exchange/exchange.h"

/* To the only server, or to all that have the logging capability; links opened later get it by
 * ln_level_restore. done gets the first error, else the last result. */
void ln_level_request(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);
/* The link, which its owner doesn't share, is open: sets the client's level there. */
void ln_level_restore(struct ln_link *link);
/* The session has ended: its level doesn't count any more. */
void ln_level_session_ends(struct ln_session *s);

#endif
