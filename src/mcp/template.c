/* Matching keeps the set of places in the URI that the template read so far may end at, and moves
 * it over the template's pieces one after the other. Nothing is ever tried twice, so hostile
 * templates cost no more than their length times that of the URI in words. See template.h. */
#include "mcp/template.h"

#include <stdlib.h>

#include "mcp/places.h"

/* An expression in braces: a segment's worth, or nothing or any run that begins with the sign. */
struct expr {
  char sign;     /* 0: any byte */
  bool segment;  /* one or more bytes, no '/' among them */
  size_t prefix; /* {x:n}: at most so many characters; 0: any number */
  size_t len;    /* in the template, braces and all */
};

/* n of {x:n}, 0 without. */
static size_t prefix_of(struct ln_str inside) {
  const char *colon = memchr(inside.p, ':', inside.n);
  size_t n = 0;
  for (const char *p = colon ? colon + 1 : inside.p + inside.n; p < inside.p + inside.n; p++) {
    if (*p < '0' || *p > '9' || n > LN_TEMPLATE_URI_MAX) return 0;
    n = n * 10 + (size_t)(*p - '0');
  }
  return n;
}

/* False when there is no well-formed expression at t, which starts with a '{'. */
static bool read_expr(struct ln_str t, struct expr *e) {
  size_t close = 1;
  while (close < t.n && t.p[close] != '}' && t.p[close] != '{') close++;
  if (close == t.n || t.p[close] != '}') return false;
  char op = t.p[1];
  bool sign = memchr("#./;?&", op, 6) != NULL;
  bool any = sign || op == '+' || memchr(t.p + 1, '*', close - 1) != NULL;
  size_t first = sign || op == '+' ? 2 : 1, last = t.p[close - 1] == '*' ? close - 1 : close;
  if (first >= last) return false;
  *e = (struct expr){.sign = sign ? op : 0,
                     .segment = !any,
                     .prefix = prefix_of((struct ln_str){t.p + first, last - first}),
                     .len = close + 1};
  return true;
}

struct ln_str ln_template_literal(struct ln_str t) {
  size_t n = 0;
  while (n < t.n && t.p[n] != '{' && t.p[n] != '}') n++;
  return (struct ln_str){t.p, n};
}

size_t ln_template_expressions(struct ln_str t) {
  size_t n = 0;
  for (size_t i = 0; i < t.n; i++) n += t.p[i] == '{';
  return n;
}

static void over_expr(const struct ln_places *u, struct ln_place_set *s, const struct expr *e,
                      uint64_t *steps) {
  /* Names are read, too. */
  ln_places_spend(steps, e->len / 16);
  if (e->segment)
    ln_places_over_segment(u, s, steps);
  else
    ln_places_over_any(u, s, e->sign, steps);
}

bool ln_template_match_in(struct ln_str t, const struct ln_places *u, uint64_t *steps) {
  uint64_t bits[LN_TEMPLATE_URI_MAX / 64 + 1];
  size_t start = ln_template_literal(t).n;
  struct ln_place_set s = {bits, start / 64, start / 64 + 1};
  memset(bits, 0, u->words * sizeof *bits);
  bits[s.lo] = 1ull << (start % 64);
  ln_places_spend(steps, 8 + start / 16 + u->words / 4);
  for (size_t i = start, end; i < t.n && s.lo < s.hi && !(steps && !*steps); i = end) {
    struct ln_str text = ln_template_literal((struct ln_str){t.p + i, t.n - i});
    end = i + text.n;
    if (text.n) {
      ln_places_over_text(u, &s, text, steps);
      continue;
    }
    struct expr e;
    if (t.p[i] == '}' || !read_expr((struct ln_str){t.p + i, t.n - i}, &e)) return false;
    over_expr(u, &s, &e, steps);
    end = i + e.len;
  }
  return s.lo < s.hi && ln_places_has(bits, u->uri.n) && !(steps && !*steps);
}

static bool begins_with(struct ln_str s, struct ln_str start) {
  return s.n >= start.n && (!start.n || memcmp(s.p, start.p, start.n) == 0);
}

