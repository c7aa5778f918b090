/* Formatting of log lines; see log.h. One write(2) a line, so that lines of several
 * processes on one stderr don't mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

enum { LINE_MAX_BYTES = 4096 };

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

void ln_log_write(struct ln_log *log, enum ln_log_level level, const char *topic, const char *fmt,
                  ...) {
  if (level < log->level || level >= LN_LOG_NONE) return;
  if (level == LN_LOG_ERROR) log->errors++;
  char text[LINE_MAX_BYTES - 256];
  va_list ap;
  va_start(ap, fmt);
  if (vsnprintf(text, sizeof text, fmt, ap) < 0) text[0] = '\0';
  va_end(ap);

  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct tm tm;
  gmtime_r(&now.tv_sec, &tm);
  char stamp[40], ms[16];
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(ms, sizeof ms, ".%03dZ", (int)(now.tv_nsec / 1000000));

  struct line l = {.n = 0};
  if (log->json) {
    put(&l, "{\"time\":\"");
    put(&l, stamp);
    put(&l, ms);
    put(&l, "\",\"level\":\"");
    put(&l, level_names[level]);
    put(&l, "\",\"topic\":\"");
    put_escaped(&l, topic, true, TOPIC_END);
    put(&l, "\",\"message\":\"");
    put_escaped(&l, text, true, TEXT_END);
    put(&l, "\"}");
  } else {
    const char *colour = log->colour ? level_colours[level] : "";
    put(&l, colour);
    put(&l, stamp);
    put(&l, ms);
    put(&l, " ");
    put(&l, level_names[level]);
    put(&l, " ");
    put_escaped(&l, topic, false, TOPIC_END);
    put(&l, ": ");
    put_escaped(&l, text, false, TEXT_END);
    if (*colour) put(&l, "\033[0m");
  }
  put(&l, "\n");
  /* A log that can't be written has nowhere to say so. */
  ssize_t unused = write(log->fd, l.text, l.n);
  (void)unused;
}

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
