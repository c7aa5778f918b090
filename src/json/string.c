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

/* The code point of the escape at *p, which is moved past it; a surrogate when it is alone. */
static uint32_t take_escape(const char **p, const char *end) {
  const char *s = *p;
  if (end - s < 2) {
    *p = end;
    return REPLACEMENT;
  }
  *p = s + 2;
  switch (s[1]) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return (unsigned char)s[1];
  }
  int unit = end - s >= 6 ? ln_json_hex4(s + 2) : -1;
  if (unit < 0) return REPLACEMENT;
  *p = s + 6;
  if (unit < 0xd800 || unit > 0xdbff || end - s < 12 || s[6] != '\\' || s[7] != 'u')
    return (uint32_t)unit;
  int low = ln_json_hex4(s + 8);
  if (low < 0xdc00 || low > 0xdfff) return (uint32_t)unit;
  *p = s + 12;
  return 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
}

/* Writes raw unescaped to out and returns how many bytes; just counts when out is NULL. Stops
 * at a lone surrogate that is to be refused, and says so. */
static size_t flatten(struct ln_str raw, enum lone lone, char *out, bool *refused) {
  const char *p = raw.p, *end = p + raw.n;
  size_t n = 0;
  while (p < end) {
    const char *slash = *p == '\\' ? p : memchr(p, '\\', (size_t)(end - p));
    size_t run = (size_t)((slash ? slash : end) - p);
    if (out && run) memcpy(out + n, p, run);
    n += run;
    if (!slash) break;
    p = slash;
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
  return flatten(raw, LONE_KEEP, out, NULL);
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

bool ln_json_str_is(struct ln_str raw, const char *plain) {
  size_t n = strlen(plain);
  if (!raw.p || raw.n < n) return false; /* unescaping never makes it longer */
  if (raw.n == n) return memcmp(raw.p, plain, n) == 0 && !has_escape(raw);
  struct reader r = {.p = raw.p, .end = raw.p + raw.n};
  for (size_t i = 0; i < n; i++)
    if (next_byte(&r) != (unsigned char)plain[i]) return false;
  return next_byte(&r) < 0;
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

struct ln_str ln_json_inside(struct ln_str value) {
  value = ln_json_trim(value);
  if (value.n < 2 || value.p[0] != '"') return LN_STR_NONE;
  return (struct ln_str){value.p + 1, value.n - 2};
}

int ln_json_unescape(struct ln_str raw, bool lossy, struct ln_buf *out) {
  if (!raw.n) return LN_OK;
  enum lone lone = lossy ? LONE_REPLACE : LONE_REFUSE;
  bool refused = false;
  int rc = ln_buf_reserve(out, raw.n);
  /* The buffer's maximum is about the result, which may be shorter. */
  if (rc == LN_ELIMIT) rc = ln_buf_reserve(out, flatten(raw, lone, NULL, &refused));
  if (rc) return rc;
  if (!out->data) return refused ? LN_EUTF8 : LN_OK; /* nothing to write, no store yet */
  out->len += flatten(raw, lone, out->data + out->len, &refused);
  return refused ? LN_EUTF8 : LN_OK;
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

/* What stands for the byte c, which can't stand for itself. */
static size_t escape_for(unsigned char c, char out[6]) {
  static const char letters[] = "btn\0fr"; /* from U+0008 on; U+000B has none */
  static const char hex[] = "0123456789abcdef";
  out[0] = '\\';
  out[1] = c == '"' || c == '\\'                 ? (char)c
           : c >= 8 && c <= 13 && letters[c - 8] ? letters[c - 8]
                                                 : 'u';
  if (out[1] != 'u') return 2;
  out[2] = out[3] = '0';
  out[4] = hex[c >> 4];
  out[5] = hex[c & 15];
  return 6;
}

int ln_json_quote(struct ln_buf *out, struct ln_str s) {
  const char *p = s.p ? s.p : "", *end = p + s.n;
  size_t before = out->len;
  int rc = s.n > SIZE_MAX - 2 ? LN_ELIMIT : ln_buf_reserve(out, s.n + 2);
  if (rc) return rc;
  out->data[out->len++] = '"';
  while (rc == LN_OK && p < end) {
    const char *run = p;
    char stand_in[6];
    size_t n = 0, length;
    /* As far as the bytes may stay what they are. */
    while ((p = ln_json_run_ascii(p, end)) < end && (unsigned char)*p >= 0x80 &&
           (length = ln_utf8_length(p, end)))
      p += length;
    if (p < end)
      n = (unsigned char)*p < 0x80 ? escape_for((unsigned char)*p, stand_in)
                                   : encode(REPLACEMENT, stand_in);
    rc = ln_buf_append(out, run, (size_t)(p - run));
    if (rc == LN_OK) rc = ln_buf_append(out, stand_in, n);
    if (n) p++;
  }
  if (rc == LN_OK) rc = ln_buf_append(out, "\"", 1);
  if (rc) out->len = before; /* half a string is of no use to anyone */
  return rc;
}

bool ln_utf8_valid(struct ln_str s) {
  if (!s.n) return true;
  for (const char *p = s.p, *end = p + s.n;;) {
    p = ln_json_run_low(p, end);
    if (p == end) return true;
    do {
      size_t n = ln_utf8_length(p, end);
      if (!n) return false;
      p += n;
    } while (p < end && (unsigned char)*p >= 0x80);
  }
}
