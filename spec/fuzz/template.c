/* Templates against a second reading: a slow one by recursion with a memory, which says the same;
 * and many of them, by their beginnings, against each of them in turn.
 *
 * The input is templates, a line each, after the first NUL a URI, and after the next how often each
 * line, the lines and the URI are repeated, a byte each: what is long and many is reached by few
 * bytes. Work is counted, and must stay within what is said of it. */
#include <stdlib.h>

#include "json_fuzz.h"
#include "mcp/template_set.h"

enum { SMALL = 150, MOST = 6000 };

/* 0: not known, 1: no, 2: yes. */
struct second {
  struct ln_str t, u;
  uint8_t known[SMALL + 1][SMALL + 1];
};

static bool well_formed(struct ln_str t) {
  for (size_t i = 0; i < t.n; i++) {
    if (t.p[i] == '}') return false;
    if (t.p[i] != '{') continue;
    size_t end = i + 1;
    while (end < t.n && t.p[end] != '{' && t.p[end] != '}') end++;
    if (end == t.n || t.p[end] == '{') return false;
    size_t from = i + 1, to = end;
    if (from < to && t.p[from] && strchr("+#./;?&", t.p[from])) from++;
    if (to > from && t.p[to - 1] == '*') to--;
    if (from >= to) return false;
    i = end;
  }
  return true;
}

static bool match(struct second *s, size_t t, size_t u) {
  if (t == s->t.n) return u == s->u.n;
  if (s->known[t][u]) return s->known[t][u] == 2;
  bool yes = false;
  if (s->t.p[t] != '{') {
    yes = u < s->u.n && s->u.p[u] == s->t.p[t] && match(s, t + 1, u + 1);
  } else {
    size_t close = t;
    while (s->t.p[close] != '}') close++;
    char op = s->t.p[t + 1];
    bool sign = op && strchr("#./;?&", op),
         any = sign || op == '+' || memchr(s->t.p + t + 1, '*', close - t - 1);
    yes = any && match(s, close + 1, u);
    for (size_t end = u + 1; end <= s->u.n && !yes; end++) {
      if (sign && s->u.p[u] != op) break;
      if (!any && s->u.p[end - 1] == '/') break;
      yes = match(s, close + 1, end);
    }
  }
  s->known[t][u] = yes ? 2 : 1;
  return yes;
}

/* The URI that comes of putting "v" for every expression, which must match. */
static void expand(struct ln_str t) {
  struct ln_buf b;
  ln_buf_init(&b, 2 * t.n + 16);
  int rc = LN_OK;
  for (size_t i = 0; i < t.n && !rc; i++) {
    if (t.p[i] != '{') {
      rc = ln_buf_append(&b, t.p + i, 1);
      continue;
    }
    char op = t.p[i + 1];
    if (op && strchr("#./;?&", op)) rc = ln_buf_append(&b, &op, 1);
    if (!rc) rc = ln_buf_append_c(&b, "v");
    while (t.p[i] != '}') i++;
  }
  MUST(!rc && (ln_template_match(t, ln_buf_str(&b), NULL) || t.n > LN_TEMPLATE_MAX));
  ln_buf_deinit(&b);
}

/* What is taken apart and put together again is what it was. */
static void take_apart(struct ln_str t, struct ln_str u, bool matches) {
  size_t n = 0;
  for (size_t i = 0; i < t.n; i++) n += t.p[i] == '{';
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  int rc = ln_template_convert(t, t, u, &b, NULL);
  MUST(!rc == (matches && n <= LN_TEMPLATE_PARTS));
  /* The same expression twice may have stood for two things. */
  struct ln_template_parts parts;
  size_t at = 0;
  if (!rc && ln_template_split(t, u, &parts, NULL)) {
    MUST(parts.n == n);
    for (size_t i = 0; i < parts.n; i++) {
      MUST(parts.part[i].text.p >= u.p + at && parts.part[i].text.n <= u.n);
      at = (size_t)(parts.part[i].text.p - u.p) + parts.part[i].text.n;
    }
    MUST(at <= u.n);
    if (n <= 1) MUST(ln_str_eq(ln_buf_str(&b), u));
  }
  ln_buf_deinit(&b);
}

/* What matching may take: the words of the URI for each byte of the template. */
static bool matches(struct ln_str t, struct ln_str u) {
  uint64_t left = UINT64_MAX;
  bool yes = ln_template_match(t, u, &left);
  MUST(UINT64_MAX - left <= 300 + 8 * u.n + (t.n + 10) * (u.n / 64 + 3));
  return yes;
}

