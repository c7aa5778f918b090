/* Reference-counted blocks and bounded buffers; see buf.h for who owns what. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/account.h"

/* A count for the tests only; nothing reads it to decide anything. */
static _Thread_local size_t live;

struct ln_bytes *ln_bytes_new(size_t len) {
  struct ln_bytes *b = len <= PTRDIFF_MAX - sizeof *b ? malloc(sizeof *b + len) : NULL;
  if (!b) return NULL;
  b->refs = 1;
  b->len = len;
  b->payer = NULL;
  live++;
  return b;
}

struct ln_bytes *ln_bytes_copy(const char *p, size_t n) {
  struct ln_bytes *b = ln_bytes_new(n);
  if (b && n) memcpy(b->data, p, n);
  return b;
}

struct ln_bytes *ln_bytes_ref(struct ln_bytes *b) {
  LN_DEBUG_ASSERT(b->refs > 0);
  b->refs++;
  return b;
}

/* What a block takes beside its bytes; small ones are many. */
enum { BLOCK = 64 };

static void uncharge(struct ln_bytes *b) {
  ln_account_give(b->payer, LN_SHORT_BYTES, b->len + BLOCK);
  ln_account_unref(b->payer);
  b->payer = NULL;
}

void ln_bytes_charge(struct ln_bytes *b, struct ln_account *a) {
  if (!b || b->refs >= LN_BYTES_ALWAYS / 2) return;
  if (!a || b->payer == a || (b->payer && b->payer != a->of)) return;
  struct ln_account *peer = b->payer;
  b->payer = ln_account_ref(a);
  if (peer)
    ln_account_add_part(a, LN_SHORT_BYTES, b->len + BLOCK);
  else
    ln_account_add(a, LN_SHORT_BYTES, b->len + BLOCK);
  ln_account_unref(peer);
}

void ln_bytes_unref(struct ln_bytes *b) {
  if (!b) return;
  LN_DEBUG_ASSERT(b->refs > 0);
  if (--b->refs) return;
  live--;
  if (b->payer) uncharge(b);
  free(b);
}

size_t ln_bytes_live(void) {
  return live;
}

void ln_buf_init(struct ln_buf *b, size_t max) {
  *b = (struct ln_buf){.max = max};
}

void ln_buf_deinit(struct ln_buf *b) {
  ln_bytes_unref(b->block);
  ln_buf_init(b, b->max);
}

static int grow(struct ln_buf *b, size_t n) {
  if (b->err) return b->err;
  if (n > b->max - b->len) return LN_ELIMIT;
  size_t need = b->len + n;
  size_t cap = b->cap ? b->cap : 256;
  while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
  if (cap > b->max) cap = b->max;
  /* One byte past cap is for the NUL that printf insists on. */
  if (cap > PTRDIFF_MAX - sizeof *b->block - 1) return LN_ENOMEM;
  struct ln_bytes *grown = realloc(b->block, sizeof *grown + cap + 1);
  if (!grown) return LN_ENOMEM;
  if (!b->block) {
    grown->refs = 1;
    live++;
  }
  if (!b->block) grown->payer = NULL;
  grown->len = cap;
  b->block = grown;
  b->data = grown->data;
  b->cap = cap;
  return LN_OK;
}

int ln_buf_reserve(struct ln_buf *b, size_t n) {
  return LN_LIKELY(n <= b->cap - b->len) ? b->err : grow(b, n);
}

int ln_buf_fail(struct ln_buf *b, int rc) {
  if (!b->err) b->err = rc;
  return b->err;
}

int ln_buf_append(struct ln_buf *b, const char *p, size_t n) {
  int rc = LN_LIKELY(n <= b->cap - b->len) ? b->err : grow(b, n);
  if (LN_UNLIKELY(rc)) return ln_buf_fail(b, rc);
  if (n) memcpy(b->data + b->len, p, n);
  b->len += n;
  return LN_OK;
}

int ln_buf_append_str(struct ln_buf *b, struct ln_str s) {
  return ln_buf_append(b, s.p, s.n);
}

int ln_buf_append_c(struct ln_buf *b, const char *s) {
  return ln_buf_append(b, s, strlen(s));
}

int ln_buf_printf(struct ln_buf *b, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  int rc = n < 0 ? LN_EINVALID : ln_buf_reserve(b, (size_t)n);
  if (rc == LN_OK && n) {
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    b->len += (size_t)n;
  }
  va_end(again);
  return ln_buf_fail(b, rc);
}

void ln_buf_truncate(struct ln_buf *b, size_t len) {
  LN_ASSERT(len <= b->len);
  b->len = len;
  b->err = LN_OK;
}

void ln_buf_consume(struct ln_buf *b, size_t n) {
  LN_ASSERT(n <= b->len);
  b->len -= n;
  if (b->len && n) memmove(b->data, b->data + n, b->len);
}

struct ln_bytes *ln_buf_take(struct ln_buf *b) {
  if (b->err || !b->len) return NULL;
  struct ln_bytes *block = b->block;
  size_t len = b->len;
  /* Growth by doubling leaves slack; give it back where it is worth a realloc. */
  if (b->cap - len > 64 && b->cap > len + len / 4) {
    struct ln_bytes *fit = realloc(block, sizeof *fit + len);
    if (fit) block = fit;
  }
  block->len = len;
  ln_buf_init(b, b->max);
  return block;
}

struct ln_bytes *ln_buf_finish(struct ln_buf *b) {
  struct ln_bytes *block = ln_buf_take(b);
  ln_buf_deinit(b);
  return block;
}
