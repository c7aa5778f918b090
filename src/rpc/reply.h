/* Answering a request with a message of our own. */
#ifndef LN_RPC_REPLY_H
#define LN_RPC_REPLY_H

#include "rpc/message.h"

/* A reply: a message of kind RESULT or ERROR, the receiver's to unref; its id is anybody's and is
 * replaced on the way out. Never NULL: what failed is an ERROR message. */
typedef void (*ln_reply_fn)(void *arg, struct ln_msg *reply);

/* Each calls done once, with an error. code: JSON-RPC's. */
void ln_reply_error(ln_reply_fn done, void *arg, int code, const char *text);
void ln_reply_no_method(ln_reply_fn done, void *arg, struct ln_str method);
void ln_reply_no_memory(ln_reply_fn done, void *arg);

/* For replies that are not needed: arg is unused. */
void ln_reply_ignore(void *arg, struct ln_msg *reply);

#endif
