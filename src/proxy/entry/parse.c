/* Limits on clients' messages, and the error for a text that is none; see parse.h. */
#include "proxy/entry/parse.h"

#include <stdio.h>

struct ln_msg_limits ln_parse_limits(const struct ln_host *h) {
  const struct ln_settings *s = &h->settings;
  return (struct ln_msg_limits){
      .json = {.max_bytes = s->max_message_bytes, .max_depth = s->max_depth, .max_members = 65536},
      .strict = true};
}

struct ln_bytes *ln_parse_fault(struct ln_msg_fault *f) {
  struct ln_buf b;
  ln_buf_init(&b, 64 * 1024);
  ln_buf_append_c(&b, "{\"jsonrpc\":\"2.0\",");
  if (f->id_bytes && f->id_bytes->len < 1024)
    ln_buf_printf(&b, "\"id\":%.*s,", (int)f->id_bytes->len, f->id_bytes->data);
  ln_buf_printf(&b, "\"error\":{\"code\":%d,\"message\":", f->code ? f->code : -32603);
  ln_json_quote(&b, ln_str_c(*f->text ? f->text : "Internal error"));
  ln_buf_append_c(&b, "}}");
  ln_bytes_unref(f->id_bytes);
  f->id_bytes = NULL;
  return ln_buf_finish(&b);
}
