/* Strings: comparing and unescaping proven ones, quoting any. Most strings hold no escape, so
 * every function first looks for a way that copies or compares whole runs. */
#include "json/string.h"

#include "json/bytes.h"
#include "json/json.h"

enum lone { LONE_REFUSE, LONE_REPLACE, LONE_KEEP };

#define REPLACEMENT 0xfffd

/* cp as UTF-8, also when it is a surrogate; returns the number of bytes. */
static size_t encode(uint32_t cp, char out[4]) {
  if (cp < 0x80) {
    out[0] = (char)cp;
    return 1;
  }
  size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
  static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = n - 1; i; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3f));
  out[0] = (char)(lead[n] | cp);
  return n;
}

/* The code point of the escape at *p, which is moved past it; a surrogate when it is alone.
 * What no proven string holds becomes a '?', as it must not grow: the caller has made room. */
static uint32_t take_escape(const char **p, const char *end) {
  const char *s = *p;
  if (end - s < 2) {
    *p = end;
    return '?';
  }
  *p = s + 2;
  if (s[1] != 'u') return (unsigned char)ln_json_short_escape(s[1]);
  int unit = end - s >= 6 ? ln_json_hex4(s + 2) : -1;
  if (unit < 0) return '?';
  *p = s + 6;
  if (unit < 0xd800 || unit > 0xdbff || end - s < 12 || s[6] != '\\' || s[7] != 'u')
    return (uint32_t)unit;
  int low = ln_json_hex4(s + 8);
  if (low < 0xdc00 || low > 0xdfff) return (uint32_t)unit;
  *p = s + 12;
  return 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
}

/* Writes raw unescaped to out, which has room for what comes out (room says how much), and
 * returns how many bytes; just counts when out is NULL. Stops at a lone surrogate that is to
 * be refused, and says so. */
static size_t flatten(struct ln_str raw, enum lone lone, char *out, size_t room, bool *refused) {
  const char *p = raw.p, *end = p + raw.n;
  size_t n = 0;
  while (p < end) {
    size_t run;
    if (out && room - n >= (size_t)(end - p)) {
      run = ln_json_copy_until(out + n, p, end, '\\');
    } else {
      run = (size_t)(ln_json_run_until(p, end, '\\', '\\') - p);
      if (out && run) memcpy(out + n, p, run);
    }
    n += run;
    p += run;
    if (p == end) break;
    char plain = end - p < 2 ? '\0' : ln_json_short_escape(p[1]);
    if (plain) {
      if (out) out[n] = plain;
      n++;
      p += 2;
      continue;
    }
    uint32_t cp = take_escape(&p, end);
    if (cp - 0xd800 < 0x800 && lone != LONE_KEEP) {
      if (lone == LONE_REFUSE) {
        *refused = true;
        return n;
      }
      cp = REPLACEMENT;
    }
    char bytes[4];
    size_t k = encode(cp, bytes);
    if (out) memcpy(out + n, bytes, k);
    n += k;
  }
  return n;
}

size_t ln_json_flatten(struct ln_str raw, char *out) {
  return flatten(raw, LONE_KEEP, out, raw.n, NULL);
}

/* A string read byte by byte after unescaping. */
struct reader {
  const char *p;
  const char *end;
  char bytes[4];
  size_t i;
  size_t n;
};

static inline int next_byte(struct reader *r) {
  if (r->i < r->n) return (unsigned char)r->bytes[r->i++];
  if (r->p == r->end) return -1;
  if (*r->p != '\\') return (unsigned char)*r->p++;
  r->n = encode(take_escape(&r->p, r->end), r->bytes);
  r->i = 1;
  return (unsigned char)r->bytes[0];
}

static bool has_escape(struct ln_str raw) {
  return raw.n && memchr(raw.p, '\\', raw.n);
}

bool ln_json_means(struct ln_str raw, struct ln_str plain) {
  if (!raw.p || raw.n < plain.n) return false; /* unescaping never makes it longer */
  if (raw.n == plain.n) return ln_str_eq(raw, plain) && !has_escape(raw);
  struct reader r = {.p = raw.p, .end = raw.p + raw.n};
  for (size_t i = 0; i < plain.n; i++)
    if (next_byte(&r) != (unsigned char)plain.p[i]) return false;
  return next_byte(&r) < 0;
}

bool ln_json_str_is(struct ln_str raw, const char *plain) {
  return ln_json_means(raw, ln_str_c(plain));
}

