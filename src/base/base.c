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

/* Eight bytes at once: where they differ it must be by the bit of the case, and in a letter. */
static bool same_letters(const char *a, const char *b) {
  const uint64_t ones = 0x0101010101010101, highs = ones * 0x80, case_bits = ones * 0x20;
  uint64_t x, y;
  memcpy(&x, a, 8);
  memcpy(&y, b, 8);
  if (x == y) return true;
  if ((x ^ y) & ~case_bits) return false;
  uint64_t low = (x | case_bits) & ~highs; /* seven bits a byte: sums don't reach the next one */
  uint64_t from_a = low + ones * (0x80 - 'a'), past_z = low + ones * (0x7f - 'z');
  uint64_t letters = from_a & ~past_z & ~x & highs;
  return !((x ^ y) << 2 & ~letters);
}

bool ln_str_ieq(struct ln_str a, struct ln_str b) {
  if (a.n != b.n) return false;
  if (a.n < 8) {
    for (size_t i = 0; i < a.n; i++)
      if (lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
  }
  for (size_t i = 0; i + 8 < a.n; i += 8)
    if (!same_letters(a.p + i, b.p + i)) return false;
  return same_letters(a.p + a.n - 8, b.p + b.n - 8);
}

struct ln_str ln_str_trim(struct ln_str s) {
  while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s.p++, s.n--;
  while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
  return s;
}
