/* The codec: its buffers, the path to the current value, and error messages; see value.h. */
#include "script/value.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

enum { SCRATCH_MAX = 1 << 30 };

void ln_codec_init(struct ln_codec *c, size_t max_bytes) {
  *c = (struct ln_codec){
      .max_bytes = max_bytes, .array_mt = LUA_NOREF, .origins = LUA_NOREF, .spellings = LUA_NOREF};
  ln_buf_init(&c->text, max_bytes);
  ln_buf_init(&c->scratch, SCRATCH_MAX);
  ln_buf_init(&c->keys, SCRATCH_MAX);
  ln_buf_init(&c->members, SCRATCH_MAX);
  ln_buf_init(&c->pending, SCRATCH_MAX);
  ln_buf_init(&c->edits, SCRATCH_MAX);
}

void ln_codec_deinit(struct ln_codec *c) {
  ln_buf_deinit(&c->text);
  ln_buf_deinit(&c->scratch);
  ln_buf_deinit(&c->keys);
  ln_buf_deinit(&c->members);
  ln_buf_deinit(&c->pending);
  ln_buf_deinit(&c->edits);
}

double ln_value_number(struct ln_codec *c, struct ln_str raw) {
  return ln_json_double(raw, &c->scratch);
}

/* Writes the path to the current value at the beginning of the fault; the middle of a long one is
 * left out. */
static size_t put_path(struct ln_codec *c) {
  size_t room = LN_VALUE_FAULT / 2;
  size_t n = (size_t)snprintf(c->fault, sizeof c->fault, "%.60s", c->root);
  for (unsigned i = 0; i < c->depth && n < room; i++) {
    if (i == 8 && c->depth > 12) {
      n += (size_t)snprintf(c->fault + n, LN_VALUE_FAULT - n, "…");
      i = c->depth - 3;
    }
    const struct ln_value_step *s = &c->path[i];
    if (s->key)
      n += (size_t)snprintf(c->fault + n, LN_VALUE_FAULT - n, "%s%.*s", n ? "." : "",
                            (int)LN_MIN(s->len, 40), s->key);
    else
      n += (size_t)snprintf(c->fault + n, LN_VALUE_FAULT - n, "[%zu]", s->index);
  }
  return n;
}

int ln_value_fault(struct ln_codec *c, const char *fmt, ...) {
  size_t n = put_path(c);
  if (n < LN_VALUE_FAULT)
    n += (size_t)snprintf(c->fault + n, LN_VALUE_FAULT - n, "%s", n ? ": " : "");
  va_list ap;
  va_start(ap, fmt);
  if (n < LN_VALUE_FAULT) vsnprintf(c->fault + n, LN_VALUE_FAULT - n, fmt, ap);
  va_end(ap);
  return LN_ESCRIPT;
}

void ln_value_begin(struct ln_codec *c, const char *root) {
  ln_buf_clear(&c->text);
  ln_buf_clear(&c->keys);
  ln_buf_clear(&c->members);
  ln_buf_clear(&c->pending);
  ln_buf_clear(&c->edits);
  c->depth = c->trying = 0;
  c->steps = c->extra = 0;
  c->comparing = c->unordered = c->surveyed = false;
  c->optional = NULL;
  c->root = root;
}

int ln_value_finish(struct ln_codec *c, int rc) {
  if (rc && rc != LN_ESCRIPT) ln_value_fault(c, "%s", ln_err_text(rc));
  return rc ? LN_ESCRIPT : LN_OK;
}

int ln_value_enter(struct ln_codec *c, struct ln_value_step step) {
  if (c->depth == LN_VALUE_DEPTH)
    return ln_value_fault(c, "nested more than %d deep (a table that contains itself?)",
                          LN_VALUE_DEPTH);
  c->path[c->depth++] = step;
  return LN_OK;
}

void ln_value_leave(struct ln_codec *c) {
  c->depth--;
}
