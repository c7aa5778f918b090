/* A client connection: connect (TLS, CONNECT), write a call, parse its response; see
 * http_client.h. */
#include "transport/http_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "transport/http_pool.h"

enum { KEPT_HEAD = 1024 }; /* bytes of the last head that an idle connection may hold */

static const struct ln_stream_ops stream_ops;

struct ln_http_client *ln_http_client_open(struct ln_http_pool *pool) {
  struct ln_http_client *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  const struct ln_http_route *r = &pool->route;
  bool proxied = r->proxy.text != NULL;
  const struct ln_url *first = proxied ? &r->proxy : &r->url;
  struct ln_connect_opts opts = {
      .host = first->host.p,
      .port = first->port,
      .timeout_ms = pool->conf->connect_timeout_ms,
  };
  if (!opts.timeout_ms) opts.timeout_ms = LN_POOL_CONNECT_MS;
  /* The settings are about the server: a proxy is held to the system's certificates. */
  if (!proxied) opts.tls = r->tls;
  opts.tls.on = first->tls;
  opts.tls.alpn = "http/1.1";
  c->pool = pool;
  c->state = LN_CLIENT_CONNECTING;
  c->idle_ms = LN_POOL_IDLE_MS;
  ln_list_init(&c->all);
  ln_list_init(&c->idle);
  ln_timer_init(&c->timer);
  ln_http_init(&c->http, LN_HTTP_RESPONSE, LN_POOL_HEAD, 0);
  c->stream = ln_stream_connect(pool->loop, &opts, &stream_ops, c);
  if (!c->stream) {
    ln_http_deinit(&c->http);
    free(c);
    return NULL;
  }
  return c;
}

void ln_http_client_close(struct ln_http_client *c) {
  c->state = LN_CLIENT_CLOSING;
  ln_timer_stop(&c->timer);
  ln_stream_close(c->stream);
}

int ln_http_client_start(struct ln_http_client *c, struct ln_http_call *x) {
  int rc = ln_stream_write(c->stream, x->parts, x->n_parts);
  if (rc && rc != LN_EFULL) return rc;
  c->state = LN_CLIENT_BUSY;
  c->answered = false;
  c->http.head_only = x->head_only;
  c->call = x;
  if (x->paused) ln_stream_read_stop(c->stream);
  return LN_OK;
}

/* --- connecting --- */

/* Reported once, whichever of timer, stream and proxy fails first. */
static void unreachable(struct ln_http_client *c, int err, const char *why) {
  if (c->state == LN_CLIENT_CLOSING) return;
  ln_http_pool_unreachable(c->pool, c, err, why);
}

static void on_setup_timeout(struct ln_timer *t) {
  struct ln_http_client *c = LN_CONTAINER(t, struct ln_http_client, timer);
  unreachable(c, LN_ETIMEOUT, "no answer through the proxy in time");
}

static void connected(struct ln_http_client *c) {
  ln_timer_stop(&c->timer);
  ln_stream_read_start(c->stream); /* also while idle, to notice when the server closes */
  ln_http_pool_connected(c->pool, c);
}

static void start_tunnel(struct ln_http_client *c) {
  const struct ln_buf *text = &c->pool->route.connect;
  struct ln_iov part = {.p = text->data, .n = text->len};
  int rc = ln_stream_write(c->stream, &part, 1);
  if (rc && rc != LN_EFULL) {
    unreachable(c, rc, "the proxy closed the connection");
    return;
  }
  uint64_t ms = c->pool->conf->connect_timeout_ms;
  c->state = LN_CLIENT_TUNNELLING;
  c->http.head_only = true; /* a tunnel's answer has no body */
  ln_timer_start(c->pool->loop, &c->timer, ms ? ms : LN_POOL_CONNECT_MS, on_setup_timeout);
  ln_stream_read_start(c->stream);
}

static void on_connect(void *arg, int err, const char *why) {
  struct ln_http_client *c = arg;
  if (err) {
    unreachable(c, err, why);
  } else if (c->state == LN_CLIENT_CONNECTING && c->pool->route.tunnel) {
    start_tunnel(c);
  } else if (c->state == LN_CLIENT_CONNECTING || c->state == LN_CLIENT_SECURING) {
    connected(c);
  }
}

