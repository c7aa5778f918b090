/* The inner loops of this room: how far a run of harmless bytes goes. Private to src/json/.
 *
 * Each takes [p, end) and never reads outside it. With SSE2 they step 16 bytes, elsewhere a
 * machine word, and finish byte by byte; all three give the same answer (LN_JSON_NO_SIMD
 * builds the second, for the tests). */
#ifndef LN_JSON_BYTES_H
#define LN_JSON_BYTES_H

#include "base/base.h"
#include "base/utf8.h"

#if defined(__SSE2__) && !defined(LN_JSON_NO_SIMD)
#define LN_JSON_SSE2 1
#include <emmintrin.h>
#else
#define LN_JSON_SSE2 0
#endif

/* In a word: every byte set to b; nonzero where some byte is 0; where some byte is < n, n being
 * at most 0x80. The last two may mark more bytes than they should, but only in a word that has
 * a true one, so they answer "any". */
#define LN_JSON_ALL(b)     (0x0101010101010101ULL * (uint8_t)(b))
#define LN_JSON_ZERO(w)    (((w)-LN_JSON_ALL(1)) & ~(w)&LN_JSON_ALL(0x80))
#define LN_JSON_LESS(w, n) (((w)-LN_JSON_ALL(n)) & ~(w)&LN_JSON_ALL(0x80))

static inline uint64_t ln_json_word(const char *p) {
  uint64_t w;
  memcpy(&w, p, sizeof w);
  return w;
}

static inline bool ln_json_is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Up to the first byte that needs a look inside a string: '"', '\', a control character or
 * anything that is not ASCII. */
static inline const char *ln_json_run_ascii(const char *p, const char *end) {
#if LN_JSON_SSE2
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(0x20);
  for (; end - p >= 16; p += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    /* Compared as signed, so that bytes from 0x80 up are less than a space too. */
    __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                               _mm_cmplt_epi8(v, space));
    unsigned mask = (unsigned)_mm_movemask_epi8(hit);
    if (mask) return p + __builtin_ctz(mask);
  }
#else
  for (; end - p >= 8; p += 8) {
    uint64_t w = ln_json_word(p), quote = w ^ LN_JSON_ALL('"'), slash = w ^ LN_JSON_ALL('\\');
    if ((w & LN_JSON_ALL(0x80)) | LN_JSON_ZERO(quote) | LN_JSON_ZERO(slash) | LN_JSON_LESS(w, 0x20))
      break;
  }
#endif
  for (; p < end; p++) {
    unsigned char c = (unsigned char)*p;
    if (c == '"' || c == '\\' || c < 0x20 || c >= 0x80) break;
  }
  return p;
}

/* What the letter after a backslash stands for; 0 for 'u' and for what is no escape. */
static inline char ln_json_short_escape(char letter) {
  static const char meanings[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                     ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
  return meanings[(unsigned char)letter];
}

/* The same inside a string, but past short escapes, which set *escaped. What it stops at is
 * never a byte that a backslash escapes. */
static inline const char *ln_json_run_string(const char *p, const char *end, bool *escaped) {
#if LN_JSON_SSE2
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(0x20);
  while (end - p >= 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                               _mm_cmplt_epi8(v, space));
    unsigned mask = (unsigned)_mm_movemask_epi8(hit), i = 16;
    /* Escapes are stepped over in the mask, without loading again. */
    for (; mask; mask &= ~(3u << i), i = 16) {
      i = (unsigned)__builtin_ctz(mask);
      if (p[i] != '\\' || i == 15 || !ln_json_short_escape(p[i + 1])) break;
      *escaped = true;
    }
    p += i;
    if (i == 15 && *p == '\\' && end - p >= 2 && ln_json_short_escape(p[1])) {
      *escaped = true;
      p += 2;
    } else if (i < 16) {
      return p;
    }
  }
#endif
  for (;;) {
    p = ln_json_run_ascii(p, end);
    if (end - p < 2 || *p != '\\' || !ln_json_short_escape(p[1])) return p;
    *escaped = true;
    p += 2;
  }
}

/* Up to the first of two bytes. */
static inline const char *ln_json_run_until(const char *p, const char *end, char a, char b) {
#if LN_JSON_SSE2
  const __m128i va = _mm_set1_epi8(a), vb = _mm_set1_epi8(b);
  for (; end - p >= 16; p += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    unsigned mask =
        (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, va), _mm_cmpeq_epi8(v, vb)));
    if (mask) return p + __builtin_ctz(mask);
  }
