/* What the fuzzers of stream parsers share: input handed over in pieces, each in a block of its
 * own that is gone afterwards, and a record of what came out to compare with. */
#ifndef LN_FUZZ_CUTS_H
#define LN_FUZZ_CUTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* A broken property: said, then a crash for the fuzzer to see. */
#define MUST(c)                                                       \
  do {                                                                \
    if (!(c)) {                                                       \
      fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #c); \
      abort();                                                        \
    }                                                                 \
  } while (0)

/* How to cut: 0 not at all, 1 into bytes, else into pieces that the number decides. */
struct cuts {
  uint64_t how;
};

static inline size_t cuts_next(struct cuts *c, size_t left) {
  if (c->how == 0) return left;
  if (c->how == 1) return 1;
  c->how = c->how * 6364136223846793005u + 1442695040888963407u;
  unsigned r = (unsigned)(c->how >> 33);
  size_t n = r & 3 ? 1 + (r >> 2) % 7 : 1 + (r >> 2) % 200;
  return n < left ? n : left;
}

struct record {
  char *p;
  size_t n, cap;
};

static inline void record_add(struct record *r, const void *p, size_t n) {
  if (r->cap - r->n < n) {
    r->cap = (r->cap + n) * 2;
    r->p = realloc(r->p, r->cap);
    MUST(r->p);
  }
  if (n) memcpy(r->p + r->n, p, n);
  r->n += n;
}
/* An entry with its kind and its length, so that no two records look the same by chance. */
static inline void record_entry(struct record *r, char kind, const void *p, size_t n) {
  record_add(r, &kind, 1);
  record_add(r, &n, sizeof n);
  record_add(r, p, n);
}
static inline void record_str(struct record *r, char kind, struct ln_str s) {
  record_entry(r, s.p ? kind : (char)(kind + 1), s.p, s.n);
}
static inline bool record_same(const struct record *a, const struct record *b) {
  return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}
static inline void record_free(struct record *r) {
  free(r->p);
  *r = (struct record){0};
}

/* A copy in a block of just its size: reading past its end shows. */
static inline char *piece(const uint8_t *p, size_t n) {
  char *copy = malloc(n ? n : 1);
  MUST(copy);
  if (n) memcpy(copy, p, n);
  return copy;
}

#endif
