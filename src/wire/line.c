/* Lines out of bytes; see line.h.
 *
 * A line that lies whole in the input is copied once, into a block of its size. Only one that
 * is cut by the input's end goes through `held`. Every byte is looked at once.
 * Invariant: held never ends a call with more than max_line bytes, but for one CR that may
 * yet turn out to belong to the line end. */
#include "wire/line.h"

/* The length of a line without the CR of its line end. */
static size_t without_cr(const char *p, size_t n) {
  return n && p[n - 1] == '\r' ? n - 1 : n;
}

void ln_line_init(struct ln_line *l, size_t max_line) {
  *l = (struct ln_line){.skipping = false};
  ln_buf_init(&l->held, max_line < SIZE_MAX ? max_line + 1 : max_line);
}

void ln_line_deinit(struct ln_line *l) {
  ln_buf_deinit(&l->held);
}

/* Puts a part of a line behind what is held. A line over the limit, or one there is no memory
 * for, is given up here and now; what comes of it up to its LF is then dropped. */
static int hold(struct ln_line *l, const char *p, size_t n, bool ended) {
  int rc = ln_buf_append(&l->held, p, n);
  size_t max = l->held.max - 1;
  if (rc == LN_OK && without_cr(l->held.data, l->held.len) > max) rc = LN_ELIMIT;
  if (rc == LN_OK) return LN_OK;
  ln_buf_deinit(&l->held);
  l->skipping = !ended;
  return rc;
}

/* A whole line of which n bytes are at p and the beginning, if any, is held. LN_EAGAIN when it
 * is empty. */
static int finish(struct ln_line *l, const char *p, size_t n, struct ln_bytes **frame) {
  if (!l->held.len) {
    n = without_cr(p, n);
    if (!n) return LN_EAGAIN;
    if (n > l->held.max - 1) return LN_ELIMIT;
    *frame = ln_bytes_copy(p, n);
    return *frame ? LN_OK : LN_ENOMEM;
  }
  int rc = hold(l, p, n, true);
  if (rc) return rc;
  l->held.len = without_cr(l->held.data, l->held.len);
  if (!l->held.len) return LN_EAGAIN;
  *frame = ln_buf_take(&l->held);
  return *frame ? LN_OK : LN_ENOMEM;
}

int ln_line_next(struct ln_line *l, struct ln_str *data, struct ln_bytes **frame) {
  while (data->n) {
    const char *p = data->p, *lf = memchr(p, '\n', data->n);
    size_t n = lf ? (size_t)(lf - p) : data->n;
    size_t used = lf ? n + 1 : n;
    bool skipping = l->skipping;
    data->p += used;
    data->n -= used;
    if (lf) l->skipping = false;
    if (skipping) continue;
    int rc = LN_EAGAIN;
    if (lf)
      rc = finish(l, p, n, frame);
    else
      rc = hold(l, p, n, false) ?: LN_EAGAIN;
    if (rc != LN_EAGAIN) return rc;
  }
  return LN_EAGAIN;
}
