/* Connecting: name to addresses, one address after the other, each with its share of the time
 * that is left, then TLS if asked for.
 *
 * A lookup in libuv's threads can't be stopped, so its request lives on its own and forgets
 * the stream when that closes first.
 *
 * Invariant: s->connect is there while on_connect is due. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/stream_impl.h"

enum { DEFAULT_TIMEOUT_MS = 30000, MAX_ADDRS = 16, KEEPALIVE_S = 60 };

struct lookup {
  uv_getaddrinfo_t req;
  struct ln_loop *loop;
  struct ln_stream *s; /* NULL: nobody waits any more */
};

struct ln_connect {
  uv_connect_t req;
  struct lookup *lookup;
  struct sockaddr_storage addrs[MAX_ADDRS];
  size_t n, next;
  uint64_t timeout_ms, deadline;
  uint16_t port;
  int err; /* what the last attempt came to, with why */
  char why[384];
  char host[];
};

LN_PRINTF(3, 4) static void set_why(struct ln_connect *c, int err, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(c->why, sizeof c->why, fmt, ap);
  va_end(ap);
  c->err = err;
}

static void set_timed_out(struct ln_connect *c) {
  set_why(c, LN_ETIMEOUT, "connecting to %s:%u took longer than %.3g s", c->host, c->port,
          (double)c->timeout_ms / 1000);
}

static struct ln_connect *connect_new(struct ln_stream *s, const char *host, uint16_t port,
                                      uint64_t timeout_ms) {
  size_t n = strlen(host) + 1;
  struct ln_connect *c = calloc(1, sizeof *c + n);
  if (!c) return NULL;
  memcpy(c->host, host, n);
  c->port = port;
  c->timeout_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS;
  uv_update_time(&s->loop->uv);
  c->deadline = ln_loop_now(s->loop) + c->timeout_ms;
  set_timed_out(c); /* until an attempt has something better to say */
  s->connect = c;
  return c;
}

void ln_connect_free(struct ln_stream *s) {
  if (!s->connect) return;
  if (s->connect->lookup) {
    s->connect->lookup->s = NULL;
    uv_cancel((uv_req_t *)&s->connect->lookup->req);
  }
  free(s->connect);
  s->connect = NULL;
}

/* --- the outcome --- */

static void fail_later(struct ln_task *t) {
  struct ln_stream *s = LN_CONTAINER(t, struct ln_stream, task);
  ln_connect_fail(s, s->connect->err, s->connect->why);
}

void ln_connect_fail(struct ln_stream *s, int err, const char *why) {
  if (s->closing) return;
  s->broken = true; /* no close_notify, no writes */
  if (s->ops->on_connect && !s->flushing) s->ops->on_connect(s->arg, err, why);
  ln_stream_close(s);
}

void ln_connect_done(struct ln_stream *s) {
  if (!s->flushing) ln_timer_stop(&s->timer);
  ln_connect_free(s);
  ln_stream_sync_reading(s);
  if (s->ops->on_connect && !s->flushing) s->ops->on_connect(s->arg, LN_OK, NULL);
  if (!s->closing) ln_stream_flush(s);
}

static uint64_t time_left(const struct ln_stream *s) {
  uint64_t now = ln_loop_now(s->loop);
  return s->connect->deadline > now ? s->connect->deadline - now : 0;
}

static void on_deadline(struct ln_timer *t) {
  struct ln_stream *s = LN_CONTAINER(t, struct ln_stream, timer);
  set_timed_out(s->connect);
  ln_connect_fail(s, s->connect->err, s->connect->why);
}

/* A stream that is being closed flushed has its own limit in the timer already. */
static void set_timer(struct ln_stream *s, uint64_t ms, void (*fn)(struct ln_timer *t)) {
  if (!s->flushing) ln_timer_start(s->loop, &s->timer, ms, fn);
}

/* --- one attempt --- */

static void on_attempt_timeout(struct ln_timer *t) {
  struct ln_stream *s = LN_CONTAINER(t, struct ln_stream, timer);
  set_timed_out(s->connect);
  ln_stream_release(s); /* ln_connect_next follows */
}

static void on_connected(uv_connect_t *req, int status) {
  struct ln_stream *s = req->data;
  if (s->closing || s->handle_closing) return;
  struct ln_connect *c = s->connect;
  if (status < 0) {
    set_why(c, LN_ECONNECT, "could not connect to %s:%u: %s", c->host, c->port,
            uv_strerror(status));
    ln_stream_release(s);
    return;
  }
  s->up = true;
  uv_tcp_nodelay(&s->h.tcp, 1);
  /* A peer that vanished without a word would keep long-lived streams for ever. */
  uv_tcp_keepalive(&s->h.tcp, 1, KEEPALIVE_S);
  if (!s->tls) {
    ln_connect_done(s);
    return;
  }
  set_timer(s, time_left(s), on_deadline);
  ln_tls_handshake(s);
}

