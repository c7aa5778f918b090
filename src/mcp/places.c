/* Sets of places; see places.h. A row has no bit for place n, so nothing is moved past the end. */
#include "mcp/places.h"

#include <stdlib.h>

int ln_places_init(struct ln_places *u, struct ln_str uri, uint64_t *steps) {
  *u = (struct ln_places){.uri = uri, .words = uri.n / 64 + 1};
  size_t n = 1;
  for (size_t i = 0; i < uri.n; i++) {
    unsigned char c = (unsigned char)uri.p[i];
    if (!u->row_of[c]) u->row_of[c] = (uint16_t)n++;
  }
  u->rows = calloc(n * u->words, sizeof *u->rows);
  if (!u->rows) return LN_ENOMEM;
  ln_places_spend(steps, 128 + 2 * uri.n + n * u->words);
  for (size_t i = 0; i < uri.n; i++) {
    unsigned char c = (unsigned char)uri.p[i];
    uint64_t bit = 1ull << (i % 64);
    u->rows[u->row_of[c] * u->words + i / 64] |= bit;
    if (c != '/') u->rows[i / 64] |= bit;
  }
  return LN_OK;
}

void ln_places_deinit(struct ln_places *u) {
  free(u->rows);
  u->rows = NULL;
}

/* Where this byte is, NULL: nowhere. */
static const uint64_t *row(const struct ln_places *u, char c) {
  size_t i = u->row_of[(unsigned char)c];
  return i ? u->rows + i * u->words : NULL;
}

static void trim(struct ln_place_set *s) {
  while (s->lo < s->hi && !s->bits[s->lo]) s->lo++;
  while (s->hi > s->lo && !s->bits[s->hi - 1]) s->hi--;
}

static void clear(struct ln_place_set *s) {
  memset(s->bits + s->lo, 0, (s->hi - s->lo) * sizeof *s->bits);
  s->hi = s->lo;
}

size_t ln_places_first(const uint64_t *bits, size_t from, size_t to) {
  if (from > to) return SIZE_MAX;
  uint64_t mask = ~0ull << (from % 64);
  for (size_t w = from / 64; w <= to / 64; w++, mask = ~0ull) {
    if (!(bits[w] & mask)) continue;
    size_t i = w * 64 + (size_t)__builtin_ctzll(bits[w] & mask);
    return i <= to ? i : SIZE_MAX;
  }
  return SIZE_MAX;
}

size_t ln_places_last(const uint64_t *bits, size_t from, size_t to) {
  if (from > to) return SIZE_MAX;
  uint64_t mask = ~0ull >> (63 - to % 64);
  for (size_t w = to / 64 + 1; w-- > from / 64; mask = ~0ull) {
    if (!(bits[w] & mask)) continue;
    size_t i = w * 64 + 63 - (size_t)__builtin_clzll(bits[w] & mask);
    return i >= from ? i : SIZE_MAX;
  }
  return SIZE_MAX;
}

/* --- on --- */

void ln_places_over_text(const struct ln_places *u, struct ln_place_set *s, struct ln_str text,
                         uint64_t *steps) {
  for (size_t i = 0; i < text.n && s->lo < s->hi; i++) {
    const uint64_t *at = row(u, text.p[i]);
    if (!at) {
      clear(s);
      return;
    }
    ln_places_spend(steps, 1 + s->hi - s->lo);
    uint64_t carry = 0;
    for (size_t w = s->lo; w < s->hi; w++) {
      uint64_t here = s->bits[w] & at[w];
      s->bits[w] = here << 1 | carry;
      carry = here >> 63;
    }
    if (carry) s->bits[s->hi++] = carry;
    trim(s);
  }
}

void ln_places_over_segment(const struct ln_places *u, struct ln_place_set *s, uint64_t *steps) {
  const uint64_t *inner = u->rows;
  uint64_t moved = 0, carry = 0;
  size_t w = s->lo;
  for (; w < u->words && (w < s->hi || moved || carry); w++) {
    uint64_t from = w < s->hi ? s->bits[w] & inner[w] : 0;
    uint64_t begun = from << 1 | moved;
    moved = from >> 63;
    /* Adding a bit to a run of ones turns all of it over, up to the place behind it. */
    uint64_t first = begun & inner[w], sum = first + inner[w], with = sum + carry;
    carry = sum < first || with < sum;
    s->bits[w] = (with ^ inner[w]) | begun;
  }
  ln_places_spend(steps, 1 + w - s->lo);
  s->hi = w;
  trim(s);
}

void ln_places_over_any(const struct ln_places *u, struct ln_place_set *s, char sign,
                        uint64_t *steps) {
  const uint64_t *at = sign ? row(u, sign) : NULL;
  if (sign && !at) return;
  ln_places_spend(steps, 1 + u->words - s->lo);
  for (size_t w = s->lo; w < s->hi; w++) {
    uint64_t from = sign ? s->bits[w] & at[w] : s->bits[w];
    if (!from) continue;
    /* From behind the first of them on every place. */
    s->bits[w] |= ~(from ^ (from - 1));
    for (size_t k = w + 1; k < u->words; k++) s->bits[k] = ~0ull;
    s->hi = u->words;
    s->bits[s->hi - 1] &= ~0ull >> (63 - u->uri.n % 64);
    trim(s);
    return;
  }
}

/* --- back --- */

void ln_places_back_text(const struct ln_places *u, struct ln_place_set *s, struct ln_str text,
                         uint64_t *steps) {
  for (size_t i = text.n; i-- > 0 && s->lo < s->hi;) {
    const uint64_t *at = row(u, text.p[i]);
    if (!at) {
      clear(s);
      return;
    }
    ln_places_spend(steps, 1 + s->hi - s->lo);
    if (s->lo) s->lo--; /* a place may move into the word before */
    for (size_t w = s->lo; w < s->hi; w++) {
      uint64_t next = w + 1 < s->hi ? s->bits[w + 1] << 63 : 0;
      s->bits[w] = (s->bits[w] >> 1 | next) & at[w];
    }
    trim(s);
  }
}

/* Ones go down as far as the run of ones in `inner` that they are in. */
static uint64_t fill_down(uint64_t ones, uint64_t inner) {
  for (unsigned n = 1; n < 64; n *= 2) {
    ones |= inner & ones >> n;
    inner &= inner >> n;
  }
  return ones;
}

void ln_places_back_segment(const struct ln_places *u, struct ln_place_set *s, uint64_t *steps) {
  uint64_t carry = 0;
  size_t w = s->hi;
  while (w > 0 && (w > s->lo || carry)) {
    w--;
    uint64_t behind = w >= s->lo ? s->bits[w] : 0;
    uint64_t now = fill_down((behind >> 1 | carry << 63) & u->rows[w], u->rows[w]);
    carry = (now | behind) & 1;
    s->bits[w] = now;
  }
  ln_places_spend(steps, 1 + 4 * (s->hi - w));
  s->lo = LN_MIN(s->lo, w);
  trim(s);
}

void ln_places_back_any(const struct ln_places *u, struct ln_place_set *s, char sign,
                        uint64_t *steps) {
  const uint64_t *at = sign ? row(u, sign) : NULL;
  if (s->lo == s->hi || (sign && !at)) return;
  ln_places_spend(steps, 1 + s->hi);
  size_t last = s->hi - 1;
  uint64_t before = ~(~0ull << (63 - __builtin_clzll(s->bits[last])));
  s->bits[last] |= sign ? before & at[last] : before;
  for (size_t w = 0; w < last; w++) s->bits[w] |= sign ? at[w] : ~0ull;
  s->lo = 0;
  trim(s);
}
