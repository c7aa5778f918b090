/* core: random bytes, base64, fixed texts, digests. What is made stands in a userdata until it is
 * pushed, since nothing may be held while a push can throw. */
#include "bind/bytes.h"

#include <errno.h>
#include <sys/random.h>

#include "base/base64.h"
#include "net/digest.h"

enum { MOST_RANDOM = 1 << 20 };

/* More than 256 bytes may come in pieces. */
static bool fill(char *to, size_t n) {
  while (n) {
    ssize_t got = getrandom(to, n, 0);
    if (got < 0 && errno != EINTR) return false;
    if (got > 0) to += got, n -= (size_t)got;
  }
  return true;
}

/* random(n) -> n bytes of the system's generator; n up to 1 MiB */
static int l_bytes_random(lua_State *L) {
  lua_Number n = luaL_checknumber(L, 1);
  if (!(n >= 0 && n <= MOST_RANDOM)) return ln_bind_error(L, "no such number of bytes");
  char *bytes = lua_newuserdata(L, (size_t)n);
  if (!fill(bytes, (size_t)n)) return ln_bind_error(L, "the system gives no random numbers");
  lua_pushlstring(L, bytes, (size_t)n);
  return 1;
}

static int l_bytes_base64_encode(lua_State *L) {
  struct ln_str s = ln_bind_str(L, 1);
  size_t n = ln_base64_size(LN_BASE64, s.n);
  char *text = lua_newuserdata(L, n);
  ln_base64_write(LN_BASE64, s.p, s.n, text);
  lua_pushlstring(L, text, n);
  return 1;
}

/* base64_decode(text) -> the bytes, or nil: it is none */
static int l_bytes_base64_decode(lua_State *L) {
  struct ln_str text = ln_bind_str(L, 1);
  char *bytes = lua_newuserdata(L, LN_BASE64_ROOM(text.n));
  size_t n;
  if (!ln_base64_read(LN_BASE64, text, bytes, &n)) return 0;
  lua_pushlstring(L, bytes, n);
  return 1;
}

/* --- looking for fixed texts --- */

/* The first byte of a hint that is more than its text: it counts only where a word begins; it is of
 * classes, d a digit and u a capital letter. */
enum { WORD_START = 1, CLASSES = 2 };

static bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* In JSON the letter before may end an escape, such as \n. */
static bool begins_word(struct ln_str text, const char *at) {
  if (at == text.p || !is_word(at[-1])) return true;
  return at - text.p > 1 && at[-2] == '\\';
}

struct hints {
  size_t n;
  struct ln_str text[LN_HINTS];
  uint64_t words, classes;          /* a bit each: those of this kind */
  uint64_t first[256], second[256]; /* those that have the byte there */
};

static bool in_class(char c, char class) {
  return class == 'd' ? c >= '0' && c <= '9' : c >= 'A' && c <= 'Z';
}

static void mark(uint64_t set[256], uint64_t bit, char c, bool class) {
  if (!class) set[(unsigned char)c] |= bit;
  for (int i = 0; class && i < 128; i++)
    if (in_class((char)i, c)) set[i] |= bit;
}

/* False: too many, or one that is empty. */
static bool read_hints(struct hints *h, struct ln_str lines) {
  for (const char *p = lines.p, *end = p + lines.n; p < end; h->n++) {
    const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : end;
    bool word = *p == WORD_START, classes = *p == CLASSES;
    struct ln_str text = {p + (word || classes), (size_t)(stop - p) - (word || classes)};
    if (h->n == LN_HINTS || stop == p || !text.n) return false;
    uint64_t bit = (uint64_t)1 << h->n;
    h->text[h->n] = text;
    if (word) h->words |= bit;
    if (classes) h->classes |= bit;
    mark(h->first, bit, text.p[0], classes);
    for (size_t c = 0; text.n == 1 && c < 256; c++) h->second[c] |= bit;
    if (text.n > 1) mark(h->second, bit, text.p[1], classes);
    p = stop + 1;
  }
  return true;
}

static bool same(const char *at, struct ln_str hint, bool classes) {
  size_t n = 0;
  while (n < hint.n && (classes ? in_class(at[n], hint.p[n]) : at[n] == hint.p[n])) n++;
  return n == hint.n;
}

static bool hint_at(const struct hints *h, uint64_t which, struct ln_str text, const char *at) {
  size_t left = (size_t)(text.p + text.n - at);
  for (; which; which &= which - 1) {
    const struct ln_str *hint = &h->text[__builtin_ctzll(which)];
    uint64_t bit = which & -which;
    if (left < hint->n || !same(at, *hint, h->classes & bit)) continue;
    if (!(h->words & bit) || begins_word(text, at)) return true;
  }
  return false;
}

bool ln_bind_holds(struct ln_str text, struct ln_str hints) {
  struct hints h = {.n = 0};
  if (!read_hints(&h, hints)) return true;
  for (const char *at = text.p, *end = at + text.n; at < end; at++) {
    uint64_t which = h.first[(unsigned char)*at];
    if (!which) continue;
    if (at + 1 < end) which &= h.second[(unsigned char)at[1]];
    if (which && hint_at(&h, which, text, at)) return true;
  }
  return false;
}

/* holds(text, hints) -> whether one of them is in it; see ln_bind_holds */
static int l_bytes_holds(lua_State *L) {
  lua_pushboolean(L, ln_bind_holds(ln_bind_str(L, 1), ln_bind_str(L, 2)));
  return 1;
}

/* --- digests --- */

/* Pushes a digest: as it is, or in hexadecimal digits. */
static int push_digest(lua_State *L, bool made, const unsigned char *digest, bool raw) {
  static const char hex[] = "0123456789abcdef";
  char text[2 * LN_DIGEST_BYTES];
  if (!made) return ln_bind_error(L, "out of memory");
  for (size_t i = 0; i < LN_DIGEST_BYTES; i++) {
    text[2 * i] = hex[digest[i] >> 4];
    text[2 * i + 1] = hex[digest[i] & 15];
  }
  lua_pushlstring(L, raw ? (const char *)digest : text, raw ? LN_DIGEST_BYTES : sizeof text);
  return 1;
}

/* sha256(s, raw) */
static int l_bytes_sha256(lua_State *L) {
  unsigned char digest[LN_DIGEST_BYTES];
  bool made = ln_digest_sha256(ln_bind_str(L, 1), digest);
  return push_digest(L, made, digest, lua_toboolean(L, 2));
}

/* hmac_sha256(key, s, raw) */
static int l_bytes_hmac_sha256(lua_State *L) {
  unsigned char digest[LN_DIGEST_BYTES];
  struct ln_str key = ln_bind_str(L, 1), text = ln_bind_str(L, 2);
  bool made = ln_digest_hmac_sha256(key, text, digest);
  return push_digest(L, made, digest, lua_toboolean(L, 3));
}

const luaL_Reg ln_bind_bytes[] = {{"random", l_bytes_random},
                                  {"base64_encode", l_bytes_base64_encode},
                                  {"base64_decode", l_bytes_base64_decode},
                                  {"holds", l_bytes_holds},
                                  {"sha256", l_bytes_sha256},
                                  {"hmac_sha256", l_bytes_hmac_sha256},
                                  {NULL, NULL}};
