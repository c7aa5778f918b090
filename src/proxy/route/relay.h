/* What servers say, on its way to clients: through the policy's handlers, under the names that each
 * client knows, on the stream where it belongs. */
#ifndef LN_PROXY_ROUTE_RELAY_H
#define LN_PROXY_ROUTE_RELAY_H

#include "proxy/exchange/exchange.h"

/* A notification of this server to one session. cause: what it is related to, whose reply waits for
 * it; NULL: nothing. msg is borrowed. */
void ln_relay(struct ln_server *server, struct ln_session *s, struct ln_exchange *cause,
              struct ln_msg *msg);
/* To the owner of the link that it came by; owner NULL: to all sessions, who share it. */
void ln_relay_to_all(struct ln_server *server, struct ln_session *owner, struct ln_msg *msg);
/* The sink of the client's own exchange behind one that a policy or the command line made; NULL:
 * the general one. */
struct ln_sink *ln_relay_sink(struct ln_exchange *cause);

#endif
