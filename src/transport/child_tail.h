/* A child's stderr as lines, and the last of them kept. Lines are made harmless on the way: no
 * control bytes, no terminal sequences, well-formed UTF-8 only, for they end up in logs and in the
 * error messages that clients get. */
#ifndef LN_TRANSPORT_CHILD_TAIL_H
#define LN_TRANSPORT_CHILD_TAIL_H

#include "base/buf.h"

enum { LN_TAIL_LINES = 20, LN_TAIL_BYTES = 4096, LN_TAIL_LINE_MAX = 1024 };

struct ln_tail {
  struct ln_buf kept; /* cleaned lines, each with its LF but the last */
  unsigned lines;
  struct ln_buf line; /* the one under way, raw; a longer one is cut into several */
};

void ln_tail_init(struct ln_tail *t);
void ln_tail_deinit(struct ln_tail *t);
/* Hands each line that is complete, clean and not empty to `on_line`, and keeps it. */
void ln_tail_feed(struct ln_tail *t, const char *p, size_t n,
                  void (*on_line)(void *arg, const char *line), void *arg);
/* The end of input: what is left without an LF is a line too. */
void ln_tail_end(struct ln_tail *t, void (*on_line)(void *arg, const char *line), void *arg);
/* The kept lines, joined by LF; empty when there were none. */
struct ln_str ln_tail_str(const struct ln_tail *t);

#endif
