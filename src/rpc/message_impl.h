/* What the files of message.h share. */
#ifndef LN_RPC_MESSAGE_IMPL_H
#define LN_RPC_MESSAGE_IMPL_H

#include "rpc/message.h"

/* A message of these bytes, referenced, with nothing else in it. NULL when out of memory. */
struct ln_msg *ln_msg_alloc(struct ln_bytes *bytes);
/* Picks the slices out of proven text, an object in bytes. newlines: it has raw line breaks between
 * tokens. Errors and fault as of ln_msg_parse. */
int ln_msg_index(struct ln_bytes *bytes, struct ln_str text, bool newlines, bool strict,
                 struct ln_msg **out, struct ln_msg_fault *fault) LN_CHECK;

#endif
