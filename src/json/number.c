/* Numbers to and from text. The C library's conversions are exact but write and expect the
 * locale's decimal point, and a policy may set a locale: so only digits and exponents are
 * taken from it and given to it, never a point. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json/json.h"

enum { MAX_DIGITS = 17, NUMBER_BYTES = 64 };

/* d = 0.DIGITS * 10^point, digits without zeros at the end. */
struct decimal {
  char digits[MAX_DIGITS + 1];
  int n;
  int point;
};

static double read_back(const struct decimal *dec) {
  char text[MAX_DIGITS + 16];
  snprintf(text, sizeof text, "%.*se%d", dec->n, dec->digits, dec->point - dec->n);
  return strtod(text, NULL);
}

/* d, which is positive, rounded to n digits. */
static struct decimal round_to(double d, int n) {
  struct decimal dec = {.n = 0};
  char text[MAX_DIGITS + 16];
  snprintf(text, sizeof text, "%.*e", n - 1, d);
  const char *p = text;
  for (; *p != 'e'; p++)
    if (*p >= '0' && *p <= '9' && dec.n < MAX_DIGITS) dec.digits[dec.n++] = *p;
  dec.point = atoi(p + 1) + 1;
  while (dec.n > 1 && dec.digits[dec.n - 1] == '0') dec.n--;
  return dec;
}

/* The next decimal of as many digits, away from zero. */
static void step_up(struct decimal *dec, int n) {
  while (dec->n < n) dec->digits[dec->n++] = '0';
  int i = n - 1;
  while (i >= 0 && dec->digits[i] == '9') dec->digits[i--] = '0';
  if (i >= 0) {
    dec->digits[i]++;
  } else {
    dec->digits[0] = '1';
    dec->point++;
  }
  while (dec->n > 1 && dec->digits[dec->n - 1] == '0') dec->n--;
}

/* The fewest digits that read back as d (positive, finite). 15 digits survive the way through
 * a normal double, so if 15 or fewer do, rounding to 15 finds them; below the normal range
 * nothing is promised and every length is tried. Above a power of two doubles lie twice as
 * far apart as below: there the second nearest decimal may read back when the nearest, which
 * lies below, does not. */
static struct decimal shortest(double d) {
  for (int n = d < 0x1p-1022 ? 1 : 15; n < MAX_DIGITS; n++) {
    struct decimal dec = round_to(d, n);
    if (read_back(&dec) == d) return dec;
    step_up(&dec, n);
    if (read_back(&dec) == d) return dec;
  }
  return round_to(d, MAX_DIGITS);
}

/* Plain notation where it takes at most 21 digits before or 6 zeros after the point (what
 * JavaScript does too), else d.ddde±x. */
static size_t layout(const struct decimal *dec, char *out) {
  int n = dec->n, point = dec->point, k = 0;
  if (point > -6 && point <= 21) {
    if (point <= 0) out[k++] = '0', out[k++] = '.';
    for (int i = point; i < 0; i++) out[k++] = '0';
    for (int i = 0; i < n || i < point; i++) {
      if (i == point && i > 0) out[k++] = '.';
      out[k++] = i < n ? dec->digits[i] : '0';
    }
    return (size_t)k;
  }
  out[k++] = dec->digits[0];
  if (n > 1) out[k++] = '.';
  for (int i = 1; i < n; i++) out[k++] = dec->digits[i];
  return (size_t)(k + sprintf(out + k, "e%d", point - 1));
}

int ln_json_number(struct ln_buf *out, double d) {
  if (!isfinite(d)) return ln_buf_fail(out, LN_EINVALID);
  char text[48];
  size_t n = 0;
  if (signbit(d)) text[n++] = '-';
  d = fabs(d);
  if (d <= 0x1p53 && d == (double)(uint64_t)d) {
    char reversed[20];
    int k = 0;
    uint64_t i = (uint64_t)d;
    do reversed[k++] = (char)('0' + i % 10);
    while (i /= 10);
    while (k) text[n++] = reversed[--k];
  } else {
    struct decimal dec = shortest(d);
    n += layout(&dec, text + n);
  }
  return ln_buf_append(out, text, n);
}

bool ln_json_int(struct ln_str raw, int64_t *out) {
  if (!raw.p) return false;
  bool negative = raw.n && raw.p[0] == '-';
  size_t i = negative, n = raw.n - i;
  if (n == 0 || n > 19 || (raw.p[i] == '0' && (n > 1 || negative))) return false;
  uint64_t v = 0; /* 19 digits fit */
  for (; i < raw.n; i++) {
    unsigned digit = (unsigned char)raw.p[i] - (unsigned)'0';
    if (digit > 9) return false;
    v = v * 10 + digit;
  }
  if (v > (uint64_t)INT64_MAX + negative) return false;
  *out = negative ? (int64_t)(0 - v) : (int64_t)v;
  return true;
}

/* The text without its point, as digits and an exponent: the C library's strtod expects the
 * locale's point, and a policy may set a locale. */
static void without_point(struct ln_str raw, char *out) {
  const char *p = raw.p, *end = raw.p + raw.n;
  long shift = 0;
  bool fraction = false;
  for (; p < end && *p != 'e' && *p != 'E'; p++) {
    if (*p == '.') {
      fraction = true;
      continue;
    }
    *out++ = *p;
    if (fraction) shift--;
  }
  long exponent = 0;
  if (p < end) {
    p++;
    bool minus = *p == '-';
    if (*p == '-' || *p == '+') p++;
    /* Far beyond what a double holds it no longer matters how far. */
    for (; p < end; p++)
      if (exponent < 100000000) exponent = exponent * 10 + (*p - '0');
    if (minus) exponent = -exponent;
  }
  snprintf(out, 24, "e%ld", exponent + shift);
}

double ln_json_double(struct ln_str raw, struct ln_buf *scratch) {
  int64_t n;
  if (raw.n <= 15 && ln_json_int(raw, &n)) return (double)n;
  char small[NUMBER_BYTES + 24], *text = small;
  if (raw.n > NUMBER_BYTES) {
    if (scratch) ln_buf_clear(scratch);
    /* Without room for a number of such length its first digits are near enough. */
    if (!scratch || ln_buf_reserve(scratch, raw.n + 24))
      raw.n = NUMBER_BYTES;
    else
      text = scratch->data;
  }
  without_point(raw, text);
  return strtod(text, NULL);
}
