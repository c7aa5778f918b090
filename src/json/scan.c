/* The validator: one pass, one state a label, an explicit stack of one word a level.
 *
 * Everything else in this room trusts a text that went through here, so this file alone
 * decides what JSON is: RFC 8259 with nothing added, UTF-8 well formed. A failing text stops
 * at its first wrong byte. The stacks live inside struct scan up to usual sizes: an ordinary
 * message allocates nothing. */
#include <stdlib.h>

#include "json/bytes.h"
#include "json/json.h"
#include "json/names.h"

enum { LEVELS_INLINE = 128 };

/* Level of an array; any other number is an object's start among the names. */
#define IN_ARRAY UINT32_MAX

struct scan {
  const char *start;
  const char *end;
  const struct ln_json_limits *limits;
  struct ln_json_info *info;
  int err;
  uint32_t depth;
  uint32_t levels_cap;
  uint32_t *levels;
  uint32_t first[LEVELS_INLINE];
  struct ln_json_names names;
};

static int walk(struct scan *s);

int ln_json_scan(struct ln_str text, const struct ln_json_limits *limits,
                 struct ln_json_info *info) {
  *info = (struct ln_json_info){.type = ln_json_type_of(text)};
  if (text.n > limits->max_bytes) {
    info->error_at = limits->max_bytes;
    return LN_ELIMIT;
  }
  if (limits->unique && text.n > INT32_MAX) {
    info->error_at = INT32_MAX; /* names are kept as offsets of 31 bits */
    return LN_ELIMIT;
  }
  struct scan s; /* not cleared: the inline stacks would cost more than a short message */
  s.start = text.p ? text.p : "";
  s.end = s.start + text.n;
  s.limits = limits;
  s.info = info;
  s.err = LN_OK;
  s.depth = 0;
  s.levels = s.first;
  s.levels_cap = LEVELS_INLINE;
  if (limits->unique) ln_json_names_init(&s.names, s.start);

  int rc = walk(&s);

  if (s.levels != s.first) free(s.levels);
  if (limits->unique) ln_json_names_deinit(&s.names);
  return rc;
}

/* Notes the error; NULL, for functions that return the next position. */
static const char *fail(struct scan *s, int err, const char *at) {
  s->err = err;
  s->info->error_at = (size_t)(at - s->start);
  return NULL;
}

static inline const char *space(struct scan *s, const char *p) {
  while (p < s->end && (unsigned char)*p <= ' ') {
    if (*p == '\n' || *p == '\r') {
      s->info->newlines = true;
      p = ln_json_run_spaces(p + 1, s->end);
    } else if (*p == ' ' || *p == '\t') {
      p++;
    } else {
      break;
    }
  }
  return p;
}

/* The escape at p (a backslash) that is not of the short kind; past it. */
static const char *escape(struct scan *s, const char *p) {
  if (s->end - p < 2) return fail(s, LN_ESYNTAX, s->end);
  if (p[1] != 'u') return fail(s, LN_ESYNTAX, p + 1);
  for (int i = 2; i < 6; i++) {
    if (p + i == s->end) return fail(s, LN_ESYNTAX, s->end);
    unsigned c = (unsigned char)p[i], low = c | 0x20;
    if (c - '0' > 9 && low - 'a' > 5) return fail(s, LN_ESYNTAX, p + i);
  }
  int unit = ln_json_hex4(p + 2);
  p += 6;
  if (unit < 0xd800 || unit > 0xdfff) return p;
  if (unit < 0xdc00 && s->end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
    int low = ln_json_hex4(p + 2);
    if (low >= 0xdc00 && low <= 0xdfff) return p + 6;
  }
  s->info->lone_surrogates = true;
  return p;
}

/* The string whose opening quote is before p; past its closing quote. */
static inline const char *string(struct scan *s, const char *p, bool *escaped) {
  for (;;) {
    p = ln_json_run_string(p, s->end, escaped);
    if (p == s->end) return fail(s, LN_ESYNTAX, p);
    if (*p == '"') return p + 1;
    if (*p == '\\') {
      *escaped = true;
      p = escape(s, p);
      if (!p) return NULL;
    } else if ((unsigned char)*p < 0x20) {
      return fail(s, LN_ESYNTAX, p);
    } else {
      p = ln_json_run_utf8(p, s->end);
      if (p < s->end && (unsigned char)*p >= 0x80) return fail(s, LN_EUTF8, p);
    }
  }
}

