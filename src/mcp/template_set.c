/* Rows are sorted by owner and by the text they begin with; those that have the same are a group.
 * All groups whose text a URI begins with lie on one way up: from the last group that doesn't come
 * after the URI to the longest text that this group's begins with, and so on. See template_set.h.
 */
#include "mcp/template_set.h"

#include <stdlib.h>

#include "mcp/places.h"

enum { NONE = -1 };

struct ln_template_row {
  const void *owner;
  struct ln_str literal, text;
  size_t order; /* in which it was added */
  void *value;
  ptrdiff_t head, up; /* first rows: of its group; of the next group on the way up, or NONE */
};

void ln_templates_init(struct ln_templates *set) {
  *set = (struct ln_templates){NULL, 0, 0};
}

void ln_templates_deinit(struct ln_templates *set) {
  free(set->rows);
  ln_templates_init(set);
}

int ln_templates_add(struct ln_templates *set, const void *owner, struct ln_str t, void *value) {
  if (t.n > LN_TEMPLATE_MAX) return LN_OK; /* it matches nothing */
  if (set->n == set->cap) {
    size_t cap = set->cap ? set->cap * 2 : 8;
    struct ln_template_row *rows = realloc(set->rows, cap * sizeof *rows);
    if (!rows) return LN_ENOMEM;
    set->rows = rows;
    set->cap = cap;
  }
  set->rows[set->n] =
      (struct ln_template_row){owner, ln_template_literal(t), t, set->n, value, NONE, NONE};
  set->n++;
  return LN_OK;
}

/* Where (owner, literal) is in the order of groups, seen from a row: before it, in it, behind it.
 */
static int compare(const void *owner, struct ln_str literal, const struct ln_template_row *row) {
  uintptr_t mine = (uintptr_t)owner, other = (uintptr_t)row->owner;
  if (mine != other) return mine < other ? -1 : 1;
  size_t n = LN_MIN(literal.n, row->literal.n);
  int c = n ? memcmp(literal.p, row->literal.p, n) : 0;
  return c ? c : literal.n < row->literal.n ? -1 : literal.n > row->literal.n;
}

static int by_group(const void *a, const void *b) {
  const struct ln_template_row *x = a, *y = b;
  int c = compare(x->owner, x->literal, y);
  return c ? c : x->order < y->order ? -1 : x->order > y->order;
}

static bool begins(const void *owner, struct ln_str s, const struct ln_template_row *row) {
  size_t n = row->literal.n;
  return owner == row->owner && s.n >= n && (!n || memcmp(s.p, row->literal.p, n) == 0);
}

void ln_templates_seal(struct ln_templates *set) {
  if (set->n) qsort(set->rows, set->n, sizeof *set->rows, by_group);
  ptrdiff_t head = NONE;
  for (size_t i = 0; i < set->n; i++) {
    struct ln_template_row *row = &set->rows[i];
    if (head == NONE || compare(row->owner, row->literal, &set->rows[head]) != 0) {
      while (head != NONE && !begins(row->owner, row->literal, &set->rows[head]))
        head = set->rows[head].up;
      row->up = head;
      head = (ptrdiff_t)i;
    }
    row->head = head;
  }
}

/* The first group on the way up that uri begins with, or NONE. */
static ptrdiff_t nearest(const struct ln_templates *set, const void *owner, struct ln_str uri,
                         uint64_t *steps) {
  size_t lo = 0, hi = set->n, same = 0;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (compare(owner, uri, &set->rows[mid]) >= 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  if (lo == 0 || set->rows[lo - 1].owner != owner) return NONE;
  ptrdiff_t i = set->rows[lo - 1].head;
  struct ln_str last = set->rows[i].literal;
  while (same < last.n && same < uri.n && last.p[same] == uri.p[same]) same++;
  uint64_t way = 64 + same;
  for (; i != NONE && set->rows[i].literal.n > same; i = set->rows[i].up) way++;
  ln_places_spend(steps, way);
  return i;
}

bool ln_templates_near(const struct ln_templates *set, const void *owner, struct ln_str uri) {
  return nearest(set, owner, uri, NULL) != NONE;
}

/* The first row of this group that matches, but none added after `best`. */
static const struct ln_template_row *first_of(const struct ln_templates *set, ptrdiff_t head,
                                              const struct ln_places *uri,
                                              const struct ln_template_row *best, uint64_t *steps) {
  for (size_t i = (size_t)head; i < set->n && set->rows[i].head == head; i++) {
    const struct ln_template_row *row = &set->rows[i];
    if ((best && best->order < row->order) || (steps && !*steps)) break;
    if (ln_template_match_in(row->text, uri, steps)) return row;
  }
  return best;
}

int ln_templates_find(const struct ln_templates *set, const void *owner, struct ln_str uri,
                      uint64_t *steps, void **value) {
  struct ln_places places;
  ptrdiff_t head = nearest(set, owner, uri, steps);
  if (head == NONE) return LN_ENOTFOUND;
  if (uri.n > LN_TEMPLATE_URI_MAX) return LN_ELIMIT;
  int rc = ln_places_init(&places, uri, steps);
  if (rc) return rc;
  const struct ln_template_row *best = NULL;
  for (; head != NONE; head = set->rows[head].up) best = first_of(set, head, &places, best, steps);
  ln_places_deinit(&places);
  if (steps && !*steps) return LN_ELIMIT;
  if (best) *value = best->value;
  return best ? LN_OK : LN_ENOTFOUND;
}
