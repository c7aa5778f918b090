/* Formatting of log lines; see log.h. One write(2) a line, so that lines of several
 * processes on one stderr don't mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

static const char *const level_names[] = {
#define LN_LOG_NAME(name, text) text,
    LN_LOG_LEVELS(LN_LOG_NAME)
#undef LN_LOG_NAME
};

static const char *const level_colours[] = {"\033[2m", "", "\033[33m", "\033[31m", ""};

void ln_log_init(struct ln_log *log, int fd) {
  *log = (struct ln_log){.level = LN_LOG_INFO, .fd = fd, .colour = isatty(fd)};
}

int ln_log_level_parse(const char *name) {
  for (size_t i = 0; i < LN_COUNT(level_names); i++)
    if (strcmp(name, level_names[i]) == 0) return (int)i;
  return -1;
}

struct line {
  char text[LINE_MAX_BYTES];
  size_t n;
};

static void put(struct line *l, const char *s) {
  size_t n = strlen(s), room = sizeof l->text - 8 - l->n;
  if (n > room) n = room;
  memcpy(l->text + l->n, s, n);
  l->n += n;
}

/* Control bytes become \n, \r or \u00XX; in JSON quotes and backslashes are escaped too. */
static void put_escaped(struct line *l, const char *s, bool json) {
  for (; *s && l->n < sizeof l->text - 16; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '\n' || c == '\r') {
      l->text[l->n++] = '\\';
      l->text[l->n++] = c == '\n' ? 'n' : 'r';
    } else if ((c < 0x20 && (json || c != '\t')) || c == 0x7f) {
      l->n += (size_t)snprintf(l->text + l->n, 8, "\\u%04x", c);
    } else {
      if (json && (c == '"' || c == '\\')) l->text[l->n++] = '\\';
      l->text[l->n++] = (char)c;
    }
  }
}

void ln_log_write(struct ln_log *log, enum ln_log_level level, const char *topic, const char *fmt,
                  ...) {
  if (level < log->level || level >= LN_LOG_NONE) return;
  if (level == LN_LOG_ERROR) log->errors++;
  char text[LINE_MAX_BYTES - 256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
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
    put_escaped(&l, topic, true);
    put(&l, "\",\"message\":\"");
    put_escaped(&l, text, true);
    put(&l, "\"}");
  } else {
    const char *colour = log->colour ? level_colours[level] : "";
    put(&l, colour);
    put(&l, stamp);
    put(&l, ms);
    put(&l, " ");
    put(&l, level_names[level]);
    put(&l, " ");
    put_escaped(&l, topic, false);
    put(&l, ": ");
    put_escaped(&l, text, false);
    if (*colour) put(&l, "\033[0m");
  }
  l.text[l.n++] = '\n';
  /* A log that can't be written has nowhere to say so. */
  ssize_t unused = write(log->fd, l.text, l.n);
  (void)unused;
}
