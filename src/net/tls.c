/* TLS over a stream: OpenSSL between two memory BIOs. Ciphertext that was read goes into one, what
 * comes out of the other is written to the raw stream, whose queue and marks count ciphertext
 * therefore. Plaintext written before the handshake is done is held in a queue of its own.
 *
 * Reading stops at the raw stream, so what OpenSSL holds is bounded by one read. What it has
 * decrypted, or could, when the owner stops reading stays there until the owner starts again.
 *
 * OpenSSL's error queue is per thread: it is cleared before each call whose error is looked at. */
#include <openssl/err.h>
#include <stdlib.h>

#include "net/stream_impl.h"
#include "net/tls_ctx.h"

/* A memory BIO is wiped whole when it is emptied: it had better stay small. */
enum { RECORD = 16384, FLUSH_AT = 2 * RECORD };

struct ln_tls {
  SSL *ssl;
  struct ln_stream *s;
  struct ln_queue held;
  struct ln_task resume;
  bool started;
  bool ready;
  bool raw_ended;
  bool notify_wanted, notify_sent;
  char host[];
};

int ln_tls_new(struct ln_stream *s, const struct ln_tls_conf *conf, const char *host,
               const char **why) {
  size_t n = strlen(host) + 1;
  struct ln_tls *t = calloc(1, sizeof *t + n);
  *why = ln_err_text(LN_ENOMEM);
  if (!t) return LN_ENOMEM;
  if (!s->loop->tls_scratch && !(s->loop->tls_scratch = malloc(RECORD))) {
    free(t);
    return LN_ENOMEM;
  }
  int rc = ln_tls_ssl_new(s->loop, conf, host, &t->ssl, why);
  if (rc) {
    free(t);
    return rc;
  }
  memcpy(t->host, host, n);
  t->s = s;
  ln_queue_init(&t->held);
  ln_task_init(&t->resume);
  s->tls = t;
  return LN_OK;
}

void ln_tls_free(struct ln_stream *s) {
  struct ln_tls *t = s->tls;
  if (!t) return;
  SSL_free(t->ssl);
  ln_queue_deinit(&t->held);
  ln_task_cancel(&t->resume);
  free(t);
  s->tls = NULL;
}

/* Writes out what OpenSSL has produced. */
static int flush_out(struct ln_tls *t) {
  char *p;
  BIO *to = SSL_get_wbio(t->ssl);
  long n = BIO_get_mem_data(to, &p);
  if (n <= 0) return LN_OK;
  struct ln_iov part = {p, (size_t)n, NULL};
  int rc = ln_stream_send(t->s, &part, 1);
  (void)BIO_reset(to);
  return rc;
}

/* --- writing --- */

static int put_record(struct ln_tls *t, const char *p, size_t n) {
  ERR_clear_error();
  if (n && SSL_write(t->ssl, p, (int)n) <= 0) return LN_ECLOSED;
  return BIO_pending(SSL_get_wbio(t->ssl)) >= FLUSH_AT ? flush_out(t) : LN_OK;
}

/* Small parts share records: each costs some thirty bytes and a round of the cipher. */
static int encrypt(struct ln_tls *t, const struct ln_iov *parts, size_t n) {
  char *scratch = t->s->loop->tls_scratch;
  size_t used = 0;
  int rc = LN_OK;
  for (size_t i = 0; i < n && !rc; i++) {
    const char *p = parts[i].p;
    size_t left = parts[i].n;
    while (left && !rc) {
      if (!used && left >= RECORD) {
        rc = put_record(t, p, RECORD);
        p += RECORD;
        left -= RECORD;
        continue;
      }
      size_t k = LN_MIN(left, RECORD - used);
      memcpy(scratch + used, p, k);
      used += k;
      p += k;
      left -= k;
      if (used == RECORD) {
        rc = put_record(t, scratch, used);
        used = 0;
      }
    }
  }
  return rc ? rc : put_record(t, scratch, used);
}

int ln_tls_write(struct ln_stream *s, const struct ln_iov *parts, size_t n) {
  struct ln_tls *t = s->tls;
  if (!t->ready) return ln_queue_push(&t->held, parts, n, 0);
  int rc = encrypt(t, parts, n);
  return rc ? rc : flush_out(t);
}

size_t ln_tls_queued(const struct ln_stream *s) {
  return s->tls->held.bytes;
}

