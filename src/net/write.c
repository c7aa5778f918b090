/* Writing: try at once, queue what is left, keep one libuv write under way, report the marks.
 *
 * Invariants: while in_flight > 0 libuv points into the first in_flight bytes of the queue; a
 * stream with something queued that is up has a write under way. */
#include "net/stream_impl.h"

enum {
  BATCH_PARTS = 64,
  BATCH_BYTES = 256 * 1024, /* a write is done when all of it is: smaller ones free memory sooner */
  BROKEN_GRACE_MS = 1000
};

static void on_written(uv_write_t *req, int status);
static void on_drained(struct ln_stream *s);

size_t ln_stream_queued(const struct ln_stream *s) {
  size_t n = s->queue.bytes;
  if (s->in_flight)
    n -= s->in_flight - LN_MIN(s->in_flight, uv_stream_get_write_queue_size(&s->h.stream));
  return n + (s->tls ? ln_tls_queued(s) : 0);
}

void ln_stream_set_payer(struct ln_stream *s, struct ln_account *payer) {
  s->queue.payer = payer;
}

int ln_stream_write(struct ln_stream *s, const struct ln_iov *parts, size_t n) {
  if (s->closing || s->flushing || s->shut || s->broken) return LN_ECLOSED;
  size_t total = 0, queued = ln_stream_queued(s);
  for (size_t i = 0; i < n; i++) total += parts[i].n;
  if (total > s->hard || queued > s->hard - total) return LN_ELIMIT;
  int rc = s->tls ? ln_tls_write(s, parts, n) : ln_stream_send(s, parts, n);
  if (rc) {
    /* Something may have gone out: what would follow makes no sense any more. */
    s->broken = true;
    return rc;
  }
  if (ln_stream_queued(s) <= s->high) return LN_OK;
  s->full = true;
  return LN_EFULL;
}

/* Gives the kernel what it takes now; *written tells how much that was. */
static int try_now(struct ln_stream *s, const struct ln_iov *parts, size_t n, size_t *written) {
  uv_buf_t bufs[BATCH_PARTS];
  *written = 0;
  for (size_t i = 0; i < n;) {
    unsigned used = 0;
    size_t bytes = 0;
    for (; i < n && used < BATCH_PARTS; i++) {
      if (!parts[i].n) continue;
      /* libuv's buffers aren't const; it only reads them here. */
      bufs[used++] =
          uv_buf_init((char *)parts[i].p, (unsigned)LN_MIN(parts[i].n, (size_t)UINT32_MAX));
      bytes += bufs[used - 1].len;
    }
    if (!used) break;
    int rc = uv_try_write(&s->h.stream, bufs, used);
    if (rc == UV_EAGAIN) return LN_OK;
    if (rc < 0) return LN_ECLOSED;
    *written += (size_t)rc;
    if ((size_t)rc < bytes) return LN_OK;
  }
  return LN_OK;
}

/* Hands the front of the queue to libuv. */
static int push_out(struct ln_stream *s) {
  if (s->in_flight || !s->queue.len || !s->up || s->handle_closing) return LN_OK;
  uv_buf_t bufs[BATCH_PARTS];
  unsigned used = 0;
  size_t bytes = 0;
  for (size_t i = 0; i < s->queue.len && used < BATCH_PARTS && bytes < BATCH_BYTES; i++) {
    const struct ln_iov *e = ln_queue_at(&s->queue, i);
    size_t n = LN_MIN(e->n, BATCH_BYTES - bytes);
    bufs[used++] = uv_buf_init((char *)e->p, (unsigned)n);
    bytes += n;
  }
  s->write_req.data = s;
  int rc = uv_write(&s->write_req, &s->h.stream, bufs, used, on_written);
  if (rc) return ln_stream_uv_err(rc);
  s->in_flight = bytes;
  return LN_OK;
}

