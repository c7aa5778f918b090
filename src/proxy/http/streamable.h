/* Streamable HTTP: POST answered by JSON or SSE, the listening GET, GET with Last-Event-ID to go on
 * with a stream, DELETE.
 *
 * A client that goes away in the middle of a POST has not cancelled anything. */
#ifndef LN_PROXY_HTTP_STREAMABLE_H
#define LN_PROXY_HTTP_STREAMABLE_H

#include "proxy/http/restore.h"

/* Serves a request to /mcp. */
void ln_streamable_serve(struct ln_restorer *rs, struct ln_http_request *r);

#endif
