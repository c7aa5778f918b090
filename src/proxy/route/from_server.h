/* Messages from servers: requests to the client that caused them, notifications to whom they
 * concern, in order and on the stream where they belong. */
#ifndef LN_PROXY_ROUTE_FROM_SERVER_H
#define LN_PROXY_ROUTE_FROM_SERVER_H

#include "proxy/server/link.h"

/* A request or notification (borrowed); call: the one on whose stream it came, or NULL. */
void ln_from_server(struct ln_link *link, struct ln_msg *msg, struct ln_call *call);

#endif