int ln_stream_send(struct ln_stream *s, const struct ln_iov *parts, size_t n) {
  if (s->kind == LN_STREAM_FILE) return ln_file_write(s, parts, n);
  size_t written = 0;
  int rc;
  if (s->up && !s->queue.len && (rc = try_now(s, parts, n, &written))) return rc;
  rc = ln_queue_push(&s->queue, parts, n, written);
  return rc ? rc : push_out(s);
}

/* A failed write is not reported while reading goes on: that may still bring data that the peer
 * sent before, and the end. If it doesn't, the end is reported after a while. */
static void on_broken_grace(struct ln_timer *t) {
  ln_stream_report_end(LN_CONTAINER(t, struct ln_stream, timer), LN_ECLOSED);
}

static void break_off(struct ln_stream *s, int err) {
  s->broken = true;
  if (s->flushing)
    ln_stream_close(s);
  else if (s->reading && err == LN_ECLOSED && !s->connect)
    ln_timer_start(s->loop, &s->timer, BROKEN_GRACE_MS, on_broken_grace);
  else
    ln_stream_report_end(s, err);
}

static void on_written(uv_write_t *req, int status) {
  struct ln_stream *s = req->data;
  size_t done = s->in_flight;
  s->in_flight = 0;
  if (s->closing || s->handle_closing) return;
  if (status < 0) {
    break_off(s, ln_stream_uv_err(status));
    return;
  }
  ln_queue_pop(&s->queue, done);
  ln_stream_flush(s);
}

void ln_stream_flush(struct ln_stream *s) {
  if (s->broken) return;
  int rc = push_out(s);
  if (rc) {
    break_off(s, rc);
    return;
  }
  if (s->full && !s->flushing && ln_stream_queued(s) <= s->low) {
    s->full = false;
    if (s->ops->on_drain) s->ops->on_drain(s->arg);
    if (s->closing) return;
  }
  if ((s->shut || s->flushing) && s->up && !ln_stream_queued(s) && !s->in_flight) on_drained(s);
}

/* --- ending our side --- */

static void on_uv_shutdown(uv_shutdown_t *req, int status) {
  struct ln_stream *s = req->data;
  if (s->closing || s->handle_closing) return;
  if (s->flushing && (status < 0 || s->ended)) ln_stream_close(s);
}

static void send_end(struct ln_stream *s) {
  if (s->shut_sent) return;
  s->shut_sent = true;
  if (s->kind == LN_STREAM_FILE || s->kind == LN_STREAM_TTY) return;
  if (s->fifo) {
    if (uv_is_writable(&s->h.stream)) ln_stream_release(s);
    return;
  }
  s->shutdown_req.data = s;
  if (uv_shutdown(&s->shutdown_req, &s->h.stream, on_uv_shutdown) && s->flushing)
    ln_stream_close(s);
}

static void on_drained(struct ln_stream *s) {
  if (!s->flushing) {
    send_end(s);
    return;
  }
  /* Closing a TCP socket with unread input resets it, and a reset may overtake what we wrote last:
   * end our side, then read until the peer ends its own. */
  if (s->kind == LN_STREAM_TCP && !s->ended) {
    send_end(s);
    if (!s->closing) ln_stream_sync_reading(s);
  } else {
    ln_stream_close(s);
  }
}

void ln_stream_shutdown(struct ln_stream *s) {
  if (s->closing || s->flushing || s->shut) return;
  s->shut = true;
  if (s->tls) ln_tls_close_notify(s);
  ln_stream_flush(s);
}

static void on_flush_timeout(struct ln_timer *t) {
  ln_stream_close(LN_CONTAINER(t, struct ln_stream, timer));
}

void ln_stream_close_flushed(struct ln_stream *s, uint64_t timeout_ms) {
  if (s->closing || s->flushing) return;
  if (s->broken || (!s->up && !s->connect)) {
    ln_stream_close(s);
    return;
  }
  if (s->tls && !s->shut) ln_tls_close_notify(s);
  s->flushing = true;
  ln_timer_start(s->loop, &s->timer, timeout_ms, on_flush_timeout);
  ln_stream_flush(s);
}
