/* Answers to HTTP requests other than MCP responses: pages, 202, errors. */
#ifndef LN_PROXY_HTTP_RESPOND_H
#define LN_PROXY_HTTP_RESPOND_H

#include "base/log.h"
#include "proxy/http/refusal.h"
#include "rpc/message.h"
#include "transport/http_server.h"

/* headers: whole lines, or NULL. A request that can't be answered is aborted. */
void ln_respond(struct ln_http_request *r, int status, const char *type, const char *headers,
                struct ln_str body);
/* A status without a body. */
void ln_respond_status(struct ln_http_request *r, int status);
/* A JSON-RPC error as the body. Releases the fault's id. */
void ln_respond_fault(struct ln_http_request *r, int status, struct ln_msg_fault *fault);
/* The same for a refused request, with a line in the log. Does nothing for LN_REFUSAL_DEFERRED. */
void ln_respond_refusal(struct ln_log *log, struct ln_http_request *r, struct ln_refusal refusal);

#endif
