/* The parts of the string slice that are not inline. */
#include "base/base.h"

static unsigned char lower(char c) {
  return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool ln_str_ieq(struct ln_str a, struct ln_str b) {
  if (a.n != b.n) return false;
  for (size_t i = 0; i < a.n; i++)
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