#else
  for (; end - p >= 8; p += 8) {
    uint64_t w = ln_json_word(p), wa = w ^ LN_JSON_ALL(a), wb = w ^ LN_JSON_ALL(b);
    if (LN_JSON_ZERO(wa) | LN_JSON_ZERO(wb)) break;
  }
#endif
  while (p < end && *p != a && *p != b) p++;
  return p;
}

/* Copies what ln_json_run_ascii runs over and returns how much. out has room for all of
 * [p, end): what lies past the run may be overwritten up to there. */
static inline size_t ln_json_copy_ascii(char *out, const char *p, const char *end) {
  size_t n = 0;
#if LN_JSON_SSE2
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(0x20);
  for (; end - p >= 16; p += 16, n += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                               _mm_cmplt_epi8(v, space));
    unsigned mask = (unsigned)_mm_movemask_epi8(hit);
    _mm_storeu_si128((__m128i *)(void *)(out + n), v);
    if (mask) return n + (unsigned)__builtin_ctz(mask);
  }
#endif
  size_t run = (size_t)(ln_json_run_ascii(p, end) - p);
  if (run) memcpy(out + n, p, run);
  return n + run;
}

/* The same up to the first c. */
static inline size_t ln_json_copy_until(char *out, const char *p, const char *end, char c) {
  size_t n = 0;
#if LN_JSON_SSE2
  const __m128i vc = _mm_set1_epi8(c);
  for (; end - p >= 16; p += 16, n += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, vc));
    _mm_storeu_si128((__m128i *)(void *)(out + n), v);
    if (mask) return n + (unsigned)__builtin_ctz(mask);
  }
#endif
  size_t run = (size_t)(ln_json_run_until(p, end, c, c) - p);
  if (run) memcpy(out + n, p, run);
  return n + run;
}

/* Past a run of spaces; for what follows a line break in indented text. */
static inline const char *ln_json_run_spaces(const char *p, const char *end) {
#if LN_JSON_SSE2
  const __m128i space = _mm_set1_epi8(' ');
  for (; end - p >= 16; p += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    unsigned other = 0xffffu ^ (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, space));
    if (other) return p + __builtin_ctz(other);
  }
#else
  while (end - p >= 8 && ln_json_word(p) == LN_JSON_ALL(' ')) p += 8;
#endif
  while (p < end && *p == ' ') p++;
  return p;
}

static inline const char *ln_json_skip_space(const char *p, const char *end) {
  while (p < end && ln_json_is_space(*p)) p = ln_json_run_spaces(p + 1, end);
  return p;
}

/* Past the ASCII at p. */
static inline const char *ln_json_run_low(const char *p, const char *end) {
#if LN_JSON_SSE2
  for (; end - p >= 16; p += 16) {
    unsigned mask = (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)p));
    if (mask) return p + __builtin_ctz(mask);
  }
#else
  while (end - p >= 8 && !(ln_json_word(p) & LN_JSON_ALL(0x80))) p += 8;
#endif
  while (p < end && (unsigned char)*p < 0x80) p++;
  return p;
}

/* From a byte that is not ASCII over everything well formed up to the first ASCII byte; a single
 * letter or space between two such runs is passed too, as most scripts put spaces between words.
 * Stops at a byte that starts no well-formed sequence, or at one ln_json_run_ascii may take. */
static inline const char *ln_json_run_utf8(const char *p, const char *end) {
  while (p < end) {
    const unsigned char *u = (const unsigned char *)p;
    /* The two commonest lengths by hand: a step that is a branch, not a number, lets the next
     * character be read before this one is judged. */
    if (end - p >= 3 && u[0] >= 0xe1 && u[0] <= 0xec) {
      if (((u[1] ^ 0x80) | (u[2] ^ 0x80)) >= 0x40) return p;
      p += 3;
    } else if (end - p >= 2 && u[0] >= 0xc2 && u[0] <= 0xdf) {
      if ((u[1] ^ 0x80) >= 0x40) return p;
      p += 2;
    } else if (u[0] >= 0x80) {
      size_t n = ln_utf8_length(p, end);
      if (!n) return p;
      p += n;
    } else {
      if (end - p < 2 || u[1] < 0x80 || u[0] < ' ' || u[0] == '"' || u[0] == '\\') return p;
      p++;
    }
  }
  return p;
}

/* The value of four hexadecimal digits at p, or -1. */
static inline int ln_json_hex4(const char *p) {
  int v = 0;
  for (int i = 0; i < 4; i++) {
    unsigned c = (unsigned char)p[i], d = c - '0';
    if (d > 9) {
      d = (c | 0x20) - 'a';
      if (d > 5) return -1;
      d += 10;
    }
    v = v << 4 | (int)d;
  }
  return v;
}

#endif
