/* Ending a client's session, with everything that the rooms below keep for it. */
#ifndef LN_PROXY_ROUTE_SESSION_END_H
#define LN_PROXY_ROUTE_SESSION_END_H

#include "proxy/client/session.h"

/* Aborts its exchanges, closes its links, calls on_end of its transport, which keeps its reference.
 * Does nothing when it has ended already. */
void ln_session_end(struct ln_session *s);

#endif
