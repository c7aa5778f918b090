/* Fuzzes wire/line: the lines are those that a plain reading of the whole input finds, however
 * it is cut. The first byte chooses the limit, the second the cuts, the rest is the input. */
#include "wire/line.h"
#include "cuts.h"

static void run(const uint8_t *p, size_t n, size_t max, struct cuts cuts, struct record *out) {
  struct ln_line l;
  ln_line_init(&l, max);
  for (size_t at = 0; at < n;) {
    size_t len = cuts_next(&cuts, n - at);
    char *copy = piece(p + at, len);
    struct ln_str data = {copy, len};
    struct ln_bytes *frame;
    int rc;
    while ((rc = ln_line_next(&l, &data, &frame)) != LN_EAGAIN) {
      MUST(rc == LN_OK || rc == LN_ELIMIT);
      record_entry(out, rc == LN_OK ? 'l' : '!', rc == LN_OK ? frame->data : NULL,
                   rc == LN_OK ? frame->len : 0);
      if (rc == LN_OK) ln_bytes_unref(frame);
    }
    MUST(data.n == 0);
    MUST(l.held.len <= max + 1);
    free(copy);
    at += len;
  }
  ln_line_deinit(&l);
}

/* What line.h says, in the simplest words. */
static void reference(const uint8_t *p, size_t n, size_t max, struct record *out) {
  for (size_t at = 0; at < n;) {
    size_t end = at;
    while (end < n && p[end] != '\n') end++;
    size_t len = end - at;
    if (len && p[end - 1] == '\r') len--;
    if (len > max)
      record_entry(out, '!', NULL, 0);
    else if (len && end < n)
      record_entry(out, 'l', p + at, len);
    at = end + 1;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  size_t max = data[0] % 64, n = size - 2;
  size_t live = ln_bytes_live();
  struct record expected = {0};
  reference(data + 2, n, max, &expected);
  const uint64_t hows[] = {0, 1, 2 + (uint64_t)data[1]};
  for (size_t i = 0; i < LN_COUNT(hows); i++) {
    struct record got = {0};
    run(data + 2, n, max, (struct cuts){hows[i]}, &got);
    MUST(record_same(&got, &expected));
    record_free(&got);
  }
  record_free(&expected);
  MUST(ln_bytes_live() == live);
  return 0;
}
