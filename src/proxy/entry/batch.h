/* Batches (2025-03-26): an array of messages. Its responses go out together, as one array, when the
 * last is there; what is not a response goes out at once. */
#ifndef LN_PROXY_ENTRY_BATCH_H
#define LN_PROXY_ENTRY_BATCH_H

#include "proxy/client/session.h"

/* text is an array inside bytes. Takes each element as a message of the session; answers through
 * outer. headers: of the HTTP request, or NULL. *requests says how many responses will come.
 * LN_EINVALID with fault when the whole is no batch. */
int ln_batch_take(struct ln_session *s, struct ln_bytes *bytes, struct ln_str text,
                  struct ln_sink *outer, struct ln_bytes *headers, size_t *requests,
                  struct ln_msg_fault *fault) LN_CHECK;

#endif
