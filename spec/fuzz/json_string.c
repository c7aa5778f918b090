/* Strings there and back: quoting gives JSON that means what was quoted; unescaping agrees with
 * a naive reading of escapes; comparing agrees with comparing what was unescaped. The input is
 * taken once as any bytes, once as the inside of a string, cut in two at a 0xff. */
#include "json_fuzz.h"

static struct ln_str unescaped(struct ln_str raw, bool lossy, struct ln_buf *b, int *rc) {
  ln_buf_init(b, FUZZ_MAX);
  *rc = ln_json_unescape(raw, lossy, b);
  return ln_buf_str(b);
}

/* s byte by byte as ln_json_quote promises it, after unescaping. */
static size_t repaired(struct ln_str s, char *out) {
  size_t n = 0;
  for (size_t i = 0; i < s.n;) {
    size_t k = 1;
    /* The shortest prefix that is UTF-8 is one code point. */
    while (k < 4 && i + k < s.n && !ln_utf8_valid((struct ln_str){s.p + i, k})) k++;
    if (ln_utf8_valid((struct ln_str){s.p + i, k})) {
      memcpy(out + n, s.p + i, k);
      n += k;
      i += k;
    } else {
      memcpy(out + n, "\xef\xbf\xbd", 3);
      n += 3;
      i++;
    }
  }
  return n;
}

static void quotes(struct ln_str s) {
  struct ln_buf quoted, back;
  enum ln_json_type type;
  int rc;
  ln_buf_init(&quoted, FUZZ_MAX);
  MUST(ln_json_quote(&quoted, s) == LN_OK);
  struct ln_str text = copy_of(ln_buf_str(&quoted));
  MUST(proven(text, &type) && type == LN_JSON_STRING);
  struct ln_str inside = ln_json_inside(text);
  MUST(inside.p == text.p + 1 && inside.n == text.n - 2);
  struct ln_str plain = unescaped(inside, false, &back, &rc);
  MUST(rc == LN_OK && ln_utf8_valid(plain));
  char *expected = malloc(s.n * 3 + 1);
  if (!expected) abort();
  size_t n = repaired(s, expected);
  MUST(ln_str_eq(plain, (struct ln_str){expected, n}));
  if (ln_utf8_valid(s)) MUST(ln_str_eq(plain, s));
  if (!memchr(expected, 0, n)) {
    expected[n] = '\0';
    MUST(ln_json_str_is(inside, expected));
    expected[n ? n - 1 : 0] ^= 1;
    if (n && expected[n - 1]) MUST(!ln_json_str_is(inside, expected));
  }

  /* With any maximum it either gives all of it or leaves the buffer alone. */
  struct ln_buf small;
  ln_buf_init(&small, quoted.len ? quoted.len - 1 : 0);
  MUST(ln_json_quote(&small, s) == LN_ELIMIT && small.len == 0);
  ln_buf_clear(&small);
  small.max = quoted.len;
  MUST(ln_json_quote(&small, s) == LN_OK && ln_str_eq(ln_buf_str(&small), text));
  ln_buf_deinit(&small);
  free(expected);
  free((void *)text.p);
  ln_buf_deinit(&back);
  ln_buf_deinit(&quoted);
}

static int hex(const char *p) {
  char digits[5] = {p[0], p[1], p[2], p[3], 0};
  return (int)strtol(digits, NULL, 16);
}

static size_t put(char *out, unsigned cp) {
  if (cp < 0x80) return out[0] = (char)cp, 1;
  if (cp < 0x800) return out[0] = (char)(0xc0 | cp >> 6), out[1] = (char)(0x80 | (cp & 63)), 2;
  if (cp < 0x10000)
    return out[0] = (char)(0xe0 | cp >> 12), out[1] = (char)(0x80 | (cp >> 6 & 63)),
           out[2] = (char)(0x80 | (cp & 63)), 3;
  return out[0] = (char)(0xf0 | cp >> 18), out[1] = (char)(0x80 | (cp >> 12 & 63)),
         out[2] = (char)(0x80 | (cp >> 6 & 63)), out[3] = (char)(0x80 | (cp & 63)), 4;
}

/* raw read the naive way, halves of pairs replaced; *first_lone: how much was written before
 * the first half, or SIZE_MAX. */
