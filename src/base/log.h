/* The log: lines on stderr, as text or as JSON objects, never on stdout (that is the
 * protocol's). Whatever comes from a peer is escaped: no CR, LF, NUL or other control byte
 * reaches a line (no forged entries, no terminal escapes). Colour only on a terminal. */
#ifndef LN_BASE_LOG_H
#define LN_BASE_LOG_H

#include "base/base.h"

#define LN_LOG_LEVELS(X) \
  X(DEBUG, "debug")      \
  X(INFO, "info")        \
  X(WARN, "warn")        \
  X(ERROR, "error")      \
  X(NONE, "none")

enum ln_log_level {
#define LN_LOG_ENUM(name, text) LN_LOG_##name,
  LN_LOG_LEVELS(LN_LOG_ENUM)
#undef LN_LOG_ENUM
};

struct ln_log {
  enum ln_log_level level;
  bool json;
  bool colour;
  int fd;
  uint64_t errors; /* lines written at level error, for the tests' "empty error log" */
};

void ln_log_init(struct ln_log *log, int fd);
/* One line. topic says where it comes from ("upstream files", "policy a.lua:12"). */
void ln_log_write(struct ln_log *log, enum ln_log_level level, const char *topic, const char *fmt,
                  ...) LN_PRINTF(4, 5);
/* "debug" … "none" to a level; -1 when there is no such level. */
int ln_log_level_parse(const char *name);

#ifndef LN_FFI
#define LN_LOG(log, lvl, topic, ...)                                                           \
  do {                                                                                         \
    if ((log)->level <= LN_LOG_##lvl) ln_log_write((log), LN_LOG_##lvl, (topic), __VA_ARGS__); \
  } while (0)
#endif

#endif
