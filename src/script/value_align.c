/* Which element of an edited array is which of its source; see value_align.h.
 *
 * An element that a policy took out, put in or moved must not make all that follow look edited. So
 * the two are aligned first. A table that is known to have been made of an element is paired with
 * it, as long as that goes forward through the source; one that would go back was moved: it is put
 * in with the bytes of the element it was made of, which is cut where it was.
 *
 * Between those, and when nothing is known (scalars, copies): while one side has more elements left
 * than the other, an element that differs is looked for among as many of the following as there
 * are too many; once both have as many left, or no more comparisons can be afforded, they are
 * paired in order, which is still right, only less faithful. */
#include "script/value_align.h"

#include <lua.h>

#include "script/value_origin.h"
#include "script/value_walk.h"

/* Whether source element i is equal to the table's k-th. */
static bool equal(lua_State *L, struct ln_codec *c, const struct ln_align *a, size_t i, size_t k) {
  size_t steps = c->steps++, extra = c->extra;
  if (!ln_walk_affords(c)) return false;
  c->steps_max = steps + (c->extra_max - extra);
  struct ln_value_member m = *ln_walk_member(c, a->base, i);
  size_t members = c->members.len;
  unsigned depth = c->depth;
  int top = lua_gettop(L);
  c->comparing = true;
  lua_rawgeti(L, a->idx, (int)k);
  int rc = a->compare(L, c, m.value, m.type, top + 1);
  c->comparing = false;
  lua_settop(L, top);
  c->members.len = members;
  c->depth = depth;
  if (rc) ln_walk_charge(c, steps, extra);
  return rc == LN_OK;
}

static void pair(struct ln_codec *c, size_t base, size_t i, size_t k, bool same) {
  struct ln_value_member *m = ln_walk_member(c, base, i);
  m->at = k;
  m->same = same;
}

LN_THROWS size_t ln_align_source(struct lua_State *L, struct ln_codec *c, const struct ln_align *a,
                                 size_t k) {
  lua_rawgeti(L, a->idx, (int)k);
  const char *at = lua_istable(L, -1) ? ln_origin_in_whole(L, c, lua_gettop(L)) : NULL;
  lua_pop(L, 1);
  size_t low = 0, high = at ? a->n : 0;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (ln_walk_member(c, a->base, middle)->value.p < at)
      low = middle + 1;
    else
      high = middle;
  }
  return at && low < a->n && ln_walk_member(c, a->base, low)->value.p == at ? low : a->n;
}

/* The first of the source elements i..i+most that is equal to the table's k-th; or i + most + 1.
 */
static size_t find_in_source(lua_State *L, struct ln_codec *c, const struct ln_align *a, size_t i,
                             size_t k, size_t most) {
  size_t at = i;
  while (at <= i + most && !equal(L, c, a, at, k)) at = ln_walk_affords(c) ? at + 1 : i + most + 1;
  return at;
}

/* The same among the table's k..k+most for the source's i-th. */
static size_t find_in_table(lua_State *L, struct ln_codec *c, const struct ln_align *a, size_t i,
                            size_t k, size_t most) {
  size_t at = k;
  while (at <= k + most && !equal(L, c, a, i, at)) at = ln_walk_affords(c) ? at + 1 : k + most + 1;
  return at;
}

/* Pairs source elements i..n with equal ones of the table's k..m; drops those without one.
 */
static void align_unknown(lua_State *L, struct ln_codec *c, const struct ln_align *a, size_t i,
                          size_t n, size_t k, size_t m) {
  while (i < n && k <= m && n - i != m - k + 1 && ln_walk_affords(c)) {
    size_t here = n - i, there = m - k + 1, at;
    bool found;
    if (here > there) {
      at = find_in_source(L, c, a, i, k, here - there);
      found = at <= i + (here - there);
      while (found && i < at) ln_walk_member(c, a->base, i++)->drop = true;
    } else {
      at = find_in_table(L, c, a, i, k, there - here);
      found = at <= k + (there - here);
      if (found) k = at;
    }
    pair(c, a->base, i++, k++, found);
  }
  for (; i < n && k <= m; i++, k++) pair(c, a->base, i, k, false);
  for (; i < n; i++) ln_walk_member(c, a->base, i)->drop = true;
}

/* The same where some were moved: those are not paired with others. */
static void align_around(lua_State *L, struct ln_codec *c, const struct ln_align *a, size_t i,
                         size_t n, size_t k, size_t m) {
  bool moved = false;
  for (size_t j = i; j < n && !moved; j++) moved = ln_walk_member(c, a->base, j)->claimed;
  for (size_t j = k; j <= m && !moved; j++) moved = ln_align_source(L, c, a, j) < a->n;
  if (!moved) {
    align_unknown(L, c, a, i, n, k, m);
    return;
  }
  for (; i < n; i++) {
    struct ln_value_member *s = ln_walk_member(c, a->base, i);
    while (!s->claimed && k <= m && ln_align_source(L, c, a, k) < a->n) k++;
    if (s->claimed || k > m)
      s->drop = true;
    else
      pair(c, a->base, i, k++, false);
  }
}

LN_THROWS void ln_align(struct lua_State *L, struct ln_codec *c, const struct ln_align *a,
                        size_t *rest) {
  size_t known = 0, i = 0, k = 1;
  /* Comparing asks for equal values in equal order, whatever they were made of. */
  for (size_t j = 1; j <= a->m && !c->comparing; j++) {
    size_t s = ln_align_source(L, c, a, j);
    if (s == a->n) continue;
    ln_walk_member(c, a->base, s)->claimed = true;
    known++;
  }
  for (size_t j = 1; known && j <= a->m; j++) {
    size_t s = ln_align_source(L, c, a, j);
    if (s == a->n || s < i) continue;
    align_around(L, c, a, i, s, k, j - 1);
    pair(c, a->base, s, j, false);
    ln_walk_member(c, a->base, s)->used = true;
    i = s + 1;
    k = j + 1;
  }
  if (known)
    align_around(L, c, a, i, a->n, k, a->m);
  else
    align_unknown(L, c, a, i, a->n, k, a->m);
  *rest = 1;
  for (i = 0; i < a->n; i++) {
    struct ln_value_member *s = ln_walk_member(c, a->base, i);
    if (s->drop) continue;
    s->before = s->at - *rest;
    *rest = s->at + 1;
  }
}
