/* Messages of our own; see message.h. */
#include "rpc/message.h"

#include <string.h>

/* What we made ourselves, or edited out of what was proven, parses; else a caller gave us text
 * that is no JSON. */
static int reparse(struct ln_buf *b, struct ln_msg **m) {
  struct ln_bytes *bytes = ln_buf_finish(b);
  if (!bytes) return LN_ENOMEM;
  const struct ln_msg_limits limits = {
      .json = {.max_bytes = SIZE_MAX, .max_depth = 100000, .max_members = UINT32_MAX}};
  struct ln_msg_fault fault;
  int rc = ln_msg_parse(bytes, ln_bytes_str(bytes), &limits, m, &fault);
  ln_bytes_unref(fault.id_bytes);
  ln_bytes_unref(bytes);
  return rc;
}

/* The concatenation of n strings as a message. */
static int put_together(const struct ln_str *parts, size_t n, struct ln_msg **m) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  size_t total = 0;
  for (size_t i = 0; i < n; i++) total += parts[i].n;
  ln_buf_fail(&b, ln_buf_reserve(&b, total));
  for (size_t i = 0; i < n; i++) ln_buf_append_str(&b, parts[i]);
  return reparse(&b, m);
}

static struct ln_msg *build(const struct ln_str *parts, size_t n) {
  struct ln_msg *m = NULL;
  return put_together(parts, n, &m) ? NULL : m;
}

/* The reply that needs no memory: it is there from the start, and stays. */
static struct ln_msg *out_of_memory(void) {
  static const char text[] =
      "{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":"
      "{\"code\":-32603,\"message\":\"Out of memory\"}}";
  enum { JSONRPC = 11, ID = 22, ERROR = 32, END = sizeof text - 2, MANY = LN_BYTES_ALWAYS };
  static _Thread_local union {
    struct ln_bytes bytes;
    char room[sizeof(struct ln_bytes) + sizeof text];
  } block;
  static _Thread_local struct ln_msg m;
  char *p = block.bytes.data;
  if (m.refs < MANY) {
    block.bytes.refs = MANY;
    block.bytes.len = sizeof text - 1;
    memcpy(p, text, sizeof text - 1);
    m = (struct ln_msg){.refs = MANY,
                        .kind = LN_MSG_ERROR,
                        .bytes = &block.bytes,
                        .text = {p, sizeof text - 1},
                        .jsonrpc = {p + JSONRPC, 5},
                        .id = {p + ID, 1},
                        .error = {p + ERROR, END - ERROR}};
  }
  return ln_msg_ref(&m);
}

struct ln_msg *ln_msg_result(struct ln_str result) {
  const struct ln_str parts[] = {LN_STR_LIT("{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":"), result,
                                 LN_STR_LIT("}")};
  struct ln_msg *m = NULL;
  int rc = put_together(parts, LN_COUNT(parts), &m);
  return rc == LN_ENOMEM ? out_of_memory() : rc ? NULL : m;
}

struct ln_msg *ln_msg_error_raw(struct ln_str error) {
  const struct ln_str parts[] = {LN_STR_LIT("{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":"), error,
                                 LN_STR_LIT("}")};
  return build(parts, LN_COUNT(parts));
}

struct ln_msg *ln_msg_error(int code, const char *message, struct ln_str data) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_buf_printf(&b, "{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":{\"code\":%d,\"message\":", code);
  ln_json_quote(&b, ln_str_c(message));
  if (data.p) ln_buf_append_c(&b, ",\"data\":");
  ln_buf_append_str(&b, data);
  ln_buf_append_c(&b, "}}");
  struct ln_msg *m = NULL;
  int rc = reparse(&b, &m);
  return rc == LN_ENOMEM ? out_of_memory() : rc ? NULL : m;
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
