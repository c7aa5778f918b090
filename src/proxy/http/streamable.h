/* Streamable HTTP (basic/transports, "Streamable HTTP"): POST, the listening GET, GET with
 * Last-Event-ID to resume a stream, DELETE.
 *
 * A client that closes the connection of a POST has not cancelled its request ("Sending
 * Messages to the Server"). */
#ifndef LN_PROXY_HTTP_STREAMABLE_H
#define LN_PROXY_HTTP_STREAMABLE_H

#include "proxy/http/restore.h"

/* Serves a request to /mcp. */
void ln_streamable_serve(struct ln_restorer *rs, struct ln_http_request *r);

#endif
