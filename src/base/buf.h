/* Memory that messages live in.
 *
 * ln_bytes: an immutable, reference-counted block. A received message is copied once, out of
 * the shared read buffer into an ln_bytes of exactly its size, and never again: every later
 * stage points into it.
 * ln_buf: a growing buffer with a maximum given when it is made. It can hand its contents
 * over as ln_bytes without a copy. It remembers the first append that failed: a text is built
 * by plain lines and checked once, at its end.
 * ln_iov: one part of a vectored write; with an owner the part is kept by reference when it
 * can't be written at once, without one it is copied then.
 *
 * Counts are not atomic: an ln_bytes stays in its worker. */
#ifndef LN_BASE_BUF_H
#define LN_BASE_BUF_H

#include "base/base.h"
#include "base/err.h"

struct ln_account;

struct ln_bytes {
  uint32_t refs;
  size_t len;
  struct ln_account *payer; /* who holds it, see ln_bytes_charge; counted, or NULL */
  char data[];
};

/* A block of len bytes, contents undefined, one reference held by the caller. NULL when out
 * of memory. */
struct ln_bytes *ln_bytes_new(size_t len);
struct ln_bytes *ln_bytes_copy(const char *p, size_t n);
struct ln_bytes *ln_bytes_ref(struct ln_bytes *b);
/* NULL is fine. */
void ln_bytes_unref(struct ln_bytes *b);
/* It is kept for that account's peer (NULL: nobody counts), and is charged to it until it is freed,
 * whoever refers to it meanwhile. Who was charged first stays charged; only from a peer's account
 * it moves into a part of the same. */
void ln_bytes_charge(struct ln_bytes *b, struct ln_account *a);
/* One with so many references is there always, and is charged to nobody. */
enum { LN_BYTES_ALWAYS = 1 << 30 };
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
  int err; /* of the first append that failed; see below */
};

void ln_buf_init(struct ln_buf *b, size_t max);
/* Frees the store; the buffer may be used again (its maximum stays). */
void ln_buf_deinit(struct ln_buf *b);

/* Appends: all of it or nothing. LN_ELIMIT past the maximum, LN_ENOMEM. The buffer has then failed:
 * what it holds stays as it is, and every further append does nothing and returns that first error,
 * until ln_buf_clear, ln_buf_truncate, ln_buf_deinit or ln_buf_init. So no single append needs a
 * check, but every text needs one at its end: ln_buf_error, ln_buf_take or ln_buf_finish. Functions
 * of other files that append to a buffer given to them keep to this by ln_buf_fail. */
int ln_buf_append(struct ln_buf *b, const char *p, size_t n);
int ln_buf_append_str(struct ln_buf *b, struct ln_str s);
int ln_buf_append_c(struct ln_buf *b, const char *s);
int ln_buf_printf(struct ln_buf *b, const char *fmt, ...) LN_PRINTF(2, 3);
/* Room for n more bytes after data+len, for a caller that writes there itself. The error of the
 * buffer, or LN_ELIMIT, LN_ENOMEM, which are not remembered, as less may fit. */
int ln_buf_reserve(struct ln_buf *b, size_t n) LN_CHECK;
/* The buffer has failed with rc, unless rc is LN_OK or it failed before. Returns its error. */
int ln_buf_fail(struct ln_buf *b, int rc);
/* Drops all but the first len bytes (no more than there are) and forgets the error: for a text that
 * is cut where it is too long, or goes on without what did not fit. */
void ln_buf_truncate(struct ln_buf *b, size_t len);
/* Drops the first n bytes (n <= len); the rest moves to the front. */
void ln_buf_consume(struct ln_buf *b, size_t n);
/* Hands the contents over as a block (one reference, the caller's) and leaves the buffer
 * empty. NULL when the buffer has failed (it keeps what it holds) or is empty. */
struct ln_bytes *ln_buf_take(struct ln_buf *b);
/* The same, and the buffer's deinit whatever came of it. */
struct ln_bytes *ln_buf_finish(struct ln_buf *b);

#ifndef LN_FFI
/* Its bytes; absent when b is NULL. */
static inline struct ln_str ln_bytes_str(const struct ln_bytes *b) {
  return b ? (struct ln_str){b->data, b->len} : LN_STR_NONE;
}
/* The error of the first append that failed, or LN_OK. */
static inline LN_CHECK int ln_buf_error(const struct ln_buf *b) {
  return b->err;
}
static inline void ln_buf_clear(struct ln_buf *b) {
  b->len = 0;
  b->err = LN_OK;
}
/* What there is, whether or not more was to come: ask ln_buf_error before it is used as a whole. */
static inline struct ln_str ln_buf_str(const struct ln_buf *b) {
  return (struct ln_str){b->data ? b->data : "", b->len};
}
#endif

#endif
