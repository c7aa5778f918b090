/* Batches (basic, "Batching", of 2025-03-26 only): an array of messages. Its responses are sent as
 * one array, when the last is there; other messages related to it are sent at once. */
#ifndef LN_PROXY_ENTRY_BATCH_H
#define LN_PROXY_ENTRY_BATCH_H

#include "proxy/client/session.h"

/* text, in bytes, is an array: each element is handled as a message of the session, and the
 * responses go to outer. headers: of the HTTP request, or NULL. *requests: how many responses there
 * will be. LN_EINVALID with fault when it is no batch. */
int ln_batch_take(struct ln_session *s, struct ln_bytes *bytes, struct ln_str text,
                  struct ln_sink *outer, struct ln_bytes *headers, size_t *requests,
                  struct ln_msg_fault *fault) LN_CHECK;

#endif
