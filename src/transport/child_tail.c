/* The tail of a child's stderr; see child_tail.h. Memory that runs out costs lines, nothing more.
 */
#include "transport/child_tail.h"

#include "base/utf8.h"

void ln_tail_init(struct ln_tail *t) {
  *t = (struct ln_tail){.lines = 0};
  ln_buf_init(&t->kept, LN_TAIL_BYTES);
  ln_buf_init(&t->line, LN_TAIL_LINE_MAX);
}

void ln_tail_deinit(struct ln_tail *t) {
  ln_buf_deinit(&t->kept);
  ln_buf_deinit(&t->line);
}

/* The length of a terminal sequence at p, which holds an escape: "ESC [ parameters final", or the
 * escape and the byte after it. */
static size_t sequence(const char *p, const char *end) {
  const char *q = p + 1;
  if (q == end) return 1;
  if (*q++ != '[') return 2;
  while (q < end && (unsigned char)*q >= 0x20 && (unsigned char)*q < 0x40) q++;
  return (size_t)(q - p) + (q < end);
}

/* Copies the harmless part of [p, end) to out, which has room for all of it; its length. */
static size_t clean(char *out, const char *p, const char *end) {
  size_t n = 0;
  while (p < end) {
    unsigned char c = (unsigned char)*p;
    size_t len = ln_utf8_length(p, end);
    if (c == 0x1b) {
      p += sequence(p, end);
    } else if (len == 0) {
      out[n++] = '?';
      p++;
    } else if (len == 1 && ((c < 0x20 && c != '\t') || c == 0x7f)) {
      p++;
    } else {
      memcpy(out + n, p, len);
      n += len;
      p += len;
    }
  }
  return n;
}

static void drop_first(struct ln_tail *t) {
  const char *lf = memchr(t->kept.data, '\n', t->kept.len);
  ln_buf_consume(&t->kept, lf ? (size_t)(lf - t->kept.data) + 1 : t->kept.len);
  t->lines--;
}

static void keep(struct ln_tail *t, const char *line, size_t n) {
  while (t->lines && (t->lines == LN_TAIL_LINES || t->kept.len + n + 1 > LN_TAIL_BYTES))
    drop_first(t);
  if (ln_buf_reserve(&t->kept, n + 1)) return;
  if (t->lines++) t->kept.data[t->kept.len++] = '\n';
  memcpy(t->kept.data + t->kept.len, line, n);
  t->kept.len += n;
}

static void finish(struct ln_tail *t, void (*on_line)(void *arg, const char *line), void *arg) {
  char text[LN_TAIL_LINE_MAX + 1];
  size_t n = clean(text, t->line.data, t->line.data + t->line.len);
  ln_buf_clear(&t->line);
  if (!n) return;
  text[n] = 0;
  keep(t, text, n);
  on_line(arg, text);
}

/* Where to cut a line that is too long: not within a character. */
static size_t whole(const char *p, size_t n) {
  size_t back = 0;
  while (back < 3 && back < n && ((unsigned char)p[n - 1 - back] & 0xc0) == 0x80) back++;
  if (back == n) return n;
  unsigned char lead = (unsigned char)p[n - 1 - back];
  size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return need > back + 1 ? n - 1 - back : n;
}

/* The line has reached its maximum: all of it but a character that is cut off becomes one. */
static void cut(struct ln_tail *t, void (*on_line)(void *arg, const char *line), void *arg) {
  char rest[4];
  size_t n = whole(t->line.data, t->line.len), left = t->line.len - n;
  memcpy(rest, t->line.data + n, left);
  t->line.len = n;
  finish(t, on_line, arg);
  memcpy(t->line.data, rest, left);
  t->line.len = left;
}

void ln_tail_feed(struct ln_tail *t, const char *p, size_t n,
                  void (*on_line)(void *arg, const char *line), void *arg) {
  if (ln_buf_reserve(&t->line, LN_TAIL_LINE_MAX - t->line.len)) return;
  while (n) {
    const char *lf = memchr(p, '\n', n);
    size_t len = lf ? (size_t)(lf - p) : n, room = LN_TAIL_LINE_MAX - t->line.len;
    size_t k = LN_MIN(len, room);
    memcpy(t->line.data + t->line.len, p, k);
    t->line.len += k;
    p += k;
    n -= k;
    if (lf && k == len) {
      p++;
      n--;
      finish(t, on_line, arg);
    } else if (t->line.len == LN_TAIL_LINE_MAX) {
      cut(t, on_line, arg);
    }
  }
}

void ln_tail_end(struct ln_tail *t, void (*on_line)(void *arg, const char *line), void *arg) {
  if (t->line.len) finish(t, on_line, arg);
  ln_buf_deinit(&t->line);
}

struct ln_str ln_tail_str(const struct ln_tail *t) {
  return ln_buf_str(&t->kept);
}
