/* CORS; see cors.h. */
#include "proxy/http/cors.h"

#include "proxy/http/respond.h"

enum { MAX_LINES = 64 * 1024 }; /* more than a head can ask for */

static bool header_given(const struct ln_http_head *head, const char *name, struct ln_str *value) {
  unsigned count;
  *value = ln_http_header(head, name, &count);
  return count > 0;
}

bool ln_cors_expose(struct ln_http_request *r, struct ln_str origin) {
  struct ln_buf lines;
  ln_buf_init(&lines, MAX_LINES);
  int rc = ln_buf_append_c(&lines, "Access-Control-Allow-Origin: ");
  if (!rc) rc = ln_buf_append_str(&lines, origin);
  if (!rc)
    rc = ln_buf_append_c(
        &lines,
        "\r\nVary: Origin\r\n"
        "Access-Control-Expose-Headers: Mcp-Session-Id, WWW-Authenticate, Retry-After\r\n");
  if (!rc) rc = ln_http_reply_lines(r, ln_buf_str(&lines));
  ln_buf_deinit(&lines);
  if (rc) ln_http_request_abort(r);
  return !rc;
}

bool ln_cors_asks(const struct ln_http_head *head) {
  struct ln_str ignored;
  return ln_str_is(head->method, "OPTIONS") &&
         header_given(head, "access-control-request-method", &ignored);
}

/* Every header is allowed that could be one: what matters is who sends it, and policies may read
 * any (ctx.headers). */
void ln_cors_answer(struct ln_http_request *r, const char *methods) {
  struct ln_buf lines;
  struct ln_str asked;
  ln_buf_init(&lines, MAX_LINES);
  int rc = ln_buf_append_c(&lines, "Access-Control-Max-Age: 600\r\nAccess-Control-Allow-Methods: ");
  if (!rc) rc = ln_buf_append_c(&lines, methods);
  if (!rc) rc = ln_buf_append_c(&lines, "\r\n");
  if (!rc && header_given(r->head, "access-control-request-headers", &asked)) {
    rc = ln_buf_append_c(&lines, "Access-Control-Allow-Headers: ");
    if (!rc) rc = ln_http_tokens_copy(asked, &lines);
    if (!rc) rc = ln_buf_append_c(&lines, "\r\n");
  }
  if (!rc) rc = ln_buf_append(&lines, "", 1);
  if (rc)
    ln_http_request_abort(r);
  else
    ln_respond(r, 204, NULL, lines.data, LN_STR_NONE);
  ln_buf_deinit(&lines);
}
