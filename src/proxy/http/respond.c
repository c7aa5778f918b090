/* Answers other than MCP responses; see respond.h. */
#include "proxy/http/respond.h"

#include <stdio.h>

#include "proxy/entry/parse.h"

void ln_respond(struct ln_http_request *r, int status, const char *type, const char *headers,
                struct ln_str body) {
  struct ln_iov part = {body.p, body.n, NULL};
  int rc = ln_http_reply(r, status, type, headers, &part, body.n ? 1 : 0);
  if (rc) ln_http_request_abort(r);
}

void ln_respond_status(struct ln_http_request *r, int status) {
  ln_respond(r, status, NULL, NULL, LN_STR_NONE);
}

static void respond_error(struct ln_http_request *r, int status, struct ln_msg_fault *fault,
                          const char *headers) {
  struct ln_bytes *text = ln_parse_fault(fault);
  ln_respond(r, status, "application/json", headers,
             text ? (struct ln_str){text->data, text->len} : LN_STR_LIT("{}"));
  ln_bytes_unref(text);
}

void ln_respond_fault(struct ln_http_request *r, int status, struct ln_msg_fault *fault) {
  respond_error(r, status, fault, NULL);
}

void ln_respond_refusal(struct ln_log *log, struct ln_http_request *r, struct ln_refusal refusal) {
  if (refusal.status == LN_REFUSAL_DEFERRED) return;
  struct ln_msg_fault fault = {.code = refusal.code};
  snprintf(fault.text, sizeof fault.text, "%s", refusal.why);
  if (refusal.status == 503 && r->account)
    LN_LOG(log, WARN, "http", "refused %s with 503: %s", r->account->name, refusal.why);
  else
    LN_LOG(log, WARN, "http", "refused with %d: %s", refusal.status, refusal.why);
  respond_error(r, refusal.status, &fault, refusal.headers);
}
