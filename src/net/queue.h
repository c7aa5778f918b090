/* What a stream has accepted and the kernel hasn't taken yet: a ring of parts, in order. Parts
 * with an owner are kept by reference, others (and small ones, which aren't worth an entry of
 * their own) are copied into shared chunks.
 *
 * Invariant: bytes is the sum of the entries; every entry has n > 0 and holds one reference. The
 * memory an entry points at doesn't move while it is queued. */
#ifndef LN_NET_QUEUE_H
#define LN_NET_QUEUE_H

#include "base/buf.h"

struct ln_queue {
  struct ln_iov *ring;
  size_t cap; /* a power of two, or 0 */
  size_t head;
  size_t len;
  size_t bytes;
  struct ln_bytes *chunk; /* the newest chunk of copies; one reference of our own */
  size_t chunk_used;
  struct ln_account *payer; /* who holds what is in it (base/buf.h); borrowed, or NULL */
};

void ln_queue_init(struct ln_queue *q);
void ln_queue_deinit(struct ln_queue *q);
/* Queues the parts but for the first `skip` bytes of them. LN_ENOMEM: some may have been taken. How
 * much may be queued is the caller's to limit. */
int ln_queue_push(struct ln_queue *q, const struct ln_iov *parts, size_t n, size_t skip) LN_CHECK;
/* The i-th entry from the front, i < q->len. */
const struct ln_iov *ln_queue_at(const struct ln_queue *q, size_t i);
/* Drops bytes from the front, also in the middle of an entry; n <= q->bytes. */
void ln_queue_pop(struct ln_queue *q, size_t n);

#endif
