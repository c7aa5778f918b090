/* Messages from clients: each passes here once, is checked, goes through the handlers that match
 * it, and on to where its row in the table of methods says. */
#ifndef LN_PROXY_ROUTE_FROM_CLIENT_H
#define LN_PROXY_ROUTE_FROM_CLIENT_H

#include "proxy/client/session.h"

struct ln_exchange;

/* A message from a client (borrowed). sink: where the reply to it and what is related to it goes
 * (counted when needed; NULL: the session's general one). headers: of the HTTP request
 * (exchange/headers.h), or NULL (borrowed). */
void ln_from_client(struct ln_session *s, struct ln_msg *msg, struct ln_sink *sink,
                    struct ln_bytes *headers);
/* A request on behalf of a session's client that no sink waits for: the command line's (cause is
 * NULL), or a policy's, made for cause. msg's reference stays the caller's. reply is called once,
 * at once or later. */
void ln_from_client_request(struct ln_session *s, struct ln_msg *msg, struct ln_exchange *cause,
                            ln_reply_fn reply, void *arg);

#endif