static size_t naive(struct ln_str raw, char *out, size_t *first_lone) {
  static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
  size_t n = 0;
  *first_lone = SIZE_MAX;
  for (size_t i = 0; i < raw.n;) {
    if (raw.p[i] != '\\') {
      out[n++] = raw.p[i++];
      continue;
    }
    char c = raw.p[i + 1];
    if (c != 'u') {
      const char *at = strchr(from, c);
      out[n++] = at ? to[at - from] : c;
      i += 2;
      continue;
    }
    int unit = hex(raw.p + i + 2), low = 0;
    i += 6;
    if (unit >= 0xd800 && unit < 0xdc00 && i + 6 <= raw.n && raw.p[i] == '\\' &&
        raw.p[i + 1] == 'u')
      low = hex(raw.p + i + 2);
    if (low >= 0xdc00 && low < 0xe000) {
      n += put(out + n, 0x10000u + ((unsigned)unit - 0xd800u) * 1024u + ((unsigned)low - 0xdc00u));
      i += 6;
      continue;
    }
    if (unit >= 0xd800 && unit < 0xe000) {
      if (*first_lone == SIZE_MAX) *first_lone = n;
      unit = 0xfffd;
    }
    n += put(out + n, (unsigned)unit);
  }
  return n;
}

/* Whether s can be the inside of a string. */
static bool is_inside(struct ln_str s) {
  char *text = malloc(s.n + 2);
  if (!text) abort();
  text[0] = text[s.n + 1] = '"';
  if (s.n) memcpy(text + 1, s.p, s.n);
  enum ln_json_type type;
  bool ok = proven((struct ln_str){text, s.n + 2}, &type) && type == LN_JSON_STRING;
  free(text);
  return ok;
}

static void unescapes(struct ln_str raw) {
  char *expected = malloc(raw.n + 1);
  size_t lone;
  if (!expected) abort();
  size_t n = naive(raw, expected, &lone);
  struct ln_buf b, scratch;
  int rc;
  struct ln_str got = unescaped(raw, true, &b, &rc);
  MUST(rc == LN_OK && ln_str_eq(got, (struct ln_str){expected, n}));
  MUST(ln_utf8_valid(got));
  ln_buf_deinit(&b);

  got = unescaped(raw, false, &b, &rc);
  MUST(rc == (lone == SIZE_MAX ? LN_OK : LN_EUTF8));
  MUST(ln_str_eq(got, (struct ln_str){expected, lone == SIZE_MAX ? n : lone}));
  ln_buf_deinit(&b);

  ln_buf_init(&b, n);
  MUST(ln_json_unescape(raw, true, &b) == LN_OK && b.len == n);
  ln_buf_deinit(&b);
  if (n) {
    ln_buf_init(&b, n - 1);
    MUST(ln_json_unescape(raw, true, &b) == LN_ELIMIT && b.len == 0);
    ln_buf_deinit(&b);
  }

  struct ln_str plain;
  ln_buf_init(&scratch, FUZZ_MAX);
  rc = ln_json_plain(raw, &scratch, &plain);
  MUST(rc == (lone == SIZE_MAX ? LN_OK : LN_EUTF8));
  if (rc == LN_OK) {
    MUST(ln_str_eq(plain, (struct ln_str){expected, n}));
    if (!raw.n || !memchr(raw.p, '\\', raw.n)) MUST(plain.p == raw.p && scratch.cap == 0);
    if (!memchr(expected, 0, n)) {
      expected[n] = '\0';
      MUST(ln_json_str_is(raw, expected));
    }
  }
  ln_buf_deinit(&scratch);
  free(expected);
}

static void compares(struct ln_str a, struct ln_str b) {
  struct ln_buf plain_a, plain_b;
  int rc_a, rc_b;
  struct ln_str x = unescaped(a, false, &plain_a, &rc_a), y = unescaped(b, false, &plain_b, &rc_b);
  bool eq = ln_json_str_eq(a, b);
  MUST(eq == ln_json_str_eq(b, a));
  if (rc_a == LN_OK && rc_b == LN_OK) MUST(eq == ln_str_eq(x, y));
  if (rc_a != rc_b) MUST(!eq);
  MUST(ln_json_str_eq(a, a) && ln_json_str_eq(b, b));
  ln_buf_deinit(&plain_a);
  ln_buf_deinit(&plain_b);
}

/* Nothing is promised about what is no string's inside, but that no memory is harmed. */
static void survives(struct ln_str any) {
  struct ln_buf b;
  int rc;
  struct ln_str plain = unescaped(any, true, &b, &rc);
  MUST(rc == LN_OK && plain.n <= any.n);
  MUST(ln_json_str_eq(any, any));
  (void)ln_json_str_is(any, "abc");
  ln_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t live = ln_bytes_live();
  struct ln_str all = {(const char *)data, size};
  quotes(all);
  const char *cut = size ? memchr(data, 0xff, size) : NULL;
  size_t first = cut ? (size_t)(cut - all.p) : size;
  struct ln_str a = copy_of((struct ln_str){all.p, first});
  struct ln_str b = copy_of(cut ? (struct ln_str){cut + 1, size - first - 1} : all);
  survives(a);
  survives(b);
  if (is_inside(a)) unescapes(a);
  if (is_inside(a) && is_inside(b)) compares(a, b);
  free((void *)a.p);
  free((void *)b.p);
  MUST(ln_bytes_live() == live);
  return 0;
}
