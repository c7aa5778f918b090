/* Templates read forwards; see expand.h. */
#include "mcp/expand.h"

/* How each operator puts its variables together (RFC 6570, appendix A). */
static const struct op {
  char op;
  char first, between; /* 0: nothing */
  bool named;          /* "name=value" */
  bool bare;           /* … but "name" alone when the value is empty */
  bool reserved;       /* reserved characters stand as they are */
} ops[] = {
    {'+', 0, ',', false, false, true},    {'#', '#', ',', false, false, true},
    {'.', '.', '.', false, false, false}, {'/', '/', '/', false, false, false},
    {';', ';', ';', true, true, false},   {'?', '?', '&', true, false, false},
    {'&', '&', '&', true, false, false},
};
static const struct op plain = {0, 0, ',', false, false, false};

struct expansion {
  ln_expand_fn value;
  void *arg;
  struct ln_buf *out;
  bool glob;
  bool unknown; /* something was not known */
  bool starred; /* in this expression, by a star that may be the next one's sign, too */
};

static void put(struct expansion *e, char c) {
  if (e->glob && memchr("*?[\\", c, 4)) ln_buf_append_c(e->out, "\\");
  ln_buf_append(e->out, &c, 1);
}

static bool stands(char c, bool reserved) {
  bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return word || (c && strchr("-._~", c)) || (reserved && c && strchr(":/?#[]@!$&'()*+,;=", c));
}

/* max: {x:n}, in characters. */
static void put_value(struct expansion *e, struct ln_str text, bool reserved, size_t max) {
  static const char digits[] = "0123456789ABCDEF";
  size_t n = 0;
  for (size_t i = 0; i < text.n; i++) {
    unsigned char c = (unsigned char)text.p[i];
    if ((c & 0xC0) != 0x80 && n++ == max) break;
    if (stands((char)c, reserved)) {
      put(e, (char)c);
    } else {
      put(e, '%');
      put(e, digits[c >> 4]);
      put(e, digits[c & 15]);
    }
  }
}

/* name, perhaps with "*" or ":n" behind it. False: nothing was put. */
static bool variable(struct expansion *e, const struct op *op, struct ln_str spec, bool first) {
  struct ln_str name = spec;
  size_t max = SIZE_MAX;
  const char *colon = memchr(spec.p, ':', spec.n);
  if (colon) {
    name.n = (size_t)(colon - spec.p);
    max = 0;
    for (const char *p = colon + 1; p < spec.p + spec.n && *p >= '0' && *p <= '9' && max < 10000;
         p++)
      max = max * 10 + (size_t)(*p - '0');
  } else if (name.n && name.p[name.n - 1] == '*') {
    name.n--;
  }
  struct ln_str value = e->value(e->arg, name);
  e->unknown |= !value.p;
  if (!value.p) { /* for a glob all that it may be, with its sign */
    if (e->glob) ln_buf_append_c(e->out, "*");
    e->starred = e->glob;
    return false;
  }
  char sign = first ? op->first : op->between;
  if (sign && !e->starred) put(e, sign);
  e->starred = false;
  for (size_t i = 0; op->named && i < name.n; i++) put(e, name.p[i]);
  if (op->named && !(op->bare && !value.n)) put(e, '=');
  put_value(e, value, op->reserved, max);
  return true;
}

/* What is between the braces. */
static void expression(struct expansion *e, struct ln_str inside) {
  const struct op *op = &plain;
  for (size_t i = 0; i < LN_COUNT(ops) && inside.n; i++)
    if (inside.p[0] == ops[i].op) op = &ops[i];
  if (op != &plain) inside.p++, inside.n--;
  e->starred = false;
  bool first = true;
  for (size_t end; inside.n; inside.p += end, inside.n -= end) {
    for (end = 0; end < inside.n && inside.p[end] != ','; end++) continue;
    if (variable(e, op, (struct ln_str){inside.p, end}, first)) first = false;
    if (end < inside.n) end++;
  }
}

static int expand(struct expansion *e, struct ln_str t) {
  for (size_t i = 0; i < t.n; i++) {
    const char *close = t.p[i] == '{' ? memchr(t.p + i, '}', t.n - i) : NULL;
    if (!close) {
      put(e, t.p[i]);
      continue;
    }
    expression(e, (struct ln_str){t.p + i + 1, (size_t)(close - t.p) - i - 1});
    i = (size_t)(close - t.p);
  }
  return ln_buf_error(e->out);
}

int ln_expand(struct ln_str t, ln_expand_fn value, void *arg, struct ln_buf *out) {
  struct expansion e = {.value = value, .arg = arg, .out = out};
  int rc = expand(&e, t);
  return rc ? rc : e.unknown ? LN_EAGAIN : LN_OK;
}

int ln_expand_glob(struct ln_str t, ln_expand_fn value, void *arg, struct ln_buf *out) {
  struct expansion e = {.value = value, .arg = arg, .out = out, .glob = true};
  return expand(&e, t);
}
