/* Messages from clients: each is checked, goes through the handlers that match it, and then where
 * its row in mcp/method.c says. */
#ifndef LN_PROXY_ROUTE_FROM_CLIENT_H
#define LN_PROXY_ROUTE_FROM_CLIENT_H

#include "proxy/client/session.h"

struct ln_exchange;

/* A message from a client (borrowed). sink: for the reply and related messages (counted when
 * needed; NULL: the session's general one). headers: of the HTTP request (client/headers.h,
 * borrowed), or NULL. */
void ln_from_client(struct ln_session *s, struct ln_msg *msg, struct ln_sink *sink,
                    struct ln_bytes *headers);
/* A request as the session's client would make it, but by the command line (cause is NULL) or by a
 * policy in a handler of cause. msg is borrowed. reply is called once, at once or later. */
void ln_from_client_request(struct ln_session *s, struct ln_msg *msg, struct ln_exchange *cause,
                            ln_reply_fn reply, void *arg);

#endif
