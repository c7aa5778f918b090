/* Formatting of log lines, and which of them are written; see log.h. One write(2) a line, so that
 * lines of several processes on one stderr don't mix. */
#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/utf8.h"

enum {
  LINE_MAX_BYTES = 4096, /* so much a pipe takes at once when it takes any */
  BACKLOG_MAX = 256 * 1024,
  FINISH_MS = 1000
};

static const char *const level_names[] = {
#define LN_LOG_NAME(name, text) text,
    LN_LOG_LEVELS(LN_LOG_NAME)
#undef LN_LOG_NAME
};

static const char *const level_colours[] = {"\033[2m", "", "\033[33m", "\033[31m", ""};

void ln_log_init(struct ln_log *log, int fd) {
  const char *no_colour = getenv("NO_COLOR");
  if (no_colour && !*no_colour) no_colour = NULL; /* no-color.org: empty counts as unset */
  *log = (struct ln_log){.level = LN_LOG_INFO, .fd = fd, .colour = isatty(fd) && !no_colour};
  ln_buf_init(&log->backlog, BACKLOG_MAX);
}

int ln_log_level_parse(const char *name) {
  for (size_t i = 0; i < LN_COUNT(level_names); i++)
    if (strcmp(name, level_names[i]) == 0) return (int)i;
  return -1;
}

/* A line is cut, never lost: the message at TEXT_END, the topic well before, so that what
 * closes the line always has room. */
enum { TOPIC_END = 512, TEXT_END = LINE_MAX_BYTES - 16 };

struct line {
  char text[LINE_MAX_BYTES];
  size_t n;
};

static void put_bytes(struct line *l, const char *s, size_t n) {
  n = LN_MIN(n, sizeof l->text - l->n);
  memcpy(l->text + l->n, s, n);
  l->n += n;
}

static void put(struct line *l, const char *s) {
  put_bytes(l, s, strlen(s));
}

/* The control character at s, which is n bytes long, or -1. Besides ASCII's these are the ones
 * that UTF-8 spells c2 80 to c2 9f: some terminals take them for the start of an escape. */
static int control_at(const char *s, size_t n) {
  unsigned char c = (unsigned char)s[0];
  if (n == 1) return c < 0x20 || c == 0x7f ? c : -1;
  return n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0 ? (unsigned char)s[1] : -1;
}

/* What is written for the n bytes at s (0: not UTF-8), and its size; 0 when they may stand for
 * themselves. */
static size_t stand_in(const char *s, size_t n, bool json, char out[16]) {
  if (n == 0) return (size_t)snprintf(out, 16, "\xef\xbf\xbd"); /* U+FFFD */
  int control = control_at(s, n);
  if (control == '\n') return (size_t)snprintf(out, 16, "\\n");
  if (control == '\r') return (size_t)snprintf(out, 16, "\\r");
  if (control >= 0 && (json || control != '\t'))
    return (size_t)snprintf(out, 16, "\\u%04x", (unsigned)control);
  if (json && (*s == '"' || *s == '\\')) return (size_t)snprintf(out, 16, "\\%c", *s);
  return 0;
}

/* Appends s without control characters, as far as it fits before end. */
static void put_escaped(struct line *l, const char *s, bool json, size_t end) {
  for (const char *stop = s + strlen(s); s < stop;) {
    char other[16];
    size_t n = ln_utf8_length(s, stop), size = stand_in(s, n, json, other);
    if (l->n + LN_MAX(size, n) > end) return;
    put_bytes(l, size ? other : s, size ? size : n);
    s += n ? n : 1;
  }
}

/* --- writing, without waiting --- */

static bool can_write(int fd, int ms) {
  struct pollfd p = {.fd = fd, .events = POLLOUT};
  return poll(&p, 1, ms) == 1;
}

static void write_now(int fd, const char *p, size_t n) {
  /* A log that can't be written has nowhere to say so. */
  ssize_t unused = write(fd, p, n);
  (void)unused;
}

