/* ln_json_scan against a second opinion: the grammar of RFC 8259 written down as naively as
 * possible, a function a rule, names kept as lists of code points and compared all with all.
 * Both must agree on the verdict, on the first wrong byte and on what was learned. */
#include "json_fuzz.h"

struct name {
  uint32_t *cps;
  size_t n;
};

struct opinion {
  const unsigned char *s;
  size_t n;
  size_t i;
  const struct ln_json_limits *limits;
  int err;
  bool newlines;
  bool lone;
};

static bool no(struct opinion *o, int err, size_t at) {
  o->err = err;
  o->i = at;
  return false;
}

static int peek(const struct opinion *o) {
  return o->i < o->n ? o->s[o->i] : -1;
}

static bool eat(struct opinion *o, int c) {
  if (peek(o) != c) return no(o, LN_ESYNTAX, o->i);
  o->i++;
  return true;
}

static void blank(struct opinion *o, bool outside) {
  for (;; o->i++) {
    int c = peek(o);
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
    if (!outside && (c == '\n' || c == '\r')) o->newlines = true;
  }
}

/* RFC 3629's table of well-formed sequences, row by row. */
static size_t utf8_at(const unsigned char *s, size_t n, uint32_t *cp) {
  static const struct {
    unsigned char lo, hi, second_lo, second_hi;
    size_t n;
  } rows[] = {
      {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
      {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
      {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
  };
  for (size_t r = 0; r < LN_COUNT(rows); r++) {
    if (s[0] < rows[r].lo || s[0] > rows[r].hi) continue;
    if (rows[r].n > n) return 0;
    *cp = rows[r].n == 1 ? s[0] : s[0] & (0xffu >> (rows[r].n + 1));
    for (size_t k = 1; k < rows[r].n; k++) {
      unsigned char lo = k == 1 ? rows[r].second_lo : 0x80, hi = k == 1 ? rows[r].second_hi : 0xbf;
      if (s[k] < lo || s[k] > hi) return 0;
      *cp = *cp * 64 + (s[k] - 0x80u);
    }
    return rows[r].n;
  }
  return 0;
}

static bool hex4(struct opinion *o, uint32_t *unit) {
  *unit = 0;
  for (int k = 0; k < 4; k++) {
    int c = peek(o), digit = c >= '0' && c <= '9'   ? c - '0'
                             : c >= 'a' && c <= 'f' ? c - 'a' + 10
                             : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                    : -1;
    if (digit < 0) return no(o, LN_ESYNTAX, o->i);
    *unit = *unit * 16 + (uint32_t)digit;
    o->i++;
  }
  return true;
}

struct unit {
  uint32_t cp;
  bool escaped; /* by \\u: it may be half of a pair */
};

static bool half(const struct unit *u, uint32_t from) {
  return u->escaped && u->cp >= from && u->cp < from + 0x400;
}

/* One character of a string, as it is written. */
static bool character(struct opinion *o, struct unit *u) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  int c = peek(o);
  u->escaped = false;
  if (c < 0x20) return no(o, LN_ESYNTAX, o->i);
  if (c != '\\') {
    size_t k = utf8_at(o->s + o->i, o->n - o->i, &u->cp);
    if (!k) return no(o, LN_EUTF8, o->i);
    o->i += k;
    return true;
  }
  o->i++;
  c = peek(o);
  const char *at = c > 0 ? strchr(from, c) : NULL;
  if (!at && c != 'u') return no(o, LN_ESYNTAX, o->i);
  o->i++;
  if (at) {
    u->cp = (uint32_t)to[at - from];
    return true;
  }
  u->escaped = true;
  return hex4(o, &u->cp);
}

/* Joins pairs of escapes; what is left alone is noted. */
static struct name joined(struct opinion *o, const struct unit *units, size_t n) {
  struct name name = {malloc((n + 1) * sizeof *name.cps), 0};
  if (!name.cps) abort();
  for (size_t r = 0; r < n; r++) {
    uint32_t cp = units[r].cp;
    if (half(&units[r], 0xd800) && r + 1 < n && half(&units[r + 1], 0xdc00)) {
      cp = 0x10000 + (cp - 0xd800) * 0x400 + (units[++r].cp - 0xdc00);
    } else if (half(&units[r], 0xd800) || half(&units[r], 0xdc00)) {
      o->lone = true;
    }
    name.cps[name.n++] = cp;
  }
  return name;
}

static bool string(struct opinion *o, struct name *out) {
  struct unit *units = NULL;
  size_t n = 0, cap = 0;
  bool ok = eat(o, '"');
  while (ok && peek(o) != '"') {
    if (n == cap) {
      cap = cap ? cap * 2 : 16;
      units = realloc(units, cap * sizeof *units);
      if (!units) abort();
    }
    ok = character(o, &units[n++]);
  }
  if (ok) {
    o->i++;
    struct name name = joined(o, units, n);
    if (out)
      *out = name;
    else
      free(name.cps);
  }
  free(units);
  return ok;
}

static bool some_digits(struct opinion *o) {
  if (peek(o) < '0' || peek(o) > '9') return no(o, LN_ESYNTAX, o->i);
  while (peek(o) >= '0' && peek(o) <= '9') o->i++;
  return true;
}

static bool number(struct opinion *o) {
  if (peek(o) == '-') o->i++;
  if (peek(o) == '0')
    o->i++;
  else if (!some_digits(o))
    return false;
  if (peek(o) == '.') {
    o->i++;
    if (!some_digits(o)) return false;
  }
  if (peek(o) == 'e' || peek(o) == 'E') {
    o->i++;
    if (peek(o) == '+' || peek(o) == '-') o->i++;
    if (!some_digits(o)) return false;
  }
  return true;
}

static bool value(struct opinion *o, uint32_t depth);

struct names {
  struct name *list;
  size_t n;
  size_t cap;
};

static bool add_name(struct opinion *o, struct names *names, struct name name, size_t at) {
  if (names->n == names->cap) {
    names->cap = names->cap ? names->cap * 2 : 8;
    names->list = realloc(names->list, names->cap * sizeof *names->list);
    if (!names->list) abort();
  }
  names->list[names->n++] = name;
  if (!o->limits->unique) return true;
  if (names->n > o->limits->max_members) return no(o, LN_ELIMIT, at);
  for (size_t k = 0; k + 1 < names->n; k++) {
    const struct name *other = &names->list[k];
    if (other->n == name.n && memcmp(other->cps, name.cps, name.n * sizeof *name.cps) == 0)
      return no(o, LN_EDUPLICATE, at);
  }
  return true;
}

/* From after the opening brace to after the closing one. */
static bool members_into(struct opinion *o, uint32_t depth, struct names *names) {
  blank(o, false);
  if (peek(o) == '}') return eat(o, '}');
  for (;;) {
    size_t at = o->i;
    struct name name;
    if (!string(o, &name) || !add_name(o, names, name, at)) return false;
    blank(o, false);
    if (!eat(o, ':') || !value(o, depth)) return false;
    blank(o, false);
    if (peek(o) == '}') return eat(o, '}');
    if (!eat(o, ',')) return false;
    blank(o, false);
  }
}

static bool members(struct opinion *o, uint32_t depth) {
  struct names names = {0};
  bool ok = members_into(o, depth, &names);
  while (names.n) free(names.list[--names.n].cps);
  free(names.list);
  return ok;
}

static bool elements(struct opinion *o, uint32_t depth) {
  blank(o, false);
  if (peek(o) == ']') {
    o->i++;
    return true;
  }
  for (;;) {
    if (!value(o, depth)) return false;
    blank(o, false);
    if (peek(o) == ']') {
      o->i++;
      return true;
    }
    if (!eat(o, ',')) return false;
  }
}

static bool value(struct opinion *o, uint32_t depth) {
  static const char *const words[] = {"true", "false", "null"};
  if (depth) blank(o, false);
  int c = peek(o);
  if (c == '{' || c == '[') {
    if (depth == o->limits->max_depth) return no(o, LN_EDEPTH, o->i);
    o->i++;
    return c == '{' ? members(o, depth + 1) : elements(o, depth + 1);
  }
  if (c == '"') return string(o, NULL);
  for (size_t k = 0; k < LN_COUNT(words); k++) {
    if (c != words[k][0]) continue;
    for (const char *w = words[k]; *w; w++)
      if (!eat(o, (unsigned char)*w)) return false;
    return true;
  }
  return number(o);
}

static enum ln_json_type kind(int c) {
  switch (c) {
    case '{': return LN_JSON_OBJECT;
    case '[': return LN_JSON_ARRAY;
    case '"': return LN_JSON_STRING;
    case 't': return LN_JSON_TRUE;
    case 'f': return LN_JSON_FALSE;
    case 'n': return LN_JSON_NULL;
    default: return c == '-' || (c >= '0' && c <= '9') ? LN_JSON_NUMBER : LN_JSON_NONE;
  }
}

static void compare(const uint8_t *data, size_t size, const struct ln_json_limits *limits) {
  struct opinion o = {.s = data, .n = size, .limits = limits};
  blank(&o, true);
  enum ln_json_type type = kind(peek(&o));
  if (size > limits->max_bytes) {
    no(&o, LN_ELIMIT, limits->max_bytes);
  } else if (value(&o, 0)) {
    blank(&o, true);
    if (o.i < o.n) no(&o, LN_ESYNTAX, o.i);
  }
  struct ln_json_info info;
  int rc = ln_json_scan((struct ln_str){(const char *)data, size}, limits, &info);
  if (rc != o.err || (rc && info.error_at != o.i))
    fprintf(stderr, "scan says %s at %zu, the other opinion is %s at %zu\n", ln_err_name(rc),
            info.error_at, ln_err_name(o.err), o.i);
  MUST(rc == o.err);
  MUST(info.error_at == (rc ? o.i : 0));
  MUST(info.type == type);
  if (rc) return;
  MUST(info.newlines == o.newlines);
  MUST(info.lone_surrogates == o.lone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct ln_json_limits limits = fuzz_limits;
  compare(data, size, &limits);
  limits.unique = true;
  compare(data, size, &limits);
  limits.max_depth = 3;
  limits.max_members = 2;
  limits.max_bytes = 200;
  compare(data, size, &limits);
  return 0;
}
