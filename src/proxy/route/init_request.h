/* initialize towards servers: what they are told of their client, and what a link that has been
 * initialized means to the sessions. */
#ifndef LN_PROXY_ROUTE_INIT_REQUEST_H
#define LN_PROXY_ROUTE_INIT_REQUEST_H

#include "proxy/client/session.h"
#include "proxy/server/link.h"

/* Works out anew what the session's servers are offered: the client's capabilities plus what the
 * policy's handlers answer. For servers that are started from now on. Nothing, when the client has
 * said nothing yet. */
int ln_init_request_offer(struct ln_session *s) LN_CHECK;
/* The initialize request for a new link. One reference, the caller's; NULL: out of memory. */
struct ln_msg *ln_init_request_for(struct ln_link *link);
/* A link has been initialized: it gets its index, and sessions that had none of that server's get
 * it, too. *client_ready: see ln_link_events. LN_ENOMEM. */
int ln_init_request_answered(struct ln_link *link, bool *client_ready);

#endif
