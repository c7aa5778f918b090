/* Walking proven text. Nothing here checks syntax; what it relies on is only that the text
 * went through ln_json_scan. Bounds are kept all the same, so a broken promise gives wrong
 * items, not stray reads.
 *
 * Most of the time goes into stepping over values that aren't needed, so containers are skipped
 * by blocks of 64 bytes, brackets and quotes as bit masks, without looking at single tokens. */
#include "json/bytes.h"
#include "json/json.h"
#include "json/string.h"

struct ln_str ln_json_trim(struct ln_str text) {
  if (!text.p) return text;
  const char *end = text.p + text.n, *p = ln_json_skip_space(text.p, end);
  while (end > p && ln_json_is_space(end[-1])) end--;
  return (struct ln_str){p, (size_t)(end - p)};
}

struct ln_str ln_json_inside(struct ln_str value) {
  value = ln_json_trim(value);
  if (value.n < 2 || value.p[0] != '"') return LN_STR_NONE;
  return (struct ln_str){value.p + 1, value.n - 2};
}

static enum ln_json_type type_at(const char *p) {
  switch (*p) {
    case 'n': return LN_JSON_NULL;
    case 'f': return LN_JSON_FALSE;
    case 't': return LN_JSON_TRUE;
    case '"': return LN_JSON_STRING;
    case '[': return LN_JSON_ARRAY;
    case '{': return LN_JSON_OBJECT;
    default: return *p == '-' || (*p >= '0' && *p <= '9') ? LN_JSON_NUMBER : LN_JSON_NONE;
  }
}

enum ln_json_type ln_json_type_of(struct ln_str value) {
  if (!value.p) return LN_JSON_NONE;
  const char *end = value.p + value.n, *p = ln_json_skip_space(value.p, end);
  return p < end ? type_at(p) : LN_JSON_NONE;
}

/* p is inside a string; past its closing quote. */
static inline const char *skip_string(const char *p, const char *end) {
#if LN_JSON_SSE2
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
  while (end - p >= 17) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
    unsigned mask = (unsigned)_mm_movemask_epi8(hit);
    const char *next = p + 16;
    while (mask) {
      unsigned i = (unsigned)__builtin_ctz(mask);
      if (p[i] == '"') return p + i + 1;
      if (i == 15) {
        next = p + 17; /* the last byte escapes one of the next block */
        break;
      }
      mask &= ~(3u << i);
    }
    p = next;
  }
#endif
  for (;;) {
    p = ln_json_run_until(p, end, '"', '\\');
    if (end - p < 2) return end; /* the quote is the last byte, or the text was never proven */
    if (*p == '"') return p + 1;
    p += 2;
  }
}

/* A number, true, false or null: up to what ends it. */
static inline const char *skip_word(const char *p, const char *end) {
  while (p < end && *p != ',' && *p != '}' && *p != ']' && !ln_json_is_space(*p)) p++;
  return p;
}

#if LN_JSON_SSE2

struct block {
  uint64_t quotes, slashes, opens, closes;
};

static inline struct block read_block(const char *p) {
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
  const __m128i open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}');
  const __m128i bit = _mm_set1_epi8(0x20);
  struct block b = {0, 0, 0, 0};
  for (int i = 0; i < 4; i++) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    __m128i curly = _mm_or_si128(v, bit); /* '[' and ']' differ from '{' and '}' by this bit */
    b.quotes |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, quote)) << 16 * i;
    b.slashes |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, slash)) << 16 * i;
    b.opens |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(curly, open)) << 16 * i;
    b.closes |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(curly, close)) << 16 * i;
  }
  return b;
}

/* The bytes after a run of backslashes of odd length, which it escapes. *carry: the first byte
 * of this block is one, then that of the next. Adding its first bit to a run carries over into
 * the bit after it; done apart for runs from even and from odd places, that bit's place tells
 * the run's length to be even or odd. */
static inline uint64_t escaped_bytes(uint64_t slashes, uint64_t *carry) {
  const uint64_t even = 0x5555555555555555ULL;
  uint64_t escaped = *carry, from_even, from_odd;
  slashes &= ~escaped; /* one that is escaped itself starts nothing */
  uint64_t starts = slashes & ~(slashes << 1);
  from_even = slashes + (starts & even);
  *carry = __builtin_add_overflow(slashes, starts & ~even, &from_odd);
  return escaped | (((from_even & ~even) | (from_odd & even)) & ~slashes);
}

/* Every bit becomes the parity of the bits up to and including it: quotes become the bytes
 * from an opening quote up to before its closing one. */
static inline uint64_t parity(uint64_t x) {
  for (int shift = 1; shift < 64; shift *= 2) x ^= x << shift;
  return x;
}

