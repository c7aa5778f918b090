/* Arrays laid over their source, and the cutting and appending that objects share with them.
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
#include <lauxlib.h>
#include <lua.h>

#include "script/value_walk.h"

LN_THROWS void ln_walk_push_name(struct lua_State *L, struct ln_codec *c, struct ln_str name) {
  ln_value_push_string(L, c, (struct ln_str){name.p - 1, name.n + 2});
}

struct ln_value_member *ln_walk_member(struct ln_codec *c, size_t base, size_t i) {
  return (struct ln_value_member *)(void *)(c->members.data + base) + i;
}

static int edit(struct ln_codec *c, const char *from, const char *to, size_t off, size_t len) {
  struct ln_value_edit e = {{from, (size_t)(to - from)}, off, len};
  return ln_buf_append(&c->pending, (const char *)&e, sizeof e);
}

int ln_walk_edit(struct ln_codec *c, const char *from, const char *to, size_t off) {
  return edit(c, from, to, off, c->text.len - off);
}

static const char *start_of(const struct ln_value_member *m) {
  return m->name.p ? m->name.p - 1 : m->value.p;
}

static const char *end_of(const struct ln_value_member *m) {
  return m->value.p + m->value.n;
}

int ln_walk_cut(struct ln_codec *c, struct ln_walk *w, size_t *i) {
  size_t first = *i, next = first;
  while (next < w->n && ln_walk_member(c, w->base, next)->drop) next++;
  *i = next;
  bool last = next == w->n;
  const char *from = w->kept ? w->kept : start_of(ln_walk_member(c, w->base, first));
  const char *to = w->kept || last ? end_of(ln_walk_member(c, w->base, next - 1))
                                   : start_of(ln_walk_member(c, w->base, next));
  w->tail_done |= last;
  return edit(c, from, to, w->tail_off, last ? w->tail_len : 0);
}

int ln_walk_cut_all(struct ln_codec *c, size_t base, size_t n) {
  struct ln_walk w = {.base = base, .n = n};
  int rc = LN_OK;
  for (size_t i = 0; i < n && rc == LN_OK;) {
    if (ln_walk_member(c, base, i)->drop)
      rc = ln_walk_cut(c, &w, &i);
    else
      w.kept = end_of(ln_walk_member(c, base, i++));
  }
  return rc;
}

int ln_walk_tail(struct ln_codec *c, struct ln_walk *w, struct ln_str container) {
  if (!w->tail_len || w->tail_done) return LN_OK;
  const char *at = w->kept ? w->kept : container.p + 1;
  return edit(c, at, at, w->tail_off, w->tail_len);
}

/* --- aligning --- */

