/* Sets of places in a URI, a bit each: what templates (template.c) are held against it with. Place
 * i is before byte i, place n behind the last; 64 places are moved over a byte or a run in one
 * step. mcp/'s own. */
#ifndef LN_MCP_PLACES_H
#define LN_MCP_PLACES_H

#include "base/base.h"
#include "base/err.h"

/* A URI with the places of each of its bytes. */
struct ln_places {
  struct ln_str uri;
  size_t words;         /* of a set */
  uint64_t *rows;       /* sets: where no '/' is, then one for each byte that the URI has */
  uint16_t row_of[256]; /* 0: the URI hasn't this byte */
};

/* A set: bits outside [lo, hi) are zero. */
struct ln_place_set {
  uint64_t *bits;
  size_t lo, hi; /* words */
};

/* Prepares a URI, which is borrowed. LN_ENOMEM. What it takes, here and below, is taken off *steps;
 * NULL: steps are not counted. */
int ln_places_init(struct ln_places *u, struct ln_str uri, uint64_t *steps) LN_CHECK;
void ln_places_deinit(struct ln_places *u);

/* Each moves a set on, or back, over something. */

/* From before this text to behind it. */
void ln_places_over_text(const struct ln_places *u, struct ln_place_set *s, struct ln_str text,
                         uint64_t *steps);
/* Over one or more bytes that are no '/'. */
void ln_places_over_segment(const struct ln_places *u, struct ln_place_set *s, uint64_t *steps);
/* Over nothing, or over any run that begins with this byte (0: any). */
void ln_places_over_any(const struct ln_places *u, struct ln_place_set *s, char sign,
                        uint64_t *steps);
/* The other way round: from behind it to where it begins. */
void ln_places_back_text(const struct ln_places *u, struct ln_place_set *s, struct ln_str text,
                         uint64_t *steps);
void ln_places_back_segment(const struct ln_places *u, struct ln_place_set *s, uint64_t *steps);
void ln_places_back_any(const struct ln_places *u, struct ln_place_set *s, char sign,
                        uint64_t *steps);

/* The first and the last place of a set from `from` to `to`, both included; SIZE_MAX: none. */
size_t ln_places_first(const uint64_t *bits, size_t from, size_t to);
size_t ln_places_last(const uint64_t *bits, size_t from, size_t to);

static inline bool ln_places_has(const uint64_t *bits, size_t i) {
  return bits[i / 64] >> (i % 64) & 1;
}

/* Takes n steps off; 0 is the end. */
static inline void ln_places_spend(uint64_t *steps, uint64_t n) {
  if (steps) *steps = *steps > n ? *steps - n : 0;
}

#endif