/* At least one digit; past them all. */
static const char *digits(struct scan *s, const char *p) {
  if (p == s->end || (unsigned)(*p - '0') > 9) return fail(s, LN_ESYNTAX, p);
  while (p < s->end && (unsigned)(*p - '0') <= 9) p++;
  return p;
}

/* A number, or what can't be a value at all. */
static const char *number(struct scan *s, const char *p) {
  if (*p == '-') p++;
  p = p < s->end && *p == '0' ? p + 1 : digits(s, p);
  if (p && p < s->end && *p == '.') p = digits(s, p + 1);
  if (p && p < s->end && (*p == 'e' || *p == 'E')) {
    p++;
    if (p < s->end && (*p == '+' || *p == '-')) p++;
    p = digits(s, p);
  }
  return p;
}

static const char *literal(struct scan *s, const char *p, const char *word) {
  for (; *word; word++, p++)
    if (p == s->end || *p != *word) return fail(s, LN_ESYNTAX, p);
  return p;
}

/* Opens the container at p; past its bracket. */
static inline const char *open_level(struct scan *s, const char *p, uint32_t level) {
  if (s->depth == s->limits->max_depth) return fail(s, LN_EDEPTH, p);
  if (LN_UNLIKELY(s->depth == s->levels_cap)) {
    if (s->levels_cap > UINT32_MAX / 2) return fail(s, LN_ELIMIT, p);
    size_t cap = (size_t)s->levels_cap * 2;
    uint32_t *levels = realloc(s->levels == s->first ? NULL : s->levels, cap * sizeof *levels);
    if (!levels) return fail(s, LN_ENOMEM, p);
    if (s->levels == s->first) memcpy(levels, s->first, sizeof s->first);
    s->levels = levels;
    s->levels_cap = (uint32_t)cap;
  }
  s->levels[s->depth++] = level;
  return p + 1;
}

static inline void close_level(struct scan *s) {
  uint32_t level = s->levels[--s->depth];
  if (level != IN_ARRAY && s->limits->unique) ln_json_names_close(&s->names, level);
}

/* A member's name, at p, and its colon; past both. */
static inline const char *member(struct scan *s, const char *p) {
  if (p == s->end || *p != '"') return fail(s, LN_ESYNTAX, p);
  const char *name = p + 1;
  bool escaped = false;
  p = string(s, name, &escaped);
  if (!p) return NULL;
  if (s->limits->unique) {
    uint32_t start = s->levels[s->depth - 1];
    if (s->names.len - start >= s->limits->max_members) return fail(s, LN_ELIMIT, name - 1);
    struct ln_str raw = {name, (size_t)(p - 1 - name)};
    int rc = ln_json_names_add(&s->names, start, raw, escaped);
    if (rc) return fail(s, rc, name - 1);
  }
  p = space(s, p);
  if (p == s->end || *p != ':') return fail(s, LN_ESYNTAX, p);
  return p + 1;
}

static int walk(struct scan *s) {
  const char *p = ln_json_skip_space(s->start, s->end);
  bool escaped;

value:
  p = space(s, p);
  if (p == s->end) goto wrong;
  switch (*p) {
    case '{':
      if (!(p = open_level(s, p, s->limits->unique ? s->names.len : 0))) return s->err;
      p = space(s, p);
      if (p < s->end && *p == '}') goto close;
      goto name;
    case '[':
      if (!(p = open_level(s, p, IN_ARRAY))) return s->err;
      p = space(s, p);
      if (p < s->end && *p == ']') goto close;
      goto value;
    case '"': p = string(s, p + 1, &escaped); break;
    case 't': p = literal(s, p, "true"); break;
    case 'f': p = literal(s, p, "false"); break;
    case 'n': p = literal(s, p, "null"); break;
    default: p = number(s, p); break;
  }
  if (!p) return s->err;

after_value:
  if (s->depth == 0) {
    p = ln_json_skip_space(p, s->end);
    if (p < s->end) goto wrong;
    return LN_OK;
  }
  p = space(s, p);
  if (p == s->end) goto wrong;
  bool in_array = s->levels[s->depth - 1] == IN_ARRAY;
  if (*p == ',') {
    p++;
    if (in_array) goto value;
    p = space(s, p);
    goto name;
  }
  if (*p != (in_array ? ']' : '}')) goto wrong;

close:
  close_level(s);
  p++;
  goto after_value;

name:
  p = member(s, p);
  if (!p) return s->err;
  goto value;

wrong:
  fail(s, LN_ESYNTAX, p);
  return s->err;
}
