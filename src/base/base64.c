/* See base64.h. */
#include "base/base64.h"

static const char digits[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

size_t ln_base64_size(enum ln_base64 form, size_t n) {
  if (form == LN_BASE64) return (n + 2) / 3 * 4;
  return n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
}

void ln_base64_write(enum ln_base64 form, const void *bytes, size_t n, char *to) {
  const unsigned char *p = bytes;
  const char *end = to + ln_base64_size(form, n);
  uint32_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < n; i++) {
    bits = bits << 8 | p[i];
    held += 8;
    while (held >= 6) {
      held -= 6;
      *to++ = digits[form][bits >> held & 63];
    }
  }
  if (held) *to++ = digits[form][bits << (6 - held) & 63];
  while (to < end) *to++ = '=';
}

static int digit(enum ln_base64 form, char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == digits[form][62] ? 62 : c == digits[form][63] ? 63 : -1;
}

/* Bits that count for nothing must be zero: else there would be other spellings of the same bytes.
 */
bool ln_base64_read(enum ln_base64 form, struct ln_str text, void *to, size_t *n) {
  unsigned char *out = to;
  uint32_t bits = 0;
  unsigned held = 0;
  if (form == LN_BASE64) {
    if (text.n % 4 != 0) return false;
    for (int pads = 0; pads < 2 && text.n && text.p[text.n - 1] == '='; pads++) text.n--;
  }
  for (size_t i = 0; i < text.n; i++) {
    int d = digit(form, text.p[i]);
    if (d < 0) return false;
    bits = bits << 6 | (uint32_t)d;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    *out++ = (unsigned char)(bits >> held);
  }
  *n = (size_t)(out - (unsigned char *)to);
  return text.n % 4 != 1 && (bits & ((1u << held) - 1)) == 0;
}
