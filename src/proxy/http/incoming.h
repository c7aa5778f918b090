/* What a request brings: its body as a message, and its headers for policies. */
#ifndef LN_PROXY_HTTP_INCOMING_H
#define LN_PROXY_HTTP_INCOMING_H

#include "proxy/client/session.h"
#include "proxy/http/refusal.h"
#include "transport/http_server.h"

/* The body without white space around. */
struct ln_str ln_incoming_text(const struct ln_http_request *r);
/* That text as a message (one reference), or its fault was answered and it is NULL. */
struct ln_msg *ln_incoming_message(struct ln_host *h, struct ln_http_request *r,
                                   struct ln_str text);
/* A request has an id of its own: with that of one under way its answer could not be told from the
 * other's. */
struct ln_refusal ln_incoming_check_id(struct ln_session *s, const struct ln_msg *msg);
/* The headers, when the policy may ask for them (one reference), or NULL. */
struct ln_bytes *ln_incoming_headers(const struct ln_host *h, const struct ln_http_request *r);

#endif