/* Whether source element i is equal to the table's k-th. */
static bool equal(lua_State *L, struct ln_codec *c, size_t base, size_t i, int idx, size_t k) {
  size_t steps = c->steps++, extra = c->extra;
  if (!ln_walk_affords(c)) return false;
  c->steps_max = steps + (c->extra_max - extra);
  struct ln_value_member m = *ln_walk_member(c, base, i);
  size_t members = c->members.len;
  unsigned depth = c->depth;
  int top = lua_gettop(L);
  c->comparing = true;
  lua_rawgeti(L, idx, (int)k);
  int rc = ln_walk_merge(L, c, m.value, m.type, top + 1);
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

/* One array on its way: n source elements from base on, the table at idx with m elements. */
struct arrays {
  size_t base, n;
  int idx;
  size_t m;
};

/* The source element that the table's k-th was made of; n when none is known. */
static size_t source_of(lua_State *L, struct ln_codec *c, const struct arrays *a, size_t k) {
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

/* The first of the source elements i..i+most that is equal to the table's k-th; i + most + 1: none.
 */
static size_t find_in_source(lua_State *L, struct ln_codec *c, const struct arrays *a, size_t i,
                             size_t k, size_t most) {
  size_t at = i;
  while (at <= i + most && !equal(L, c, a->base, at, a->idx, k))
    at = ln_walk_affords(c) ? at + 1 : i + most + 1;
  return at;
}

/* The same among the table's k..k+most for the source's i-th. */
static size_t find_in_table(lua_State *L, struct ln_codec *c, const struct arrays *a, size_t i,
                            size_t k, size_t most) {
  size_t at = k;
  while (at <= k + most && !equal(L, c, a->base, i, a->idx, at))
    at = ln_walk_affords(c) ? at + 1 : k + most + 1;
  return at;
}

/* Pairs source elements i..n with the table's k..m by what they are equal to; what of the source is
 * paired with nothing is dropped. */
static void align_unknown(lua_State *L, struct ln_codec *c, const struct arrays *a, size_t i,
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

/* The same where some were moved: those are no partners for others. */
static void align_around(lua_State *L, struct ln_codec *c, const struct arrays *a, size_t i,
                         size_t n, size_t k, size_t m) {
  bool moved = false;
  for (size_t j = i; j < n && !moved; j++) moved = ln_walk_member(c, a->base, j)->claimed;
  for (size_t j = k; j <= m && !moved; j++) moved = source_of(L, c, a, j) < a->n;
  if (!moved) {
    align_unknown(L, c, a, i, n, k, m);
    return;
  }
  for (; i < n; i++) {
    struct ln_value_member *s = ln_walk_member(c, a->base, i);
    while (!s->claimed && k <= m && source_of(L, c, a, k) < a->n) k++;
    if (s->claimed || k > m)
      s->drop = true;
    else
      pair(c, a->base, i, k++, false);
  }
}

/* Pairs all; elements of the table from *rest on go to the end. Unless the table is empty something
 * stays: the first whose element is known can be paired with it. */
static void align(lua_State *L, struct ln_codec *c, const struct arrays *a, size_t *rest) {
  size_t known = 0, i = 0, k = 1;
  /* Comparing asks for equal values in equal order, whatever they were made of. */
  for (size_t j = 1; j <= a->m && !c->comparing; j++) {
    size_t s = source_of(L, c, a, j);
    if (s == a->n) continue;
    ln_walk_member(c, a->base, s)->claimed = true;
    known++;
  }
  for (size_t j = 1; known && j <= a->m; j++) {
    size_t s = source_of(L, c, a, j);
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

/* --- putting in --- */

/* The value on top, which was made of the source's s-th, as text. */
static int append_over(lua_State *L, struct ln_codec *c, const struct arrays *a, size_t s) {
  struct ln_value_member m = *ln_walk_member(c, a->base, s); /* the buffer moves meanwhile */
  size_t steps = c->steps, extra = c->extra;
  if (m.used && !ln_walk_affords(c)) return ln_value_append(L, c, lua_gettop(L), false);
  ln_walk_member(c, a->base, s)->used = true;
  int rc = ln_walk_append(L, c, m.value, m.type, lua_gettop(L));
  if (m.used) ln_walk_charge(c, steps, extra);
  return rc;
}

static int append_element(lua_State *L, struct ln_codec *c, const struct arrays *a, size_t k) {
  int rc = ln_value_enter(c, (struct ln_value_step){NULL, 0, k, 0});
  if (rc) return rc;
  size_t s = source_of(L, c, a, k);
  lua_rawgeti(L, a->idx, (int)k);
  if (s < a->n)
    rc = append_over(L, c, a, s);
  else
    rc = ln_value_append(L, c, lua_gettop(L), false);
  lua_pop(L, 1);
  if (rc == LN_OK) ln_value_leave(c);
  return rc;
}

/* Elements k..end of the table as text, each with a comma before or after it. */
static int append_elements(lua_State *L, struct ln_codec *c, const struct arrays *a, size_t k,
                           size_t end, bool comma_before, bool comma_after) {
  int rc = LN_OK;
  for (; k <= end && rc == LN_OK; k++) {
    if (comma_before) rc = ln_buf_append(&c->text, ",", 1);
    comma_before = !comma_after;
    if (rc == LN_OK) rc = append_element(L, c, a, k);
    if (rc == LN_OK && comma_after) rc = ln_buf_append(&c->text, ",", 1);
  }
  return rc;
}

static int merge_element(lua_State *L, struct ln_codec *c, struct ln_value_member m,
                         const struct arrays *a) {
  int rc = LN_OK;
  if (m.before) {
    size_t off = c->text.len;
    rc = append_elements(L, c, a, m.at - m.before, m.at - 1, false, true);
    if (rc == LN_OK) rc = ln_walk_edit(c, m.value.p, m.value.p, off);
  }
  if (rc || m.same) return rc;
  rc = ln_value_enter(c, (struct ln_value_step){NULL, 0, m.at, 0});
  if (rc) return rc;
  lua_rawgeti(L, a->idx, (int)m.at);
  rc = ln_walk_merge(L, c, m.value, m.type, lua_gettop(L));
  lua_pop(L, 1);
  if (rc == LN_OK) ln_value_leave(c);
  return rc;
}

static int read_elements(struct ln_codec *c, struct ln_str src, size_t *n) {
  struct ln_json_cur cur = ln_json_enter(src);
  struct ln_json_item item;
  for (*n = 0; ln_json_next(&cur, &item); (*n)++) {
    struct ln_value_member m = {.value = item.value, .type = item.type};
    int rc = ln_buf_append(&c->members, (const char *)&m, sizeof m);
    if (rc) return rc;
  }
  c->steps += *n + src.n / LN_VALUE_SKIP;
  return LN_OK;
}

LN_THROWS int ln_walk_array(struct lua_State *L, struct ln_codec *c, struct ln_str src, int idx,
                            size_t n) {
  struct ln_walk w = {.base = c->members.len};
  struct arrays a = {.base = w.base, .idx = idx, .m = n};
  size_t rest = n + 1;
  int rc = read_elements(c, src, &w.n);
  a.n = w.n;
  if (rc == LN_OK && c->comparing && w.n != n) rc = LN_EAGAIN;
  if (rc == LN_OK) {
    align(L, c, &a, &rest);
    w.tail_off = c->text.len;
    rc = append_elements(L, c, &a, rest, n, w.n > 0, false);
    w.tail_len = c->text.len - w.tail_off;
  }
  for (size_t i = 0; i < w.n && rc == LN_OK;) {
    struct ln_value_member m = *ln_walk_member(c, w.base, i); /* the buffer moves meanwhile */
    if (m.drop) {
      rc = ln_walk_cut(c, &w, &i);
      continue;
    }
    rc = merge_element(L, c, m, &a);
    w.kept = end_of(&m);
    i++;
  }
  if (rc == LN_OK) rc = ln_walk_tail(c, &w, src);
  c->members.len = w.base;
  return rc;
}
