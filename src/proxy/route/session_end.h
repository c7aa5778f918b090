/* The end of a client's session: of all that the rooms below have of it. */
#ifndef LN_PROXY_ROUTE_SESSION_END_H
#define LN_PROXY_ROUTE_SESSION_END_H

#include "proxy/client/session.h"

/* Cancels what is under way, closes its links, tells its transport (on_end). The transport's
 * reference stays the transport's. Nothing, when it has ended already. */
void ln_session_end(struct ln_session *s);

#endif