bool ln_json_str_eq(struct ln_str raw_a, struct ln_str raw_b) {
  if (!raw_a.p || !raw_b.p) return raw_a.p == raw_b.p;
  /* The same bytes mean the same string; other bytes do only if something is escaped. */
  if (ln_str_eq(raw_a, raw_b)) return true;
  if (!has_escape(raw_a) && !has_escape(raw_b)) return false;
  struct reader a = {.p = raw_a.p, .end = raw_a.p + raw_a.n};
  struct reader b = {.p = raw_b.p, .end = raw_b.p + raw_b.n};
  for (;;) {
    int x = next_byte(&a), y = next_byte(&b);
    if (x != y) return false;
    if (x < 0) return true;
  }
}

int ln_json_unescape(struct ln_str raw, bool lossy, struct ln_buf *out) {
  if (!raw.n) return ln_buf_error(out);
  enum lone lone = lossy ? LONE_REPLACE : LONE_REFUSE;
  bool refused = false;
  int rc = ln_buf_reserve(out, raw.n);
  /* The buffer's maximum is about the result, which may be shorter. */
  if (rc == LN_ELIMIT) rc = ln_buf_reserve(out, flatten(raw, lone, NULL, 0, &refused));
  /* Nothing to write makes no store. */
  if (!rc && out->data)
    out->len += flatten(raw, lone, out->data + out->len, out->cap - out->len, &refused);
  if (!rc && refused) rc = LN_EUTF8;
  return ln_buf_fail(out, rc);
}

int ln_json_plain(struct ln_str raw, struct ln_buf *scratch, struct ln_str *plain) {
  *plain = raw;
  if (!has_escape(raw)) return LN_OK;
  ln_buf_clear(scratch);
  int rc = ln_json_unescape(raw, false, scratch);
  if (rc) return rc;
  *plain = ln_buf_str(scratch);
  return LN_OK;
}

/* Appends what becomes of the byte at *p, or of a run of UTF-8 from there, and moves *p past it.
 * The buffer has room for as many bytes as are left and one more (the closing quote), and has
 * so again afterwards. */
static int quote_one(struct ln_buf *out, const char **p, const char *end) {
  static const char letters[] = "btn\0fr"; /* from U+0008 on; U+000B has none */
  static const char hex[] = "0123456789abcdef";
  unsigned char c = (unsigned char)**p;
  char bytes[6] = {'\\', (char)c, '0', '0'};
  size_t n = 2;
  if (c >= 0x80) {
    const char *stop = ln_json_run_utf8(*p, end);
    size_t run = (size_t)(stop - *p);
    if (run) {
      memcpy(out->data + out->len, *p, run);
      out->len += run;
      *p = stop;
      return LN_OK;
    }
    n = encode(REPLACEMENT, bytes);
  } else if (c >= 8 && c <= 13 && letters[c - 8]) {
    bytes[1] = letters[c - 8];
  } else if (c < 0x20) {
    bytes[1] = 'u';
    bytes[4] = hex[c >> 4];
    bytes[5] = hex[c & 15];
    n = 6;
  }
  size_t need = (size_t)(end - *p) + n; /* with this byte's own place for the closing quote */
  if (out->cap - out->len < need) {
    int rc = ln_buf_reserve(out, need);
    if (rc) return rc;
  }
  char *to = out->data + out->len;
  for (size_t i = 0; i < n; i++) to[i] = bytes[i];
  out->len += n;
  (*p)++;
  return LN_OK;
}

int ln_json_quote(struct ln_buf *out, struct ln_str s) {
  const char *p = s.p ? s.p : "", *end = p + s.n;
  size_t before = out->len;
  int rc = s.n > SIZE_MAX - 2 ? LN_ELIMIT : ln_buf_reserve(out, s.n + 2);
  if (rc) return ln_buf_fail(out, rc);
  out->data[out->len++] = '"';
  while (rc == LN_OK && p < end) {
    size_t run = ln_json_copy_ascii(out->data + out->len, p, end);
    out->len += run;
    p += run;
    if (p < end) rc = quote_one(out, &p, end);
  }
  if (rc)
    out->len = before; /* half a string is of no use to anyone */
  else
    out->data[out->len++] = '"';
  return ln_buf_fail(out, rc);
}

bool ln_utf8_valid(struct ln_str s) {
  if (!s.n) return true;
  for (const char *p = s.p, *end = p + s.n;;) {
    p = ln_json_run_low(p, end);
    if (p == end) return true;
    p = ln_json_run_utf8(p, end);
    if (p < end && (unsigned char)*p >= 0x80) return false;
  }
}
