/* Numbers there and back: eight bytes are a double, which must be written as JSON, read back as
 * itself and have no digit too many; any bytes are an integer exactly when the C library and the
 * grammar say so. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "json_fuzz.h"

static size_t significant(const char *s) {
  char digits[64];
  size_t n = 0, from = 0;
  for (; *s && *s != 'e'; s++)
    if (*s >= '0' && *s <= '9') digits[n++] = *s;
  while (n && digits[n - 1] == '0') n--;
  while (from < n && digits[from] == '0') from++;
  return n - from;
}

static void writes(double d) {
  struct ln_buf b;
  ln_buf_init(&b, 64);
  int rc = ln_json_number(&b, d);
  if (!isfinite(d)) {
    MUST(rc == LN_EINVALID && b.len == 0);
    return;
  }
  MUST(rc == LN_OK && b.len < 32);
  char text[64], shorter[64];
  memcpy(text, b.data, b.len);
  text[b.len] = '\0';
  enum ln_json_type type;
  MUST(proven(ln_buf_str(&b), &type) && type == LN_JSON_NUMBER);
  double back = strtod(text, NULL);
  MUST(memcmp(&back, &d, sizeof d) == 0);
  if (fabs(d) <= 0x1p53 && d == trunc(d)) {
    snprintf(shorter, sizeof shorter, "%.0f", d);
    MUST(strcmp(text, shorter) == 0);
  }
  size_t n = significant(text);
  if (n > 1) {
    snprintf(shorter, sizeof shorter, "%.*e", (int)n - 2, d);
    MUST(strtod(shorter, NULL) != d);
  }
  int64_t i;
  if (ln_json_int(ln_buf_str(&b), &i)) MUST((double)i == d);
  ln_buf_deinit(&b);
}

static void reads(struct ln_str s) {
  int64_t got = 42;
  bool ok = ln_json_int(s, &got);
  enum ln_json_type type;
  bool number = proven(s, &type) && type == LN_JSON_NUMBER && strchr("-0123456789", s.p[0]) &&
                s.p[s.n - 1] >= '0' && s.p[s.n - 1] <= '9';
  char text[64] = "";
  if (s.n < sizeof text && s.n) memcpy(text, s.p, s.n);
  bool integer = number && s.n < sizeof text && !strpbrk(text, ".eE") && strcmp(text, "-0") != 0;
  errno = 0;
  long long expected = integer ? strtoll(text, NULL, 10) : 0;
  MUST(ok == (integer && errno == 0));
  MUST(got == (ok ? expected : 42));
  if (ok) {
    snprintf(text, sizeof text, "%" PRId64, got);
    MUST(ln_str_is(s, text));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  double d;
  for (size_t i = 0; i + sizeof d <= size && i < 64; i += sizeof d) {
    memcpy(&d, data + i, sizeof d);
    writes(d);
  }
  struct ln_str s = copy_of((struct ln_str){(const char *)data, size});
  reads(s);
  /* Text as people write it makes doubles of few digits. */
  char text[64] = "";
  if (size && size < sizeof text) {
    memcpy(text, data, size);
    writes(strtod(text, NULL));
  }
  free((void *)s.p);
  return 0;
}