/* Most templates differ from most URIs in their first bytes. */
static bool may_match(struct ln_str t, struct ln_str uri) {
  return t.n <= LN_TEMPLATE_MAX && uri.n <= LN_TEMPLATE_URI_MAX &&
         begins_with(uri, ln_template_literal(t));
}

bool ln_template_match(struct ln_str t, struct ln_str uri, uint64_t *steps) {
  struct ln_places u;
  if (!may_match(t, uri) || ln_places_init(&u, uri, steps)) return false;
  bool yes = ln_template_match_in(t, &u, steps);
  ln_places_deinit(&u);
  return yes;
}

/* --- taking apart --- */

/* Texts and expressions by turns. */
struct piece {
  struct ln_str at; /* in the template */
  bool text;
  struct expr e;
};

enum { MAX_PIECES = 2 * LN_TEMPLATE_PARTS + 1 };

/* The number of pieces, 0 when there are too many or the template is malformed. */
static size_t read_pieces(struct ln_str t, struct piece *pieces) {
  size_t n = 0, exprs = 0;
  for (size_t i = 0, end; i < t.n; i = end) {
    if (n == MAX_PIECES) return 0;
    struct piece *p = &pieces[n++];
    *p = (struct piece){0};
    end = i + ln_template_literal((struct ln_str){t.p + i, t.n - i}).n;
    p->text = end > i;
    if (!p->text) {
      if (exprs++ == LN_TEMPLATE_PARTS || t.p[i] == '}' ||
          !read_expr((struct ln_str){t.p + i, t.n - i}, &p->e))
        return 0;
      end = i + p->e.len;
    }
    p->at = (struct ln_str){t.p + i, end - i};
  }
  return n;
}

/* The end of the first n characters from i on: an escape of three bytes is one byte of them. */
static size_t skip_chars(struct ln_str uri, size_t i, size_t n) {
  while (i < uri.n) {
    bool escape = uri.p[i] == '%' && i + 2 < uri.n;
    bool inner = escape ? strchr("89abAB", uri.p[i + 1]) != NULL && uri.p[i + 1]
                        : ((unsigned char)uri.p[i] & 0xc0) == 0x80;
    if (!inner && n-- == 0) break;
    i += escape ? 3 : 1;
  }
  return i;
}

/* Whether what comes next is an expression or text with this sign. */
static bool begins(const struct piece *p, const struct piece *end, char sign) {
  return p < end && (p->text ? p->at.p[0] == sign : p->e.sign == sign);
}

/* Where a run of the expression from i on had best end by: what is meant for later pieces is
 * theirs.
 */
static size_t limit_of(const struct piece *p, const struct piece *end, struct ln_str uri,
                       size_t i) {
  size_t limit = uri.n;
  for (size_t k = 0; k < 2; k++) {
    const char sign = "#?"[k];
    bool later = false;
    for (const struct piece *q = p + 1; q < end; q++) later |= begins(q, end, sign);
    const char *found = later && p->e.sign != '#' ? memchr(uri.p + i, sign, limit - i) : NULL;
    if (found && p->e.sign != sign) limit = (size_t)(found - uri.p);
  }
  if (p->e.prefix) return LN_MIN(limit, skip_chars(uri, i, p->e.prefix));
  const char *next = NULL;
  bool again = p->e.sign && i < limit; /* its own sign is not the next one's */
  struct ln_str rest = {uri.p + i + again, limit - i - again};
  if (begins(p + 1, end, ';') && !p[1].text) next = memchr(rest.p, ';', rest.n);
  if (begins(p + 1, end, '.') && !p[1].text) next = memrchr(rest.p, '.', rest.n);
  return next ? (size_t)(next - uri.p) : limit;
}

/* The end of the piece that begins at i: the furthest that is not past its limit, else the nearest
 * past it. after: the places from where on what follows the piece can make the rest. */
