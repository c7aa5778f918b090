/* The one definition of well-formed UTF-8 that everything here goes by. */
#ifndef LN_BASE_UTF8_H
#define LN_BASE_UTF8_H

#include "base/base.h"

#ifndef LN_FFI
/* How many bytes the sequence at p (< end) has: 1 to 4, or 0 when it is not well formed: a
 * stray continuation, overlong, a surrogate, past U+10FFFF, cut short. */
static inline size_t ln_utf8_length(const char *p, const char *end) {
  const unsigned char *u = (const unsigned char *)p;
  size_t room = (size_t)(end - p);
  if (u[0] < 0x80) return 1;
  if (u[0] < 0xc2) return 0;
  /* A continuation byte with its top bit flipped is below 0x40, and is its payload. */
  if (u[0] < 0xe0) return room >= 2 && (u[1] ^ 0x80) < 0x40 ? 2 : 0;
  if (u[0] < 0xf0) {
    if (room < 3) return 0;
    unsigned a = u[1] ^ 0x80u, b = u[2] ^ 0x80u, cp = (u[0] & 0x0fu) << 12 | a << 6 | b;
    return (a | b) < 0x40 && cp >= 0x800 && cp - 0xd800 >= 0x800 ? 3 : 0;
  }
  if (u[0] > 0xf4 || room < 4) return 0;
  unsigned a = u[1] ^ 0x80u, b = u[2] ^ 0x80u, c = u[3] ^ 0x80u;
  unsigned cp = (u[0] & 0x07u) << 18 | a << 12 | b << 6 | c;
  return (a | b | c) < 0x40 && cp >= 0x10000 && cp <= 0x10ffff ? 4 : 0;
}
#endif

#endif
