/* Matching keeps the set of places in the URI that the template read so far may end at, and moves
 * it over the template's pieces one after the other. Nothing is ever tried twice, so hostile
 * templates cost no more than a product of lengths. See template.h. */
#include "mcp/template.h"

#include <stdlib.h>

/* An expression in braces. */
struct expr {
  char sign;     /* what a run of it starts with; 0: anything */
  bool segment;  /* no '/' in it */
  bool optional; /* may stand for nothing */
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
                     .optional = any,
                     .prefix = prefix_of((struct ln_str){t.p + first, last - first}),
                     .len = close + 1};
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
    for (end = i; end < t.n && t.p[end] != '{' && t.p[end] != '}'; end++) continue;
    struct piece *p = &pieces[n++];
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

/* after[i]: what follows the piece can make uri from i on. Now what the piece begins can. */
static void move_back(const bool *after, bool *before, struct ln_str uri, const struct piece *p) {
  size_t n = p->at.n;
  if (p->text) {
    for (size_t i = 0; i <= uri.n; i++)
      before[i] = i + n <= uri.n && after[i + n] && memcmp(uri.p + i, p->at.p, n) == 0;
    return;
  }
  bool inside = false; /* a run from here on gets to an end */
  for (size_t i = uri.n + 1; i-- > 0;) {
    char c = i < uri.n ? uri.p[i] : 0;
    inside = i < uri.n && (inside || after[i + 1]) && !(p->e.segment && c == '/');
    before[i] = (inside && (!p->e.sign || c == p->e.sign)) || (p->e.optional && after[i]);
  }
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
 * past it. */
static size_t end_of(const struct piece *p, const struct piece *end, const bool *after,
                     struct ln_str uri, size_t i) {
  if (p->text) return i + p->at.n;
  size_t limit = limit_of(p, end, uri, i), furthest = SIZE_MAX;
  if (p->e.optional && after[i]) furthest = i;
  if (p->e.sign && (i == uri.n || uri.p[i] != p->e.sign)) return i;
  for (size_t k = i; k < uri.n && !(p->e.segment && uri.p[k] == '/'); k++) {
    if (!after[k + 1]) continue;
    if (k + 1 > limit && furthest != SIZE_MAX) break;
    furthest = k + 1;
  }
  return furthest;
}

bool ln_template_split(struct ln_str t, struct ln_str uri, struct ln_template_parts *parts) {
  struct piece pieces[MAX_PIECES];
  parts->n = 0;
  if (!ln_template_match(t, uri)) return false;
  size_t n = read_pieces(t, pieces), places = uri.n + 1;
  if (!n) return t.n == 0;
  bool *reach = calloc(n + 1, places);
  if (!reach) return false;
  reach[n * places + uri.n] = true;
  for (size_t k = n; k-- > 0;)
    move_back(reach + (k + 1) * places, reach + k * places, uri, &pieces[k]);
  for (size_t k = 0, at = 0, next; k < n; k++, at = next) {
    next = end_of(&pieces[k], pieces + n, reach + (k + 1) * places, uri, at);
    if (pieces[k].text) continue;
    parts->part[parts->n].expr = (struct ln_str){pieces[k].at.p + 1, pieces[k].at.n - 2};
    parts->part[parts->n++].text = (struct ln_str){uri.p + at, next - at};
  }
  free(reach);
  return true;
}

int ln_template_convert(struct ln_str from, struct ln_str to, struct ln_str uri,
                        struct ln_buf *out) {
  struct ln_template_parts parts;
  struct piece pieces[MAX_PIECES];
  size_t n = read_pieces(to, pieces);
  if ((!n && to.n) || !ln_template_split(from, uri, &parts)) return LN_ENOTFOUND;
  for (size_t k = 0; k < n; k++) {
    struct ln_str text = pieces[k].at, expr = {text.p + 1, text.n - 2};
    size_t i = 0;
    while (!pieces[k].text && i < parts.n && !ln_str_eq(parts.part[i].expr, expr)) i++;
    if (!pieces[k].text && i == parts.n) return LN_ENOTFOUND;
    ln_buf_append_str(out, pieces[k].text ? text : parts.part[i].text);
  }
  return ln_buf_error(out);
}