static size_t end_of(const struct piece *p, const struct piece *end, const uint64_t *after,
                     struct ln_str uri, size_t i) {
  if (p->text) return i + p->at.n;
  if (p->e.sign && (i == uri.n || uri.p[i] != p->e.sign)) return i;
  const char *slash = p->e.segment ? memchr(uri.p + i, '/', uri.n - i) : NULL;
  size_t most = slash ? (size_t)(slash - uri.p) : uri.n, limit = limit_of(p, end, uri, i);
  size_t furthest = ln_places_last(after, i + 1, LN_MIN(limit, most));
  if (furthest != SIZE_MAX) return furthest;
  if (!p->e.segment && ln_places_has(after, i)) return i;
  return ln_places_first(after, LN_MAX(limit, i) + 1, most);
}

/* rows[k]: the places from where on the pieces from the kth on can make the rest of the URI. */
static void reach(const struct piece *pieces, size_t n, const struct ln_places *u, uint64_t *rows,
                  uint64_t *steps) {
  struct ln_place_set s = {rows + n * u->words, u->uri.n / 64, u->words};
  s.bits[s.lo] = 1ull << (u->uri.n % 64);
  for (size_t k = n; k-- > 0;) {
    const struct piece *p = &pieces[k];
    s.bits = memcpy(rows + k * u->words, s.bits, u->words * sizeof *rows);
    if (p->text)
      ln_places_back_text(u, &s, p->at, steps);
    else if (p->e.segment)
      ln_places_back_segment(u, &s, steps);
    else
      ln_places_back_any(u, &s, p->e.sign, steps);
    /* With what finding its end takes on the way on. */
    ln_places_spend(steps, 4 + n / 4 + 2 * u->words + LN_MIN(p->e.prefix, u->uri.n));
  }
}

static bool split(const struct piece *pieces, size_t n, const struct ln_places *u,
                  struct ln_template_parts *parts, uint64_t *steps) {
  uint64_t *rows = calloc((n + 1) * u->words, sizeof *rows);
  if (!rows) return false;
  reach(pieces, n, u, rows, steps);
  bool yes = ln_places_has(rows, 0) && !(steps && !*steps);
  for (size_t k = 0, at = 0, next; k < n && yes; k++, at = next) {
    next = end_of(&pieces[k], pieces + n, rows + (k + 1) * u->words, u->uri, at);
    if (pieces[k].text) continue;
    parts->part[parts->n].expr = (struct ln_str){pieces[k].at.p + 1, pieces[k].at.n - 2};
    parts->part[parts->n++].text = (struct ln_str){u->uri.p + at, next - at};
  }
  free(rows);
  return yes;
}

bool ln_template_split(struct ln_str t, struct ln_str uri, struct ln_template_parts *parts,
                       uint64_t *steps) {
  struct piece pieces[MAX_PIECES];
  struct ln_places u;
  parts->n = 0;
  if (!may_match(t, uri)) return false;
  size_t n = read_pieces(t, pieces);
  if (!n) return t.n == 0 && uri.n == 0;
  if (ln_places_init(&u, uri, steps)) return false;
  bool yes = split(pieces, n, &u, parts, steps);
  ln_places_deinit(&u);
  return yes;
}

int ln_template_convert(struct ln_str from, struct ln_str to, struct ln_str uri, struct ln_buf *out,
                        uint64_t *steps) {
  struct ln_template_parts parts;
  struct piece pieces[MAX_PIECES];
  size_t n = read_pieces(to, pieces);
  if ((!n && to.n) || !ln_template_split(from, uri, &parts, steps))
    return steps && !*steps ? LN_ELIMIT : LN_ENOTFOUND;
  for (size_t k = 0; k < n; k++) {
    struct ln_str text = pieces[k].at, expr = {text.p + 1, text.n - 2};
    size_t i = 0;
    while (!pieces[k].text && i < parts.n && !ln_str_eq(parts.part[i].expr, expr)) i++;
    if (!pieces[k].text && i == parts.n) return LN_ENOTFOUND;
    ln_buf_append_str(out, pieces[k].text ? text : parts.part[i].text);
  }
  return ln_buf_error(out);
}
