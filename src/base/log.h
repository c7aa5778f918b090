/* The log: lines on stderr, as text or as JSON objects, never on stdout (that is the
 * protocol's). Whatever comes from a peer is escaped: no CR, LF, NUL or other control byte
 * reaches a line (no forged entries, no terminal escapes). Colour only on a terminal.
 *
 * Writing never waits: when nobody reads stderr, lines wait in memory, and then are lost, and
 * counted. A log is its thread's. */
#ifndef LN_BASE_LOG_H
#define LN_BASE_LOG_H

#include "base/buf.h"

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

/* Lines of one kind: of the same text but for what it is about, from the same topic (and of the
 * same text from all topics together). Who makes us say one thing again and again takes neither the
 * log nor our time: the first are written, then one a while that says how many there were. */
enum {
  LN_LOG_KINDS = 64,
  LN_LOG_FIRST = 20,      /* of one kind … */
  LN_LOG_FIRST_ALL = 100, /* … and of one text from all topics, written at once */
  LN_LOG_WHILE_MS = 10000
};
struct ln_log_kind {
  const char *fmt;
  uint64_t topic; /* hashed; 0: all of them together */
  uint64_t since; /* ms */
  enum ln_log_level level;
  unsigned written, left_out;
  bool flooded; /* more were left out in the while before this one: none is written now */
  char name[48], last[160];
};

struct ln_log {
  enum ln_log_level level;
  bool json;
  bool colour;
  int fd;
  uint64_t errors; /* lines at level error, for the tests' "empty error log" */
  size_t left_out; /* that no line has told of yet */
  struct ln_log_kind kinds[LN_LOG_KINDS];
  struct ln_buf backlog; /* lines that could not be written without waiting … */
  uint64_t lost;         /* … and how many did not fit */
};

void ln_log_init(struct ln_log *log, int fd);
/* Writes what is left to be written, for a second at most, and frees it. */
void ln_log_finish(struct ln_log *log);
/* One line. topic says where it comes from ("upstream files", "policy a.lua:12"). fmt is a
 * constant: with the topic it is the line's kind, of which not all are written but those of level
 * debug. */
void ln_log_write(struct ln_log *log, enum ln_log_level level, const char *topic, const char *fmt,
                  ...) LN_PRINTF(4, 5);
/* The same, whatever was written before: what a policy says itself, what servers say on stderr. */
void ln_log_write_always(struct ln_log *log, enum ln_log_level level, const char *topic,
                         const char *fmt, ...) LN_PRINTF(4, 5);
/* The same from another thread than the log's, which may be stuck. */
void ln_log_write_apart(struct ln_log *log, enum ln_log_level level, const char *topic,
                        const char *fmt, ...) LN_PRINTF(4, 5);
/* Tells of what was left out, once its while is over (all: at once), and goes on with the backlog.
 * True: there is more to be done later. */
bool ln_log_tick(struct ln_log *log, bool all);
/* What one server may have the log say word for word, a line each. Zeroed at first. */
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
#endif

#endif