void ln_tls_close_notify(struct ln_stream *s) {
  struct ln_tls *t = s->tls;
  t->notify_wanted = true;
  if (!t->ready || t->notify_sent) return;
  t->notify_sent = true;
  ERR_clear_error();
  SSL_shutdown(t->ssl);
  /* Whether it gets there doesn't matter on closing; after a shutdown the end is reported anyway.
   */
  int unused = flush_out(t);
  (void)unused;
}

static int write_held(struct ln_tls *t) {
  for (size_t i = 0; i < t->held.len; i++) {
    int rc = encrypt(t, ln_queue_at(&t->held, i), 1);
    if (rc) return rc;
  }
  ln_queue_deinit(&t->held);
  return flush_out(t);
}

/* --- reading --- */

static void log_reason(struct ln_tls *t) {
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  LN_LOG(t->s->loop->log, DEBUG, "net", "TLS with %s broke: %s", t->host,
         reason ? reason : "no reason given");
}

/* Hands out what can be decrypted for as long as the owner wants it. */
static void read_out(struct ln_tls *t) {
  struct ln_stream *s = t->s;
  while (t->ready && s->want_read && !s->ended && !s->closing && !s->flushing) {
    ERR_clear_error();
    int n = SSL_read(t->ssl, s->loop->buf, sizeof s->loop->buf);
    if (n > 0) {
      if (s->ops->on_read) s->ops->on_read(s->arg, s->loop->buf, (size_t)n);
      continue;
    }
    switch (SSL_get_error(t->ssl, n)) {
      case SSL_ERROR_WANT_READ:
        /* Without its close_notify an end may be a cut. */
        if (t->raw_ended) ln_stream_report_end(s, LN_ECLOSED);
        break;
      case SSL_ERROR_ZERO_RETURN: ln_stream_report_end(s, LN_OK); break;
      default: log_reason(t); ln_stream_report_end(s, LN_ECLOSED);
    }
    break;
  }
  /* Reading makes output too: alerts, key updates. If it is lost, so is the connection. */
  if (!s->closing && !s->broken && flush_out(t)) s->broken = true;
}

static void handshake(struct ln_tls *t) {
  struct ln_stream *s = t->s;
  ERR_clear_error();
  int rc = SSL_do_handshake(t->ssl);
  int err = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, rc);
  const char *why = NULL;
  if (err != SSL_ERROR_NONE && err != SSL_ERROR_WANT_READ)
    why = ln_tls_why(s->loop, t->ssl, t->host);
  int sent = flush_out(t);
  if (why) {
    ln_connect_fail(s, LN_ECONNECT, why);
    return;
  }
  if (err == SSL_ERROR_WANT_READ && !sent) return;
  if (!sent && write_held(t) == LN_OK) {
    t->ready = true;
    if (t->notify_wanted) ln_tls_close_notify(s);
    ln_connect_done(s);
    return;
  }
  ln_connect_fail(s, LN_ECONNECT, "the connection was closed during the TLS handshake");
}

void ln_tls_handshake(struct ln_stream *s) {
  s->tls->started = true;
  ln_stream_sync_reading(s);
  handshake(s->tls);
}

bool ln_tls_wants_read(const struct ln_stream *s) {
  return s->tls->started && !s->tls->ready;
}

void ln_tls_feed(struct ln_stream *s, const char *p, size_t n) {
  struct ln_tls *t = s->tls;
  if (BIO_write(SSL_get_rbio(t->ssl), p, (int)n) != (int)n) {
    ln_stream_report_end(s, LN_ENOMEM);
    return;
  }
  if (!t->ready) handshake(t);
  if (t->ready && !s->closing) read_out(t);
}

void ln_tls_eof(struct ln_stream *s) {
  s->tls->raw_ended = true;
  if (s->tls->ready)
    read_out(s->tls);
  else
    ln_stream_report_end(s, LN_ECLOSED);
}

static void on_resume(struct ln_task *task) {
  struct ln_tls *t = LN_CONTAINER(task, struct ln_tls, resume);
  if (!t->s->closing) read_out(t);
}

void ln_tls_resume(struct ln_stream *s) {
  struct ln_tls *t = s->tls;
  if (t->ready && (t->raw_ended || SSL_has_pending(t->ssl) || BIO_pending(SSL_get_rbio(t->ssl))))
    ln_task_post(s->loop, &t->resume, on_resume);
}