/* p is a container's first byte; past its last. */
static const char *skip_container(const char *p, const char *end) {
  uint64_t depth = 0, in_string = 0, carry = 0;
  char tail[64];
  for (;;) {
    const char *from = p;
    if (end - p < 64) {
      if (p >= end) return end;
      memset(tail, 0, sizeof tail);
      memcpy(tail, p, (size_t)(end - p));
      from = tail;
    }
    struct block b = read_block(from);
    if (b.slashes | carry) b.quotes &= ~escaped_bytes(b.slashes, &carry);
    uint64_t inside = b.quotes ? parity(b.quotes) ^ in_string : in_string;
    in_string = 0 - (inside >> 63);
    uint64_t opens = b.opens & ~inside, closes = b.closes & ~inside;
    for (uint64_t both = opens | closes; both; both &= both - 1) {
      uint64_t bit = both & -both;
      depth += opens & bit ? 1 : -1;
      if (!depth) return p + __builtin_ctzll(bit) + 1;
    }
    p += 64;
  }
}

#else

static const char *skip_container(const char *p, const char *end) {
  size_t depth = 0;
  while (p < end) {
    char c = *p++;
    if (c == '"') {
      p = skip_string(p, end);
    } else if (c == '{' || c == '[') {
      depth++;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return p;
    }
  }
  return end;
}

#endif

static inline const char *skip_value(const char *p, const char *end) {
  if (*p == '"') return skip_string(p + 1, end);
  if (*p == '{' || *p == '[') return skip_container(p, end);
  return skip_word(p, end);
}

struct ln_json_cur ln_json_enter(struct ln_str container) {
  if (!container.p) return (struct ln_json_cur){NULL, NULL};
  const char *end = container.p + container.n, *p = ln_json_skip_space(container.p, end);
  if (p == end || (*p != '{' && *p != '[')) return (struct ln_json_cur){end, end};
  return (struct ln_json_cur){p + 1, end};
}

/* *p is at a value, and then past it (into: past a container's opening bracket). */
static inline struct ln_json_item take_value(const char **p, const char *end, bool into) {
  const char *from = *p;
  enum ln_json_type type = type_at(from);
  bool container = type == LN_JSON_OBJECT || type == LN_JSON_ARRAY;
  *p = into && container ? from + 1 : skip_value(from, end);
  return (struct ln_json_item){LN_STR_NONE, {from, (size_t)(*p - from)}, type};
}

static inline bool next_item(struct ln_json_cur *cur, struct ln_json_item *item, bool into) {
  const char *end = cur->end, *p = ln_json_skip_space(cur->p, end);
  if (p < end && *p == ',') p = ln_json_skip_space(p + 1, end);
  if (p == end || *p == '}' || *p == ']') {
    cur->p = p;
    return false;
  }
  *item = take_value(&p, end, into);
  /* Only a name can be followed by a colon, so a cursor need not know what it walks. */
  if (item->type == LN_JSON_STRING) {
    const char *colon = ln_json_skip_space(p, end);
    if (colon < end && *colon == ':') {
      struct ln_str key = ln_json_inside(item->value);
      p = ln_json_skip_space(colon + 1, end);
      *item = p < end ? take_value(&p, end, into)
                      : (struct ln_json_item){LN_STR_NONE, {end, 0}, LN_JSON_NONE};
      item->key = key;
    }
  }
  cur->p = p;
  return true;
}

bool ln_json_next(struct ln_json_cur *cur, struct ln_json_item *item) {
  return next_item(cur, item, false);
}

bool ln_json_step(struct ln_json_cur *cur, struct ln_json_item *item) {
  return next_item(cur, item, true);
}

void ln_json_leave(struct ln_json_cur *cur) {
  if (cur->p < cur->end) cur->p++;
}

struct ln_str ln_json_whole(struct ln_json_cur *cur, const struct ln_json_item *item) {
  struct ln_json_item whole = {.value = {item->value.p, 0}};
  cur->p = item->value.p;
  (void)ln_json_next(cur, &whole);
  return whole.value;
}

bool ln_json_get(struct ln_str object, const char *name, struct ln_json_item *item) {
  if (ln_json_type_of(object) != LN_JSON_OBJECT) return false;
  struct ln_json_cur cur = ln_json_enter(object);
  struct ln_json_item each;
  struct ln_str plain = ln_str_c(name);
  bool found = false;
  while (ln_json_next(&cur, &each)) {
    if (!ln_json_means(each.key, plain)) continue;
    *item = each;
    found = true;
  }
  return found;
}

size_t ln_json_count(struct ln_str container) {
  struct ln_json_cur cur = ln_json_enter(container);
  struct ln_json_item item;
  size_t n = 0;
  while (ln_json_next(&cur, &item)) n++;
  return n;
}
