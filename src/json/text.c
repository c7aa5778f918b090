/* String values as texts of their own. */
#include "json/json.h"

struct ln_bytes *ln_json_text(struct ln_str value) {
  struct ln_str raw = ln_json_inside(value);
  if (!raw.p) return NULL;
  struct ln_buf b;
  ln_buf_init(&b, raw.n * 3 + 16);
  ln_json_unescape(raw, true, &b);
  bool empty = !ln_buf_error(&b) && !b.len;
  struct ln_bytes *text = ln_buf_finish(&b);
  return empty ? ln_bytes_new(0) : text;
}
