/* A message on its way out: the received bytes with a few slices replaced (an id, a progress
 * token, a name), as parts of a vectored write. Nothing is copied but the replacements. */
#ifndef LN_RPC_OUT_H
#define LN_RPC_OUT_H

#include "rpc/message.h"

enum { LN_OUT_EDITS = 4, LN_OUT_PARTS = 2 * LN_OUT_EDITS + 1 };

/* Lives on the stack of the sender. The parts borrow from the message and from the edits'
 * strings, which must outlive it. */
struct ln_out {
  struct ln_iov parts[LN_OUT_PARTS];
  size_t n;
  const struct ln_msg *msg;
  struct ln_edit edits[LN_OUT_EDITS];
  size_t n_edits;
  char number[4][LN_DIGITS + 1]; /* room for integers that replace something */
  size_t n_numbers;
  struct ln_bytes *flat; /* ours: the one-line copy, when one was needed */
};

void ln_out_init(struct ln_out *o, const struct ln_msg *m);
/* Replaces a slice of the message (ignored when absent). In any order; at most LN_OUT_EDITS. */
void ln_out_replace(struct ln_out *o, struct ln_str at, struct ln_str with);
void ln_out_replace_int(struct ln_out *o, struct ln_str at, int64_t with);
/* What the message goes out with as its id. */
struct ln_str ln_out_id(const struct ln_out *o);
/* Builds the parts. With one_line a message with raw line breaks is flattened (by a copy); else its
 * bytes go as they are. LN_ENOMEM. */
int ln_out_finish(struct ln_out *o, bool one_line) LN_CHECK;
void ln_out_deinit(struct ln_out *o);

#endif
