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
/* What one peer may have the log say of it, so that who floods us with lines worth a line each
 * takes neither the log nor our time. Zeroed at first. */
struct ln_log_ration {
  uint64_t since; /* ms, as given */
  unsigned written, left_out;
};
/* True when one more line may be written: LN_LOG_RATION of them a second. What was left out before
 * is counted in a line of its own. now: ms of any clock that does not go back. */
enum { LN_LOG_RATION = 200 };
bool ln_log_ration_take(struct ln_log *log, struct ln_log_ration *r, uint64_t now,
                        const char *topic);
/* "debug" … "none" to a level; -1 when there is no such level. */
int ln_log_level_parse(const char *name);

#ifndef LN_FFI
#define LN_LOG(log, lvl, topic, ...)                                                           \
  do {                                                                                         \
    if ((log)->level <= LN_LOG_##lvl) ln_log_write((log), LN_LOG_##lvl, (topic), __VA_ARGS__); \
  } while (0)
/* The same as far as a ration goes. */
#define LN_LOG_RATIONED(log, ration, now, lvl, topic, ...)                                   \
  do {                                                                                       \
    if ((log)->level <= LN_LOG_##lvl && ln_log_ration_take((log), (ration), (now), (topic))) \
      ln_log_write((log), LN_LOG_##lvl, (topic), __VA_ARGS__);                               \
  } while (0)
#endif

#endif
