/* Sending servers' notifications to clients: with each client's names, through the policy's
 * handlers, on the stream of the exchange that they are related to. */
#ifndef LN_PROXY_ROUTE_RELAY_H
#define LN_PROXY_ROUTE_RELAY_H

#include "proxy/exchange/exchange.h"

/* A notification to one session. cause: the exchange that it is related to, whose reply waits until
 * it is sent; NULL: none. msg is borrowed. */
void ln_relay(struct ln_server *server, struct ln_session *s, struct ln_exchange *cause,
              struct ln_msg *msg);
/* The same to one of many sessions. *steps: what looking its URIs up may still take for all. */
void ln_relay_to_one_of_many(struct ln_server *server, struct ln_session *s, struct ln_msg *msg,
                             uint64_t *steps);
/* To the owner of the link that it came in; owner NULL: to all sessions, if they share the link:
 * a link that has lost its owner, or was opened to see whether the server works, is nobody's. */
void ln_relay_to_all(struct ln_server *server, struct ln_session *owner, struct ln_msg *msg);
/* The sink of the client's exchange at the end of the chain of causes; NULL: the general one. */
struct ln_sink *ln_relay_sink(struct ln_exchange *cause);

#endif