static void one(struct ln_str t, struct ln_str u) {
  bool said = matches(t, u), good = well_formed(t);
  take_apart(t, u, said);
  if (!good) MUST(!said);
  if (good) expand(t);
  if (!memchr(t.p, '{', t.n) && !memchr(t.p, '}', t.n) && t.n <= LN_TEMPLATE_MAX)
    MUST(ln_template_match(t, t, NULL));
  if (!good || t.n > SMALL || u.n > SMALL) return;
  struct second *s = calloc(1, sizeof *s);
  s->t = t;
  s->u = u;
  MUST(match(s, 0, 0) == said);
  free(s);
}

static size_t lines_of(struct ln_str text, struct ln_str *lines, size_t max) {
  size_t n = 0;
  for (size_t i = 0, end; i <= text.n && n < max; i = end + 1) {
    for (end = i; end < text.n && text.p[end] != '\n'; end++) continue;
    lines[n++] = (struct ln_str){text.p + i, end - i};
  }
  return n;
}

/* Of two owners by turns. */
static void many(const struct ln_str *lines, size_t n, struct ln_str u) {
  static const char owners[2];
  struct ln_templates set;
  ln_templates_init(&set);
  for (size_t i = 0; i < n; i++)
    MUST(!ln_templates_add(&set, &owners[i % 2], lines[i], (void *)&lines[i]));
  ln_templates_seal(&set);
  for (size_t k = 0; k < 2; k++) {
    const struct ln_str *first = NULL;
    bool near = false;
    for (size_t i = k; i < n; i += 2) {
      struct ln_str start = ln_template_literal(lines[i]);
      near |= lines[i].n <= LN_TEMPLATE_MAX && u.n >= start.n && !memcmp(u.p, start.p, start.n);
      if (!first && ln_template_match(lines[i], u, NULL)) first = &lines[i];
    }
    MUST(ln_templates_near(&set, &owners[k], u) == near);
    void *found = NULL;
    uint64_t left = UINT64_MAX;
    int rc = ln_templates_find(&set, &owners[k], u, &left, &found);
    MUST(first ? !rc && found == first
               : rc == (near && u.n > LN_TEMPLATE_URI_MAX ? LN_ELIMIT : LN_ENOTFOUND));
    /* With fewer steps it gives up, and says nothing else. */
    uint64_t took = UINT64_MAX - left, half = took / 2;
    if (half && !rc) MUST(ln_templates_find(&set, &owners[k], u, &half, &found) == LN_ELIMIT);
  }
  ln_templates_deinit(&set);
}

/* s, n times. */
static struct ln_str repeat(struct ln_str s, size_t n) {
  n = LN_MIN(n, MOST / (s.n + 1) + 1);
  char *all = malloc(s.n * n + 1);
  for (size_t i = 0; i < n; i++) memcpy(all + i * s.n, s.p, s.n);
  all[s.n * n] = 0;
  return (struct ln_str){all, s.n * n};
}

static struct ln_str until_nul(const char **at, const char *end) {
  const char *start = *at, *nul = memchr(start, 0, (size_t)(end - start));
  *at = nul ? nul + 1 : end;
  return (struct ln_str){start, (size_t)((nul ? nul : end) - start)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  enum { MAX_LINES = 120 };
  if (size > FUZZ_MAX || !size) return 0;
  const char *at = (const char *)data, *end = at + size;
  struct ln_str text = until_nul(&at, end), uri = until_nul(&at, end);
  size_t times[3] = {1, 1, 1};
  for (size_t i = 0; i < 3 && at < end; i++) times[i] += (unsigned char)*at++;
  struct ln_str u = repeat(uri, times[2]), lines[MAX_LINES];
  size_t n = lines_of(text, lines, 40), all = 0;
  for (size_t i = 0; i < n; i++) lines[i] = repeat(lines[i], times[0]);
  for (size_t k = 1; k < times[1]; k++)
    for (size_t i = 0; i < n && n * k + i < MAX_LINES; i++) {
      lines[n * k + i] = (struct ln_str){lines[i].p, lines[i].n - LN_MIN(k, lines[i].n)};
      all = n * k + i + 1;
    }
  one(lines[0], u);
  many(lines, LN_MAX(all, n), u);
  for (size_t i = 0; i < n; i++) free((char *)lines[i].p);
  free((char *)u.p);
  return 0;
}
