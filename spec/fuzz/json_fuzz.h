/* What the fuzzers of JSON share. */
#ifndef LN_JSON_FUZZ_H
#define LN_JSON_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "json/json.h"

#define MUST(c) ((c) ? (void)0 : broken(__FILE__, __LINE__, #c))

static inline void broken(const char *file, int line, const char *what) {
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  abort();
}

enum { FUZZ_MAX = 1 << 20 };

static const struct ln_json_limits fuzz_limits = {
    .max_bytes = FUZZ_MAX, .max_depth = 256, .max_members = 100000};

/* Whether text is valid JSON; its type in *type. */
static inline bool proven(struct ln_str text, enum ln_json_type *type) {
  struct ln_json_info info;
  int rc = ln_json_scan(text, &fuzz_limits, &info);
  *type = info.type;
  return rc == LN_OK;
}

/* A copy in memory of just its size, so that a read past the end is seen. To be freed. */
static inline struct ln_str copy_of(struct ln_str s) {
  char *p = malloc(s.n ? s.n : 1);
  if (!p) abort();
  if (s.n) memcpy(p, s.p, s.n);
  return (struct ln_str){p, s.n};
}

#endif
