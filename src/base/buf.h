/* Memory that messages live in.
 *
 * ln_bytes: an immutable, reference-counted block. A received message is copied once, out of
 * the shared read buffer into an ln_bytes of exactly its size, and never again: every later
 * stage points into it.
 * ln_buf: a growing buffer with a maximum given when it is made. It can hand its contents
 * over as ln_bytes without a copy.
 * ln_iov: one part of a vectored write; with an owner the part is kept by reference when it
 * can't be written at once, without one it is copied then.
 *
 * Counts are not atomic: an ln_bytes stays in its worker. */
#ifndef LN_BASE_BUF_H
#define LN_BASE_BUF_H

#include "base/base.h"
#include "base/err.h"

struct ln_bytes {
  uint32_t refs;
  size_t len;
  char data[];
};

/* A block of len bytes, contents undefined, one reference held by the caller. NULL when out
 * of memory. */
struct ln_bytes *ln_bytes_new(size_t len);
struct ln_bytes *ln_bytes_copy(const char *p, size_t n);
struct ln_bytes *ln_bytes_ref(struct ln_bytes *b);
/* NULL is fine. */
void ln_bytes_unref(struct ln_bytes *b);
/* Blocks alive in this process: zero at the end of every test. */
size_t ln_bytes_live(void);

struct ln_iov {
  const char *p;
  size_t n;
  struct ln_bytes *owner; /* NULL: the bytes live only until the call returns */
};

/* Invariant: len <= cap <= max. data is NULL while cap is 0. */
struct ln_buf {
  struct ln_bytes *block; /* backing store; data points at its payload */
  char *data;
  size_t len;
  size_t cap;
  size_t max;
};

void ln_buf_init(struct ln_buf *b, size_t max);
/* Frees the store; the buffer may be used again (its maximum stays). */
void ln_buf_deinit(struct ln_buf *b);

/* Room for n more bytes after data+len. LN_ELIMIT past the maximum, LN_ENOMEM. */
int ln_buf_reserve(struct ln_buf *b, size_t n) LN_CHECK;
int ln_buf_append(struct ln_buf *b, const char *p, size_t n) LN_CHECK;
int ln_buf_append_str(struct ln_buf *b, struct ln_str s) LN_CHECK;
int ln_buf_append_c(struct ln_buf *b, const char *s) LN_CHECK;
int ln_buf_printf(struct ln_buf *b, const char *fmt, ...) LN_PRINTF(2, 3) LN_CHECK;
/* Drops the first n bytes (n <= len); the rest moves to the front. */
void ln_buf_consume(struct ln_buf *b, size_t n);
/* Hands the contents over as a block (one reference, the caller's) and leaves the buffer
 * empty. NULL only when out of memory or when the buffer is empty. */
struct ln_bytes *ln_buf_take(struct ln_buf *b);

#ifndef LN_FFI
static inline void ln_buf_clear(struct ln_buf *b) {
  b->len = 0;
}
static inline struct ln_str ln_buf_str(const struct ln_buf *b) {
  return (struct ln_str){b->data ? b->data : "", b->len};
}
#endif

#endif
