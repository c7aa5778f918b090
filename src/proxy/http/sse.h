/* HTTP+SSE, the transport of 2024-11-05, for clients: GET /sse opens a session and its one stream,
 * whose first event says where to POST. All messages to the client, responses too, are `message`
 * events on that stream. The session ends with the stream. */
#ifndef LN_PROXY_HTTP_SSE_H
#define LN_PROXY_HTTP_SSE_H

#include "proxy/http/session_table.h"

/* Serves a request to /sse. */
void ln_sse_front_open(struct ln_session_table *t, struct ln_http_request *r);
/* Serves a request to /messages. */
void ln_sse_front_post(struct ln_session_table *t, struct ln_http_request *r);

#endif