static void on_tunnel_answer(struct ln_http_client *c, struct ln_str data) {
  enum ln_http_event event = ln_http_next(&c->http, &data);
  if (event == LN_HTTP_MORE) return;
  if (event == LN_HTTP_ERROR) {
    unreachable(c, LN_EPROTOCOL, "the proxy's answer is not HTTP");
    return;
  }
  int status = c->http.head.status;
  if (status < 200 || status > 299) {
    char why[96];
    snprintf(why, sizeof why, "the proxy refuses with status %d%s", status,
             status == 407 ? ": it wants a user and a password" : "");
    unreachable(c, LN_ECONNECT, why);
    return;
  }
  event = ln_http_next(&c->http, &data);
  if (event != LN_HTTP_END || data.n) { /* a TLS server never speaks first */
    unreachable(c, LN_EPROTOCOL, "the proxy sent more than its answer");
    return;
  }
  ln_http_deinit(&c->http);
  ln_http_init(&c->http, LN_HTTP_RESPONSE, LN_POOL_HEAD, 0);
  c->state = LN_CLIENT_SECURING;
  ln_stream_read_stop(c->stream);
  struct ln_tls_conf tls = c->pool->route.tls;
  tls.alpn = "http/1.1";
  int rc = ln_stream_start_tls(c->stream, &tls, c->pool->route.url.host.p);
  if (rc) unreachable(c, rc, ln_err_text(rc));
}

/* --- a call --- */

/* "Keep-Alive: timeout=5": how long the server says it waits, less a second for the way. */
static void note_keep_alive(struct ln_http_client *c, const struct ln_http_head *head) {
  struct ln_str s = ln_http_header(head, "keep-alive", NULL);
  for (size_t i = 0; i + 8 < s.n; i++) {
    if (!ln_str_iis((struct ln_str){s.p + i, 8}, "timeout=")) continue;
    uint32_t seconds = 0;
    for (i += 8; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && seconds < 100000; i++) {
      seconds = seconds * 10 + (uint32_t)(s.p[i] - '0');
    }
    uint32_t ms = seconds > 1 ? (seconds - 1) * 1000 : seconds * 500;
    c->idle_ms = LN_MIN(ms, (uint32_t)LN_POOL_IDLE_MAX_MS);
    return;
  }
}

/* The response is over. What is left of the request, or follows the response, spoils the
 * connection for another. */
static void finish(struct ln_http_client *c, int err, const char *why, bool keep) {
  bool reusable = keep && err == LN_OK && ln_stream_queued(c->stream) == 0;
  if (c->call->paused) ln_stream_read_start(c->stream);
  if (reusable && c->http.held.cap > KEPT_HEAD) ln_http_release(&c->http);
  ln_http_pool_finished(c->pool, c, err, why, reusable);
}

static void on_response(struct ln_http_client *c, struct ln_str data) {
  struct ln_http_call *x = c->call;
  c->answered = true;
  for (;;) {
    switch (ln_http_next(&c->http, &data)) {
      case LN_HTTP_MORE: return;
      case LN_HTTP_HEAD:
        note_keep_alive(c, &c->http.head);
        x->ops->head(x, &c->http.head);
        break;
      case LN_HTTP_BODY: x->ops->body(x, c->http.body); break;
      case LN_HTTP_END: finish(c, LN_OK, NULL, c->http.head.keep_alive && data.n == 0); return;
      case LN_HTTP_ERROR: {
        int err = c->http.error == LN_ENOMEM ? LN_ENOMEM : LN_EPROTOCOL;
        finish(c, err, c->http.why ? c->http.why : "the server's response is not HTTP", false);
        return;
      }
    }
    if (c->call != x) return; /* cancelled from inside */
  }
}

static void on_read(void *arg, const char *p, size_t n) {
  struct ln_http_client *c = arg;
  struct ln_str data = {p, n};
  switch (c->state) {
    case LN_CLIENT_TUNNELLING: on_tunnel_answer(c, data); break;
    case LN_CLIENT_BUSY: on_response(c, data); break;
    case LN_CLIENT_IDLE: ln_http_pool_lost(c->pool, c); break; /* a farewell, or junk */
    default: break;
  }
}

static void on_end(void *arg, int err) {
  struct ln_http_client *c = arg;
  if (c->state < LN_CLIENT_IDLE) {
    unreachable(c, LN_ECONNECT, "the connection was closed before it was ready");
  } else if (c->state == LN_CLIENT_IDLE) {
    ln_http_pool_lost(c->pool, c);
  } else if (c->state != LN_CLIENT_BUSY) {
    return;
  } else if (!c->answered) {
    finish(c, LN_ECLOSED, "the server closed the connection without a response", false);
  } else if (err == LN_OK && ln_http_eof(&c->http) == LN_HTTP_END) {
    finish(c, LN_OK, NULL, false);
  } else {
    finish(c, LN_ECLOSED, "the server closed the connection before the end of its response", false);
  }
}

static void on_closed(void *arg) {
  struct ln_http_client *c = arg;
  ln_timer_stop(&c->timer);
  ln_http_deinit(&c->http);
  ln_http_pool_gone(c->pool, c);
  free(c);
}

static const struct ln_stream_ops stream_ops = {
    .on_connect = on_connect,
    .on_read = on_read,
    .on_end = on_end,
    .on_closed = on_closed,
};
