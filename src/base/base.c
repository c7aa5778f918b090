/* The parts of the string slice that are not inline, and the end at a broken invariant. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

void ln_fatal(const char *file, int line, const char *what) {
  fprintf(stderr, "lunette: %s:%d: broken invariant: %s\n", file, line, what);
  abort();
}

size_t ln_digits(char *out, uint64_t n, unsigned base) {
  char reversed[LN_DIGITS];
  size_t len = 0;
  do {
    reversed[len++] = "0123456789abcdef"[n % base];
    n /= base;
  } while (n);
  for (size_t i = 0; i < len; i++) out[i] = reversed[len - 1 - i];
  return len;
}

void *ln_zalloc(size_t n) {
  void *p = malloc(n);
  if (!p) return NULL;
  __asm__("" : "+r"(p)); /* else compilers make calloc out of the two */
  return memset(p, 0, n);
}

static unsigned char lower(char c) {
  return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Nearly always the two differ at once or are the same bytes: eight at a time tell which. */
bool ln_str_ieq(struct ln_str a, struct ln_str b) {
  if (a.n != b.n) return false;
  const uint64_t case_bits = 0x2020202020202020u;
  size_t i = 0;
  for (; a.n - i >= 8; i += 8) {
    uint64_t x, y;
    memcpy(&x, a.p + i, 8);
    memcpy(&y, b.p + i, 8);
    if (x == y) continue;
    if ((x ^ y) & ~case_bits) return false;
    for (size_t k = i; k < i + 8; k++)
      if (lower(a.p[k]) != lower(b.p[k])) return false;
  }
  for (; i < a.n; i++)
    if (lower(a.p[i]) != lower(b.p[i])) return false;
  return true;
}

bool ln_str_iis(struct ln_str a, const char *lit) {
  return ln_str_ieq(a, ln_str_c(lit));
}

struct ln_str ln_str_trim(struct ln_str s) {
  while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s.p++, s.n--;
  while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
  return s;
}
