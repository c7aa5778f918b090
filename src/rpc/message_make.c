/* Messages of our own; see message.h. */
#include "rpc/message.h"

/* What we made ourselves, or edited out of what was proven, parses; else a caller gave us text
 * that is no JSON. */
static struct ln_msg *reparse(struct ln_buf *b) {
  struct ln_bytes *bytes = ln_buf_finish(b);
  if (!bytes) return NULL;
  const struct ln_msg_limits limits = {
      .json = {.max_bytes = SIZE_MAX, .max_depth = 100000, .max_members = UINT32_MAX}};
  struct ln_msg *m = NULL;
  struct ln_msg_fault fault;
  int rc = ln_msg_parse(bytes, ln_bytes_str(bytes), &limits, &m, &fault);
  ln_bytes_unref(fault.id_bytes);
  ln_bytes_unref(bytes);
  return rc ? NULL : m;
}

/* The concatenation of n strings as a message. */
static struct ln_msg *build(const struct ln_str *parts, size_t n) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  size_t total = 0;
  for (size_t i = 0; i < n; i++) total += parts[i].n;
  ln_buf_fail(&b, ln_buf_reserve(&b, total));
  for (size_t i = 0; i < n; i++) ln_buf_append_str(&b, parts[i]);
  return reparse(&b);
}

struct ln_msg *ln_msg_result(struct ln_str result) {
  const struct ln_str parts[] = {LN_STR_LIT("{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":"), result,
                                 LN_STR_LIT("}")};
  return build(parts, LN_COUNT(parts));
}

struct ln_msg *ln_msg_error_raw(struct ln_str error) {
  const struct ln_str parts[] = {LN_STR_LIT("{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":"), error,
                                 LN_STR_LIT("}")};
  return build(parts, LN_COUNT(parts));
}

struct ln_msg *ln_msg_error(int code, const char *message, struct ln_str data) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_buf_printf(&b, "{\"code\":%d,\"message\":", code);
  ln_json_quote(&b, ln_str_c(message));
  if (data.p) ln_buf_append_c(&b, ",\"data\":");
  ln_buf_append_str(&b, data);
  ln_buf_append_c(&b, "}");
  struct ln_msg *m = ln_buf_error(&b) ? NULL : ln_msg_error_raw(ln_buf_str(&b));
  ln_buf_deinit(&b);
  return m;
}

static struct ln_msg *outgoing(struct ln_str head, const char *method, struct ln_str params) {
  const struct ln_str parts[] = {head, ln_str_c(method),
                                 params.p ? LN_STR_LIT("\",\"params\":") : LN_STR_LIT("\""), params,
                                 LN_STR_LIT("}")};
  return build(parts, LN_COUNT(parts));
}

struct ln_msg *ln_msg_request(const char *method, struct ln_str params) {
  return outgoing(LN_STR_LIT("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\""), method, params);
}

struct ln_msg *ln_msg_notification(const char *method, struct ln_str params) {
  return outgoing(LN_STR_LIT("{\"jsonrpc\":\"2.0\",\"method\":\""), method, params);
}
