/* Files that were read, and what was in them: how the watcher knows a change from a file that was
 * only written again. */
#ifndef LN_BASE_SOURCE_H
#define LN_BASE_SOURCE_H

#include "base/buf.h"

struct ln_source {
  char *path;
  uint64_t content; /* of what was read, see ln_source_content; 0: nothing was there */
};

/* Zeroed: empty. Each path once. */
struct ln_sources {
  struct ln_source *at;
  size_t n;
};

/* Reads a whole file (anything that can be read, once) to the end of out, and notes it. LN_OK, or
 * LN_ESYSTEM with errno, LN_ENOMEM, LN_ELIMIT: out's maximum. */
int ln_sources_read(struct ln_sources *s, const char *path, struct ln_buf *out) LN_CHECK;
/* Notes a path with what was in it; the newest counts. What there is no memory for isn't watched,
 * and that is all that is lost. */
void ln_sources_note(struct ln_sources *s, const char *path, uint64_t content);
/* Notes all of another. */
void ln_sources_add(struct ln_sources *s, const struct ln_sources *more);
void ln_sources_deinit(struct ln_sources *s);

/* What is in a file now, as a number that another content surely hasn't; 0 when there is no regular
 * file that can be read. */
uint64_t ln_source_content(const char *path);

#endif
