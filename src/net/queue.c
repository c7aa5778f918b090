/* The write queue; see queue.h. */
#include "net/queue.h"

#include <stdlib.h>

enum {
  CHUNK = 4096,
  SMALL = 512, /* below this a copy costs less than an entry and its place in a writev */
  KEEP_CAP = 64
};

void ln_queue_init(struct ln_queue *q) {
  *q = (struct ln_queue){0};
}

void ln_queue_deinit(struct ln_queue *q) {
  for (size_t i = 0; i < q->len; i++) ln_bytes_unref(q->ring[(q->head + i) & (q->cap - 1)].owner);
  ln_bytes_unref(q->chunk);
  free(q->ring);
  ln_queue_init(q);
}

static int grow(struct ln_queue *q) {
  size_t cap = q->cap ? q->cap * 2 : 8;
  struct ln_iov *ring = malloc(cap * sizeof *ring);
  if (!ring) return LN_ENOMEM;
  for (size_t i = 0; i < q->len; i++) ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
  free(q->ring);
  q->ring = ring;
  q->cap = cap;
  q->head = 0;
  return LN_OK;
}

/* Takes over one reference to owner, also on failure. */
static int add(struct ln_queue *q, const char *p, size_t n, struct ln_bytes *owner) {
  if (q->len == q->cap && grow(q)) {
    ln_bytes_unref(owner);
    return LN_ENOMEM;
  }
  ln_bytes_charge(owner, q->payer);
  q->ring[(q->head + q->len++) & (q->cap - 1)] = (struct ln_iov){p, n, owner};
  q->bytes += n;
  return LN_OK;
}

static int add_to_chunk(struct ln_queue *q, const char *p, size_t n) {
  char *at = q->chunk->data + q->chunk_used;
  memcpy(at, p, n);
  q->chunk_used += n;
  if (q->len) {
    struct ln_iov *last = &q->ring[(q->head + q->len - 1) & (q->cap - 1)];
    if (last->p + last->n == at && last->owner == q->chunk) {
      last->n += n;
      q->bytes += n;
      return LN_OK;
    }
  }
  return add(q, at, n, ln_bytes_ref(q->chunk));
}

static int copy(struct ln_queue *q, const char *p, size_t n) {
  size_t room = q->chunk ? q->chunk->len - q->chunk_used : 0;
  if (room) {
    size_t k = LN_MIN(room, n);
    int rc = add_to_chunk(q, p, k);
    if (rc) return rc;
    p += k;
    n -= k;
  }
  if (!n) return LN_OK;
  struct ln_bytes *chunk = ln_bytes_new(LN_MAX(n, (size_t)CHUNK));
  if (!chunk) return LN_ENOMEM;
  ln_bytes_unref(q->chunk);
  q->chunk = chunk;
  q->chunk_used = 0;
  return add_to_chunk(q, p, n);
}

int ln_queue_push(struct ln_queue *q, const struct ln_iov *parts, size_t n, size_t skip) {
  for (size_t i = 0; i < n; i++) {
    size_t off = LN_MIN(skip, parts[i].n), left = parts[i].n - off;
    skip -= off;
    if (!left) continue;
    const char *p = parts[i].p + off;
    int rc = parts[i].owner && left >= SMALL ? add(q, p, left, ln_bytes_ref(parts[i].owner))
                                             : copy(q, p, left);
    if (rc) return rc;
  }
  return LN_OK;
}

const struct ln_iov *ln_queue_at(const struct ln_queue *q, size_t i) {
  LN_DEBUG_ASSERT(i < q->len);
  return &q->ring[(q->head + i) & (q->cap - 1)];
}

/* An idle connection should cost nothing: many streams live long and seldom queue. */
static void trim(struct ln_queue *q) {
  ln_bytes_unref(q->chunk);
  q->chunk = NULL;
  q->chunk_used = 0;
  if (q->cap > KEEP_CAP) {
    free(q->ring);
    q->ring = NULL;
    q->cap = q->head = 0;
  }
}

void ln_queue_pop(struct ln_queue *q, size_t n) {
  LN_ASSERT(n <= q->bytes);
  q->bytes -= n;
  while (n) {
    struct ln_iov *first = &q->ring[q->head];
    if (n < first->n) {
      first->p += n;
      first->n -= n;
      return;
    }
    n -= first->n;
    ln_bytes_unref(first->owner);
    q->head = (q->head + 1) & (q->cap - 1);
    q->len--;
  }
  if (!q->len) trim(q);
}
