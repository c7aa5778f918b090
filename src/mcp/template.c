/* Matching by the classic two-pointer walk of globs: only the last expression that can stretch is
 * ever reconsidered, so hostile templates cost no more than a product of lengths. */
#include "mcp/template.h"

/* What an expression may stand for. */
struct expr {
  bool any;   /* any character, else none of "/?#" */
  bool empty; /* the empty run too */
  size_t len; /* in the template, braces and all */
};

/* False when there is no well-formed expression at t. */
static bool read_expr(struct ln_str t, struct expr *e) {
  const char *close = memchr(t.p, '}', t.n);
  if (!close || close == t.p + 1) return false;
  char op = t.p[1];
  bool op_given = strchr("+#./;?&", op) != NULL;
  bool star = close[-1] == '*';
  *e = (struct expr){
      .any = op_given || star, .empty = op_given || star, .len = (size_t)(close - t.p) + 1};
  return true;
}

static bool fits(const struct expr *e, char c) {
  return e->any || !strchr("/?#", c);
}

bool ln_template_match(struct ln_str t, struct ln_str uri) {
  size_t ti = 0, ui = 0;
  bool have = false;
  struct expr last = {0};
  size_t after = 0, taken_to = 0; /* where to go on when the last expression takes one more */
  for (;;) {
    if (ti < t.n && t.p[ti] == '{') {
      if (!read_expr((struct ln_str){t.p + ti, t.n - ti}, &last)) return false;
      ti += last.len;
      if (!last.empty) {
        if (ui == uri.n || !fits(&last, uri.p[ui])) goto back;
        ui++;
      }
      have = true;
      after = ti;
      taken_to = ui;
      continue;
    }
    if (ti == t.n && ui == uri.n) return true;
    if (ti < t.n && ui < uri.n && t.p[ti] == uri.p[ui]) {
      ti++;
      ui++;
      continue;
    }
  back:
    if (!have || taken_to >= uri.n || !fits(&last, uri.p[taken_to])) return false;
    ui = ++taken_to;
    ti = after;
  }
}
