/* initialize to servers (basic/lifecycle, "Initialization"): the capabilities that they are
 * offered, the request, and giving sessions an index when it was answered. */
#ifndef LN_PROXY_ROUTE_INIT_REQUEST_H
#define LN_PROXY_ROUTE_INIT_REQUEST_H

#include "proxy/client/session.h"
#include "proxy/server/link.h"

/* Sets the session's `server_init_request`, for links opened from now on: the
 * client's capabilities plus those for which the policy has handlers. Does nothing before the
 * client's initialize. LN_ENOMEM, or LN_EINVALID when that has no protocolVersion: it is as it
 * was. */
int ln_init_request_offer(struct ln_session *s) LN_CHECK;
/* The initialize request for a new link. One reference, the caller's; NULL: out of memory. */
struct ln_msg *ln_init_request_for(struct ln_link *link);
/* A link was initialized (lists/share.h). *client_ready: see ln_link_events. LN_ENOMEM. */
int ln_init_request_answered(struct ln_link *link, bool *client_ready);

#endif
