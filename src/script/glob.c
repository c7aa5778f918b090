/* Globs over names: '*', '?', sets and escapes, over bytes. One place to go back to (the last star)
 * is enough, so the time is at most the product of both lengths, never exponential. */
#include "script/policy.h"

/* A set at g (past its '['): true with *next past the ']' when there is one; a '[' that is never
 * closed stands for itself. */
static bool set_at(const char *g, unsigned char c, const char **next, bool *in) {
  bool negated = *g == '!' || *g == '^';
  if (negated) g++;
  *in = negated;
  for (const char *first = g; *g && (*g != ']' || g == first);) {
    if (*g == '\\' && g[1]) g++;
    unsigned char from = (unsigned char)*g++, to = from;
    if (*g == '-' && g[1] && g[1] != ']') {
      g++;
      if (*g == '\\' && g[1]) g++;
      to = (unsigned char)*g++;
    }
    if (c >= from && c <= to) *in = !negated;
  }
  *next = g + 1;
  return *g == ']';
}

/* One byte against the glob's next item, which is no star. */
static bool one(const char **glob, unsigned char c) {
  const char *g = *glob, *next;
  bool in;
  if (*g == '\0') return false;
  if (*g == '[' && set_at(g + 1, c, &next, &in)) {
    *glob = next;
    return in;
  }
  bool any = *g == '?';
  if (*g == '\\' && g[1]) g++;
  *glob = g + 1;
  return any || (unsigned char)*g == c;
}

bool ln_glob_match(const char *glob, struct ln_str s) {
  const char *after_star = NULL;
  size_t i = 0, mark = 0;
  while (i < s.n) {
    if (*glob == '*') {
      after_star = ++glob;
      mark = i;
    } else if (one(&glob, (unsigned char)s.p[i])) {
      i++;
    } else if (after_star) {
      glob = after_star;
      i = ++mark;
    } else {
      return false;
    }
  }
  while (*glob == '*') glob++;
  return *glob == '\0';
}
