/* Templates against a second reading: a slow one by recursion with a memory, which says the same.
 * The input is a template and, after the first NUL, a URI. */
#include <stdlib.h>

#include "json_fuzz.h"
#include "mcp/template.h"

enum { SMALL = 96 };

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
  MUST(!rc && (ln_template_match(t, ln_buf_str(&b)) || t.n > LN_TEMPLATE_MAX));
  ln_buf_deinit(&b);
}

/* What is taken apart and put together again is what it was. */
static void take_apart(struct ln_str t, struct ln_str u, bool matches) {
  size_t n = 0;
  for (size_t i = 0; i < t.n; i++) n += t.p[i] == '{';
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  int rc = ln_template_convert(t, t, u, &b);
  MUST(!rc == (matches && n <= LN_TEMPLATE_PARTS));
  /* The same expression twice may have stood for two things. */
  struct ln_template_parts parts;
  size_t at = 0;
  if (!rc && ln_template_split(t, u, &parts)) {
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > FUZZ_MAX) return 0;
  char *copy = malloc(size + 1);
  memcpy(copy, data, size);
  copy[size] = 0;
  struct ln_str t = {copy, strlen(copy)}, u = {copy + size, 0};
  if (t.n < size) u = (struct ln_str){copy + t.n + 1, size - t.n - 1};
  bool said = ln_template_match(t, u), good = well_formed(t);
  take_apart(t, u, said);
  if (!good) MUST(!said);
  if (good) expand(t);
  if (!memchr(t.p, '{', t.n) && !memchr(t.p, '}', t.n) && t.n <= LN_TEMPLATE_MAX)
    MUST(ln_template_match(t, t));
  if (good && t.n <= SMALL && u.n <= SMALL) {
    struct second *s = calloc(1, sizeof *s);
    s->t = t;
    s->u = u;
    MUST(match(s, 0, 0) == said);
    free(s);
  }
  free(copy);
  return 0;
}
