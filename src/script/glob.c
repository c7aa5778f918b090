/* Globs over names: '*', '?', sets and escapes, over bytes; a line break ends one and begins the
 * next of a list. One place to go back to (the last star) is enough, so the time is at most the
 * product of both lengths, never exponential. */
#include "script/glob.h"

static bool at_end(const char *g) {
  return *g == '\0' || *g == '\n';
}

/* A set at g (past its '['): true with *next past the ']' when there is one; a '[' that is never
 * closed stands for itself. */
static bool set_at(const char *g, unsigned char c, const char **next, bool *in) {
  bool negated = *g == '!' || *g == '^';
  if (negated) g++;
  *in = negated;
  for (const char *first = g; !at_end(g) && (*g != ']' || g == first);) {
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
  if (at_end(g)) return false;
  if (*g == '[' && set_at(g + 1, c, &next, &in)) {
    *glob = next;
    return in;
  }
  bool any = *g == '?';
  if (*g == '\\' && g[1]) g++;
  *glob = g + 1;
  return any || (unsigned char)*g == c;
}

static bool match_one(const char *glob, struct ln_str s) {
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
  return at_end(glob);
}

bool ln_glob_match(const char *glob, struct ln_str s) {
  for (;; glob++) {
    if (match_one(glob, s)) return true;
    glob = strchr(glob, '\n');
    if (!glob) return false;
  }
}