/* Whole lines, as many as a pipe takes at once; true when all are written. */
static bool flush(struct ln_log *log, int ms) {
  struct ln_buf *b = &log->backlog;
  while (b->len && can_write(log->fd, ms)) {
    const char *end = memrchr(b->data, '\n', LN_MIN(b->len, (size_t)LINE_MAX_BYTES));
    size_t n = (size_t)(end - b->data) + 1;
    write_now(log->fd, b->data, n);
    ln_buf_consume(b, n);
  }
  if (!b->len) ln_buf_deinit(b);
  return !b->len;
}

static void put_out(struct ln_log *log, const char *p, size_t n) {
  if (flush(log, 0) && can_write(log->fd, 0))
    write_now(log->fd, p, n);
  else if (ln_buf_append(&log->backlog, p, n))
    log->lost++;
}

/* --- lines --- */

static void build(const struct ln_log *log, struct line *l, enum ln_log_level level,
                  const char *topic, const char *text) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct tm tm;
  gmtime_r(&now.tv_sec, &tm);
  char stamp[40], ms[16];
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(ms, sizeof ms, ".%03dZ", (int)(now.tv_nsec / 1000000));
  l->n = 0;
  if (log->json) {
    put(l, "{\"time\":\"");
    put(l, stamp);
    put(l, ms);
    put(l, "\",\"level\":\"");
    put(l, level_names[level]);
    put(l, "\",\"topic\":\"");
    put_escaped(l, topic, true, TOPIC_END);
    put(l, "\",\"message\":\"");
    put_escaped(l, text, true, TEXT_END);
    put(l, "\"}");
  } else {
    const char *colour = log->colour ? level_colours[level] : "";
    put(l, colour);
    put(l, stamp);
    put(l, ms);
    put(l, " ");
    put(l, level_names[level]);
    put(l, " ");
    put_escaped(l, topic, false, TOPIC_END);
    put(l, ": ");
    put_escaped(l, text, false, TEXT_END);
    if (*colour) put(l, "\033[0m");
  }
  put(l, "\n");
}

enum { TEXT_MAX = LINE_MAX_BYTES - 256 };

static void format(char text[TEXT_MAX], const char *fmt, va_list ap) {
  if (vsnprintf(text, TEXT_MAX, fmt, ap) < 0) text[0] = '\0';
}

static void write_text(struct ln_log *log, enum ln_log_level level, const char *topic,
                       const char *text) {
  struct line l;
  build(log, &l, level, topic, text);
  put_out(log, l.text, l.n);
}

/* --- kinds of lines --- */

static uint64_t now_ms(void) {
  return ln_clock_ns() / 1000000;
}

/* How many there were since it was told last; the next while begins. */
static void tell(struct ln_log *log, struct ln_log_kind *k, uint64_t now) {
  char text[TEXT_MAX];
  k->flooded = k->left_out > 0;
  if (k->left_out) {
    snprintf(text, sizeof text, "%u more lines like this were left out in %.0f s: %s", k->left_out,
             (double)(now - k->since) / 1000, k->last);
    log->left_out -= k->left_out;
    write_text(log, k->level, k->name, text);
  }
  k->since = now;
  k->written = k->left_out = 0;
}

/* Whose place may be taken: the lower. What is counted for all topics together is needed longer. */
static int rank_of(const struct ln_log_kind *k) {
  return k->left_out ? 2 : k->topic == 0 && k->fmt ? 1 : 0;
}

/* The kind's place, or another's, the oldest of those that are needed least. */
static struct ln_log_kind *kind_of(struct ln_log *log, const char *fmt, uint64_t topic,
                                   uint64_t now) {
  struct ln_log_kind *place = NULL;
  for (size_t i = 0; i < LN_LOG_KINDS; i++) {
    struct ln_log_kind *k = &log->kinds[i];
    if (k->fmt == fmt && k->topic == topic) return k;
    int than = place ? rank_of(k) - rank_of(place) : -1;
    if (than < 0 || (than == 0 && k->since < place->since)) place = k;
  }
  tell(log, place, now);
  *place = (struct ln_log_kind){.fmt = fmt, .topic = topic, .since = now};
  return place;
}

