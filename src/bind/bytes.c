/* core: random bytes, base64, digests. What is made stands in a userdata until it is pushed, since
 * nothing may be held while a push can throw. */
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
                                  {"sha256", l_bytes_sha256},
                                  {"hmac_sha256", l_bytes_hmac_sha256},
                                  {NULL, NULL}};
