/* A source container on its way to its edits: see value_walk.h. */
#include "script/value_walk.h"

#include <stdlib.h>

/* An edit whose text still lies in the codec's growing buffer. */
struct ln_value_edit {
  struct ln_str at;
  size_t off, len;
};

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

/* --- the outcome --- */

static int by_place(const void *a, const void *b) {
  const struct ln_value_edit *x = a, *y = b;
  return x->at.p == y->at.p ? (x->at.n > y->at.n) - (x->at.n < y->at.n)
                            : (x->at.p > y->at.p) - (x->at.p < y->at.p);
}

int ln_walk_lay_over(struct ln_codec *c, struct ln_str src, size_t from, size_t off) {
  struct ln_value_edit *e = (struct ln_value_edit *)(void *)(c->pending.data + from);
  size_t n = (c->pending.len - from) / sizeof *e, made = c->text.len;
  const char *at = src.p;
  int rc = LN_OK;
  if (n > 1) qsort(e, n, sizeof *e, by_place);
  for (size_t i = 0; i < n && rc == LN_OK; i++) {
    rc = ln_buf_append(&c->text, at, (size_t)(e[i].at.p - at));
    if (rc == LN_OK) rc = ln_buf_reserve(&c->text, e[i].len); /* its own bytes: before they move */
    if (rc == LN_OK && e[i].len) rc = ln_buf_append(&c->text, c->text.data + e[i].off, e[i].len);
    at = e[i].at.p + e[i].at.n;
  }
  if (rc == LN_OK) rc = ln_buf_append(&c->text, at, (size_t)(src.p + src.n - at));
  if (rc) return rc;
  memmove(c->text.data + off, c->text.data + made, c->text.len - made);
  c->text.len -= made - off;
  c->pending.len = from;
  return LN_OK;
}

int ln_walk_edits(struct ln_codec *c, struct ln_edit **edits, size_t *count) {
  struct ln_value_edit *pending = (struct ln_value_edit *)(void *)c->pending.data;
  size_t n = c->pending.len / sizeof *pending;
  if (n && c->unordered) qsort(pending, n, sizeof *pending, by_place);
  for (size_t i = 0; i < n; i++) {
    struct ln_edit e = {pending[i].at, {c->text.data + pending[i].off, pending[i].len}};
    if (!pending[i].len) e.with = LN_STR_LIT("");
    int rc = ln_buf_append(&c->edits, (const char *)&e, sizeof e);
    if (rc) return rc;
  }
  *edits = (struct ln_edit *)(void *)c->edits.data;
  *count = n;
  return LN_OK;
}
