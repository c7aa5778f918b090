/* What browsers are told about pages of other origins (CORS, fetch.spec.whatwg.org). Who may come
 * in was decided by ln_check_origin. Credentials that the browser adds by itself (cookies) are
 * never allowed: MCP has none. */
#ifndef LN_PROXY_HTTP_CORS_H
#define LN_PROXY_HTTP_CORS_H

#include "transport/http_server.h"

/* Lets the page of that origin, which the request comes from, read its answer. False: it was
 * aborted for lack of memory. */
bool ln_cors_expose(struct ln_http_request *r, struct ln_str origin);
/* Whether a browser asks in advance what a page may send; of a request that names an Origin. */
bool ln_cors_asks(const struct ln_http_head *head);
/* Answers that, after ln_cors_expose: these methods, and the headers that it asks for. */
void ln_cors_answer(struct ln_http_request *r, const char *methods);

#endif