static bool within(const struct ln_log_kind *k, unsigned first) {
  return !k->flooded && k->written < first;
}

/* Whether a line of this kind is written; if not, it is counted. */
static bool take(struct ln_log *log, enum ln_log_level level, const char *topic, const char *fmt,
                 const char *text) {
  uint64_t now = now_ms();
  struct ln_log_kind *all = kind_of(log, fmt, 0, now);
  if (now - all->since >= LN_LOG_WHILE_MS) tell(log, all, now);
  bool room = within(all, LN_LOG_FIRST_ALL);
  /* Once all are too many there is nothing to be known of each. */
  struct ln_log_kind *one = room ? kind_of(log, fmt, ln_hash(ln_str_c(topic)) | 1, now) : all;
  if (now - one->since >= LN_LOG_WHILE_MS) tell(log, one, now);
  if (room && within(one, LN_LOG_FIRST)) {
    all->written++;
    one->written += one != all;
    return true;
  }
  log->left_out++;
  one->left_out++;
  one->level = level;
  snprintf(one->name, sizeof one->name, "%s", topic);
  snprintf(one->last, sizeof one->last, "%s", text);
  return false;
}

void ln_log_write(struct ln_log *log, enum ln_log_level level, const char *topic, const char *fmt,
                  ...) {
  if (level < log->level || level >= LN_LOG_NONE) return;
  if (level == LN_LOG_ERROR) log->errors++;
  char text[TEXT_MAX];
  va_list ap;
  va_start(ap, fmt);
  format(text, fmt, ap);
  va_end(ap);
  if (level == LN_LOG_DEBUG || take(log, level, topic, fmt, text))
    write_text(log, level, topic, text);
}

void ln_log_write_always(struct ln_log *log, enum ln_log_level level, const char *topic,
                         const char *fmt, ...) {
  if (level < log->level || level >= LN_LOG_NONE) return;
  if (level == LN_LOG_ERROR) log->errors++;
  char text[TEXT_MAX];
  va_list ap;
  va_start(ap, fmt);
  format(text, fmt, ap);
  va_end(ap);
  write_text(log, level, topic, text);
}

void ln_log_write_apart(struct ln_log *log, enum ln_log_level level, const char *topic,
                        const char *fmt, ...) {
  if (level < log->level || level >= LN_LOG_NONE) return;
  char text[TEXT_MAX];
  struct line l;
  va_list ap;
  va_start(ap, fmt);
  format(text, fmt, ap);
  va_end(ap);
  build(log, &l, level, topic, text);
  if (can_write(log->fd, FINISH_MS)) write_now(log->fd, l.text, l.n);
}

bool ln_log_tick(struct ln_log *log, bool all) {
  uint64_t now = log->left_out ? now_ms() : 0;
  for (size_t i = 0; log->left_out && i < LN_LOG_KINDS; i++) {
    struct ln_log_kind *k = &log->kinds[i];
    if (k->left_out && (all || now - k->since >= LN_LOG_WHILE_MS)) tell(log, k, now);
  }
  if (log->backlog.len) flush(log, 0);
  if (log->lost && !log->backlog.len) {
    char text[96];
    snprintf(text, sizeof text, "%llu lines were lost: nobody read the log",
             (unsigned long long)log->lost);
    log->lost = 0;
    write_text(log, LN_LOG_WARN, "log", text);
  }
  return log->left_out || log->backlog.len;
}

void ln_log_finish(struct ln_log *log) {
  ln_log_tick(log, true);
  flush(log, FINISH_MS);
  ln_buf_deinit(&log->backlog);
}

/* --- rations --- */

bool ln_log_ration_take(struct ln_log *log, struct ln_log_ration *r, uint64_t now,
                        const char *topic) {
  if (now - r->since >= 1000) {
    if (r->left_out) LN_LOG(log, WARN, topic, "%u lines more were left out", r->left_out);
    *r = (struct ln_log_ration){.since = now};
  }
  if (r->written < LN_LOG_RATION) {
    r->written++;
    return true;
  }
  r->left_out++;
  return false;
}
