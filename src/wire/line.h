/* Newline-framed messages (MCP's stdio transport): bytes in, whole lines out.
 *
 * LF ends a line; one CR before it is dropped. Empty lines are skipped. A line without its LF
 * at the end of input is a half message and is not delivered. */
#ifndef LN_WIRE_LINE_H
#define LN_WIRE_LINE_H

#include "base/buf.h"

struct ln_line {
  struct ln_buf held; /* the beginning of an unfinished line; its max is the line limit */
  bool skipping;      /* inside a line that was too long: dropped up to its LF */
};

void ln_line_init(struct ln_line *l, size_t max_line);
void ln_line_deinit(struct ln_line *l);
/* Takes the next line out of *data, advancing it. On LN_OK *frame holds the line in a block of
 * its own (one reference, the caller's). LN_EAGAIN: *data is used up, feed more. LN_ELIMIT: a
 * line longer than the limit was met; it is dropped and reported once, go on calling.
 * LN_ENOMEM. */
int ln_line_next(struct ln_line *l, struct ln_str *data, struct ln_bytes **frame) LN_CHECK;

#endif
