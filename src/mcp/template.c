/* Matching keeps the set of places in the URI that the template read so far may end at, and moves
 * it over the template's pieces one after the other. Nothing is ever tried twice, so hostile
 * templates cost no more than a product of lengths. See template.h. */
#include "mcp/template.h"

/* An expression in braces. */
struct expr {
  char sign;     /* what a run of it starts with; 0: anything */
  bool segment;  /* no '/' in it */
  bool optional; /* may stand for nothing */
  size_t len;    /* in the template, braces and all */
};

/* False when there is no well-formed expression at t, which starts with a '{'. */
static bool read_expr(struct ln_str t, struct expr *e) {
  size_t close = 1;
  while (close < t.n && t.p[close] != '}' && t.p[close] != '{') close++;
  if (close == t.n || t.p[close] != '}') return false;
  char op = t.p[1];
  bool sign = memchr("#./;?&", op, 6) != NULL;
  bool any = sign || op == '+' || t.p[close - 1] == '*';
  size_t first = sign || op == '+' ? 2 : 1, last = t.p[close - 1] == '*' ? close - 1 : close;
  if (first >= last) return false;
  *e = (struct expr){.sign = sign ? op : 0, .segment = !any, .optional = any, .len = close + 1};
  return true;
}

/* places[i]: the template so far can end before uri[i]. Now it has `text` more. */
static void move_over_text(bool *places, struct ln_str uri, struct ln_str text) {
  for (size_t i = uri.n + 1; i-- > 0;)
    places[i] =
        i >= text.n && places[i - text.n] && memcmp(uri.p + i - text.n, text.p, text.n) == 0;
}

static void move_over_expr(bool *places, struct ln_str uri, const struct expr *e) {
  bool inside = false; /* a run has begun and may go on to here */
  bool before = places[0];
  if (!e->optional) places[0] = false;
  for (size_t i = 1; i <= uri.n; i++) {
    char c = uri.p[i - 1];
    bool starts = before && (!e->sign || c == e->sign);
    inside = (inside || starts) && !(e->segment && c == '/');
    before = places[i];
    places[i] = inside || (e->optional && before);
  }
}

bool ln_template_match(struct ln_str t, struct ln_str uri) {
  if (t.n > LN_TEMPLATE_MAX || uri.n > LN_TEMPLATE_URI_MAX) return false;
  bool places[LN_TEMPLATE_URI_MAX + 1];
  memset(places, 0, uri.n + 1);
  places[0] = true;
  for (size_t i = 0, end; i < t.n; i = end) {
    for (end = i; end < t.n && t.p[end] != '{' && t.p[end] != '}'; end++) continue;
    if (end > i) {
      struct ln_str text = {t.p + i, end - i};
      /* Most templates differ from most URIs in their first bytes. */
      if (i == 0 && (uri.n < text.n || memcmp(uri.p, text.p, text.n) != 0)) return false;
      move_over_text(places, uri, text);
      continue;
    }
    struct expr e;
    if (t.p[i] == '}' || !read_expr((struct ln_str){t.p + i, t.n - i}, &e)) return false;
    move_over_expr(places, uri, &e);
    end = i + e.len;
  }
  return places[uri.n];
}
