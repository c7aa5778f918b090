/* Reading requests; see incoming.h. */
#include "proxy/http/incoming.h"

#include "proxy/client/headers.h"
#include "proxy/entry/parse.h"
#include "proxy/exchange/exchange.h"
#include "proxy/http/respond.h"
#include "proxy/server/generation.h"

struct ln_str ln_incoming_text(const struct ln_http_request *r) {
  return r->body ? ln_json_trim((struct ln_str){r->body->data, r->body->len}) : LN_STR_NONE;
}

struct ln_msg *ln_incoming_message(struct ln_host *h, struct ln_http_request *r,
                                   struct ln_str text) {
  struct ln_msg_limits limits = ln_parse_limits(h);
  struct ln_msg_fault fault = {.code = -32700, .text = "Parse error: the body is empty"};
  struct ln_msg *m = NULL;
  if (text.n && ln_msg_parse(r->body, text, &limits, &m, &fault) == LN_OK) return m;
  LN_LOG(h->log, WARN, "http", "refused a message: %s", fault.text);
  ln_respond_fault(r, 400, &fault);
  return NULL;
}

struct ln_refusal ln_incoming_check_size(const struct ln_host *h, const struct ln_msg *msg,
                                         char why[LN_INITIALIZE_WHY]) {
  if (!ln_initialize_too_long(h, msg, why)) return (struct ln_refusal){0};
  return (struct ln_refusal){413, -32603, why, NULL};
}

struct ln_refusal ln_incoming_check_id(struct ln_session *s, const struct ln_msg *msg) {
  if (msg->kind == LN_MSG_REQUEST && ln_exchange_find(s, msg->id))
    return (struct ln_refusal){400, -32600, "A request with this id is under way already", NULL};
  return (struct ln_refusal){0};
}

struct ln_bytes *ln_incoming_headers(const struct ln_host *h, const struct ln_http_request *r) {
  return ln_policy_uses_ctx(h->gen->policy) ? ln_headers_copy(r->head) : NULL;
}
