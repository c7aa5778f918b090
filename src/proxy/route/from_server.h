/* Messages from servers: finds the client, and the exchange, that each is related to, and sends it
 * there, in order and on that exchange's stream. */
#ifndef LN_PROXY_ROUTE_FROM_SERVER_H
#define LN_PROXY_ROUTE_FROM_SERVER_H

#include "proxy/server/link.h"

/* A request or notification (borrowed); call: on whose stream it came, or NULL. */
void ln_from_server(struct ln_link *link, struct ln_msg *msg, struct ln_call *call);

#endif
