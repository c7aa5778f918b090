/* Reading requests: the body as a message, the headers for policies. */
#ifndef LN_PROXY_HTTP_INCOMING_H
#define LN_PROXY_HTTP_INCOMING_H

#include "proxy/client/session.h"
#include "proxy/http/refusal.h"
#include "proxy/route/initialize.h"
#include "transport/http_server.h"

/* The body, without white space around it. */
struct ln_str ln_incoming_text(const struct ln_http_request *r);
/* That text as a message (one reference); NULL: it is none, and that was answered.
 */
struct ln_msg *ln_incoming_message(struct ln_host *h, struct ln_http_request *r,
                                   struct ln_str text);
/* Refuses an initialize request that is longer than may be kept. The refusal's why is in why. */
struct ln_refusal ln_incoming_check_size(const struct ln_host *h, const struct ln_msg *msg,
                                         char why[LN_INITIALIZE_WHY]);
/* Refuses a request with the id of one under way: their responses could not be told apart.
 */
struct ln_refusal ln_incoming_check_id(struct ln_session *s, const struct ln_msg *msg);
/* The headers, when the policy may ask for them (one reference), or NULL. */
struct ln_bytes *ln_incoming_headers(const struct ln_host *h, const struct ln_http_request *r);

#endif