void ln_connect_next(struct ln_stream *s) {
  struct ln_connect *c = s->connect;
  uint64_t left = time_left(s);
  if (c->next == c->n || !left) {
    ln_connect_fail(s, c->err, c->why);
    return;
  }
  const struct sockaddr *to = (const struct sockaddr *)&c->addrs[c->next++];
  uv_tcp_init(&s->loop->uv, &s->h.tcp);
  s->open = true;
  s->h.handle.data = s;
  c->req.data = s;
  int rc = uv_tcp_connect(&c->req, &s->h.tcp, to, on_connected);
  if (rc) {
    set_why(c, LN_ECONNECT, "could not connect to %s:%u: %s", c->host, c->port, uv_strerror(rc));
    ln_stream_release(s);
    return;
  }
  set_timer(s, left / (c->n - c->next + 1), on_attempt_timeout);
}

/* --- the name --- */

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *res) {
  struct lookup *k = req->data;
  struct ln_stream *s = k->s;
  k->loop->pending--;
  free(k);
  if (s) {
    struct ln_connect *c = s->connect;
    c->lookup = NULL;
    for (struct addrinfo *a = res; a && c->n < MAX_ADDRS; a = a->ai_next)
      memcpy(&c->addrs[c->n++], a->ai_addr, LN_MIN(a->ai_addrlen, sizeof c->addrs[0]));
    if (c->n) {
      ln_connect_next(s);
    } else {
      set_why(c, LN_ECONNECT, "no address for the host %s: %s", c->host,
              status ? uv_strerror(status) : "none known");
      ln_connect_fail(s, c->err, c->why);
    }
  }
  uv_freeaddrinfo(res);
}

static int look_up(struct ln_stream *s) {
  struct ln_connect *c = s->connect;
  struct lookup *k = calloc(1, sizeof *k);
  if (!k) return UV_ENOMEM;
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  char port[8];
  snprintf(port, sizeof port, "%u", c->port);
  k->loop = s->loop;
  k->s = s;
  k->req.data = k;
  int rc = uv_getaddrinfo(&s->loop->uv, &k->req, on_resolved, c->host, port, &hints);
  if (rc) {
    free(k);
    return rc;
  }
  s->loop->pending++;
  c->lookup = k;
  set_timer(s, c->timeout_ms, on_deadline);
  return 0;
}

/* An address needs no lookup and no thread. */
static bool literal(struct ln_connect *c) {
  if (uv_ip4_addr(c->host, c->port, (struct sockaddr_in *)&c->addrs[0]) == 0 ||
      uv_ip6_addr(c->host, c->port, (struct sockaddr_in6 *)&c->addrs[0]) == 0)
    c->n = 1;
  return c->n == 1;
}

struct ln_stream *ln_stream_connect(struct ln_loop *l, const struct ln_connect_opts *opts,
                                    const struct ln_stream_ops *ops, void *arg) {
  struct ln_stream *s = ln_stream_new(l, LN_STREAM_TCP);
  if (!s) return NULL;
  struct ln_connect *c = connect_new(s, opts->host, opts->port, opts->timeout_ms);
  const char *why;
  int rc = c ? LN_OK : LN_ENOMEM;
  if (!rc && opts->tls.on)
    rc = ln_tls_new(s, &opts->tls, opts->tls_host ? opts->tls_host : opts->host, &why);
  if (rc == LN_ENOMEM) {
    ln_stream_close(s);
    return NULL;
  }
  ln_stream_set_ops(s, ops, arg);
  if (rc) {
    set_why(c, rc, "%s", why);
  } else if (literal(c)) {
    /* Even when it fails at once: the news comes when the handle has closed. */
    ln_connect_next(s);
    return s;
  } else if ((rc = look_up(s))) {
    set_why(c, LN_ECONNECT, "no address for the host %s: %s", c->host, uv_strerror(rc));
  }
  if (rc) ln_task_post(l, &s->task, fail_later);
  return s;
}

static void handshake_later(struct ln_task *t) {
  ln_tls_handshake(LN_CONTAINER(t, struct ln_stream, task));
}

int ln_stream_start_tls(struct ln_stream *s, const struct ln_tls_conf *tls, const char *host) {
  if (s->closing || s->flushing || s->shut || s->broken || !s->up) return LN_ECLOSED;
  if (s->tls || s->connect || s->kind == LN_STREAM_FILE) return LN_EINVALID;
  const char *why;
  struct ln_connect *c = connect_new(s, host, 0, 0);
  if (!c) return LN_ENOMEM;
  int rc = ln_tls_new(s, tls, host, &why);
  if (rc == LN_ENOMEM) {
    ln_connect_free(s);
    return rc;
  }
  if (rc) {
    set_why(c, rc, "%s", why);
    ln_task_post(s->loop, &s->task, fail_later);
    return LN_OK;
  }
  set_timer(s, c->timeout_ms, on_deadline);
  /* It may fail at its first write, and events never come from inside a call. */
  ln_task_post(s->loop, &s->task, handshake_later);
  return LN_OK;
}
