/* One connection of the HTTP server: bytes become requests, one at a time; every way it can
 * end. Phases are in http_connection.h. Callbacks change the phase; settle, at the end of each,
 * brings timer, reading and memory in line with the phase that came out. */
#include "transport/http_connection.h"

#include <stdio.h>
#include <stdlib.h>

static void on_read(void *arg, const char *p, size_t n);
static void on_end(void *arg, int err);
static void on_drain(void *arg);
static void on_closed(void *arg);
static void on_task(struct ln_task *t);
static void on_timer(struct ln_timer *t);
static void start_timer(struct ln_http_connection *c, uint64_t ms);
static void feed(struct ln_http_connection *c, struct ln_str *data);
static void refuse(struct ln_http_connection *c, int status, const char *why);
static void finish(struct ln_http_connection *c);
static void finish_and_go_on(struct ln_http_connection *c);
static void settle(struct ln_http_connection *c);

static const struct ln_stream_ops stream_ops = {
    .on_read = on_read, .on_end = on_end, .on_drain = on_drain, .on_closed = on_closed};

static struct ln_account *account_of(const struct ln_http_connection *c,
                                     const struct ln_http_head *head) {
  const struct ln_http_server_ops *ops = c->server->ops;
  if (!ops->account) return NULL;
  return ops->account(c->server->arg, ln_stream_address(c->stream), head);
}

/* --- what it holds for its peer --- */

static void charge_body(struct ln_http_connection *c, size_t n) {
  if (n == c->body_charged) return;
  ln_account_give(c->payer, LN_SHORT_BYTES, c->body_charged);
  c->body_charged = n;
  ln_account_add(c->payer, LN_SHORT_BYTES, n);
}

/* A parser is there only while a request comes in pieces. */
static void charge_head(struct ln_http_connection *c) {
  size_t n = c->held.cap + c->cork.cap;
  if (c->parser) n += sizeof *c->parser + c->parser->http.held.cap;
  if (n == c->head_charged) return;
  ln_account_give(c->account, LN_SHORT_BYTES, c->head_charged);
  c->head_charged = n;
  ln_account_add(c->account, LN_SHORT_BYTES, n);
}

static void on_go(struct ln_task *t) {
  struct ln_http_connection *c = LN_CONTAINER(t, struct ln_http_connection, go);
  if (c->phase == LN_HTTP_RECEIVING) {
    refuse(c, 503, LN_HTTP_FULL);
    settle(c);
  } else {
    ln_http_connection_close(c);
  }
}

/* What comes in gives way before what goes out. Little is left to who has little. */
static size_t goes(struct ln_http_connection *c, enum ln_urgency urgency, size_t n,
                   const struct ln_account *a) {
  if (c->phase == LN_HTTP_CLOSED || ln_task_posted(&c->go) || n < a->held[LN_SHORT_BYTES] / 64)
    return 0;
  if (urgency < (c->phase == LN_HTTP_RECEIVING ? LN_URGENCY_UNUSED : LN_URGENCY_IDLE)) return 0;
  if (n) ln_task_post(c->server->loop, &c->go, on_go);
  return n;
}

static size_t body_go(struct ln_holding *h, enum ln_short what, enum ln_urgency urgency) {
  struct ln_http_connection *c = LN_CONTAINER(h, struct ln_http_connection, body_holding);
  if (what != LN_SHORT_BYTES) return 0;
  return goes(c, urgency, c->body_charged + ln_stream_queued(c->stream), c->payer);
}

static void uncount(struct ln_http_connection *c) {
  if (c->counted) ln_account_give(c->account, LN_SHORT_CONNECTIONS, 1);
  c->counted = false;
}

/* First who has no request under way: a connection may end between two at any time. It is closed at
 * once, for its descriptor: none but those with an open request are at work when this is asked. */
static size_t connection_goes(struct ln_http_connection *c, enum ln_urgency urgency) {
  bool young = ln_loop_now(c->server->loop) - c->since < LN_HTTP_YOUNG_MS;
  if (c->phase == LN_HTTP_CLOSED || !c->counted) return 0;
  if (urgency < LN_URGENCY_ANY && c->phase == LN_HTTP_OPEN) return 0;
  if (urgency < LN_URGENCY_UNUSED && young) return 0;
  uncount(c);
  ln_http_connection_close(c);
  return 1;
}

static size_t go(struct ln_holding *h, enum ln_short what, enum ln_urgency urgency) {
  struct ln_http_connection *c = LN_CONTAINER(h, struct ln_http_connection, holding);
  if (what == LN_SHORT_CONNECTIONS) return connection_goes(c, urgency);
  if (what != LN_SHORT_BYTES) return 0;
  return goes(c, urgency, c->head_charged, c->account);
}

/* The request is this peer's, from its head to its end. */
static void set_payer(struct ln_http_connection *c, struct ln_account *payer) {
  charge_body(c, 0);
  if (payer && payer == c->payer) {
    ln_account_unref(payer);
    ln_holding_touch(&c->body_holding, payer);
    return;
  }
  ln_holding_deinit(&c->body_holding);
  ln_account_unref(c->payer);
  c->payer = payer;
  ln_holding_init(&c->body_holding, payer, body_go);
}

/* --- life --- */

int ln_http_connection_new(struct ln_http_server *s, struct ln_stream *stream, bool spare) {
  struct ln_http_connection *c = calloc(1, sizeof *c);
  if (!c) return LN_ENOMEM;
  c->server = s;
  c->stream = stream;
  c->account = account_of(c, NULL);
  ln_holding_init(&c->holding, c->account, go);
  c->counted = true;
  c->since = ln_loop_now(s->loop);
  ln_account_add(c->account, LN_SHORT_CONNECTIONS, 1);
  c->spare = spare;
  s->n_spare += spare;
  ln_holding_init(&c->body_holding, NULL, body_go);
  ln_stream_set_payer(stream, c->account);
  ln_buf_init(&c->chunks, s->conf.max_body);
  ln_buf_init(&c->held, LN_HTTP_HOLD_MAX);
  ln_buf_init(&c->cork, LN_HTTP_HOLD_MAX);
  ln_timer_init(&c->timer);
  ln_task_init(&c->task);
  ln_task_init(&c->go);
  ln_list_push(&s->connections, &c->link);
  s->n_connections++;
  ln_stream_set_ops(stream, &stream_ops, c);
  ln_stream_read_start(stream);
  /* The first request has the time of a head to come, not that of a kept connection. */
  start_timer(c, spare ? LN_HTTP_SPARE_MS : s->conf.head_timeout_ms);
  return LN_OK;
}

void ln_http_connection_complete(struct ln_http_connection *c, int rc) {
  c->complete = true;
  if (rc == LN_EFULL) {
    /* The next request waits until the peer has taken most of this reply; that bounds the queue. */
    c->flushing = true;
    start_timer(c, c->server->conf.idle_timeout_ms);
  } else if (!c->inside) {
    ln_task_post(c->server->loop, &c->task, on_task);
  }
}

void ln_http_connection_cork(struct ln_http_connection *c) {
  ln_task_post(c->server->loop, &c->task, on_task);
}

/* --- receiving --- */

static void hold(struct ln_http_connection *c, struct ln_str data) {
  ln_buf_consume(&c->held, c->held_at);
  c->held_at = 0;
  if (ln_buf_append_str(&c->held, data)) ln_http_connection_close(c);
}

static bool waits(const struct ln_http_connection *c) {
  return c->held_at < c->held.len;
}

static void on_read(void *arg, const char *p, size_t n) {
  struct ln_http_connection *c = arg;
  struct ln_str data = {p, n};
  if (!waits(c)) feed(c, &data);
  if ((c->phase == LN_HTTP_OPEN || c->phase == LN_HTTP_IDLE) && data.n) hold(c, data);
  settle(c);
}

static bool begin(struct ln_http_connection *c) {
  c->parser = ln_http_server_take_parser(c->server);
  if (!c->parser) {
    ln_http_connection_close(c);
    return false;
  }
  c->phase = LN_HTTP_RECEIVING;
  c->timing_head = false;
  return true;
}

/* False: it is refused. */
static bool more_room(struct ln_http_connection *c, size_t n) {
  if (!n || ln_account_take(c->payer, LN_SHORT_BYTES, n)) {
    if (c->payer) c->body_charged += n;
    return true;
  }
  refuse(c, 503, LN_HTTP_FULL);
  return false;
}

static void receive_head(struct ln_http_connection *c, bool more_here) {
  const struct ln_http_head *head = &c->parser->http.head;
  if (c->spare && !(c->server->ops->spare && c->server->ops->spare(c->server->arg, head))) {
    refuse(c, 503,
           "as many connections are open as may, and most of them are yours: try again later");
    return;
  }
  struct ln_account *payer = account_of(c, head);
  set_payer(c, payer ? payer : ln_account_ref(c->account));
  if (head->content_length > 0 && (uint64_t)head->content_length > c->server->conf.max_body) {
    refuse(c, 413, "the body is too large");
    return;
  }
  if (!more_room(c, (size_t)LN_MAX(head->content_length, 0))) return;
  bool body = head->chunked || head->content_length > 0;
  if (!head->expect_continue || !body || more_here || head->minor == 0) return;
  int rc = ln_http_reply_continue(c);
  if (rc && rc != LN_EFULL) ln_http_connection_close(c);
}

static void receive_body(struct ln_http_connection *c) {
  const struct ln_http_head *head = &c->parser->http.head;
  struct ln_str piece = c->parser->http.body;
  if (head->chunked) {
    if (!more_room(c, piece.n)) return;
    int rc = ln_buf_append_str(&c->chunks, piece);
    if (rc == LN_ELIMIT) refuse(c, 413, "the body is too large");
    if (rc == LN_ENOMEM) ln_http_connection_close(c);
    return;
  }
  if (!c->body) {
    c->body = ln_bytes_new((size_t)head->content_length);
    c->body_len = 0;
  }
  if (!c->body) {
    ln_http_connection_close(c);
    return;
  }
  LN_ASSERT(piece.n <= c->body->len - c->body_len);
  memcpy(c->body->data + c->body_len, piece.p, piece.n);
  c->body_len += piece.n;
}

static void give_parser(struct ln_http_connection *c, bool clean) {
  if (c->parser) ln_http_server_give_parser(c->server, c->parser, clean);
  c->parser = NULL;
}

/* A whole request is here: the owner gets it, and may reply at once. */
static void receive_end(struct ln_http_connection *c) {
  const struct ln_http_head *head = &c->parser->http.head;
  struct ln_bytes *body = head->chunked ? ln_buf_take(&c->chunks) : c->body;
  LN_DEBUG_ASSERT(!body || head->chunked || c->body_len == body->len);
  c->body = NULL;
  charge_body(c, 0);
  ln_bytes_charge(body, c->payer);
  c->request = (struct ln_http_request){.head = head, .body = body, .account = c->payer};
  c->phase = LN_HTTP_OPEN;
  c->open = true;
  c->minor = (uint8_t)head->minor;
  c->keep = head->keep_alive && !c->spare;
  ln_holding_touch(&c->holding, c->account);
  c->head_only = ln_str_is(head->method, "HEAD");
  c->sse = c->full = c->complete = c->flushing = false;

  c->inside = true;
  c->server->ops->on_request(c->server->arg, &c->request);
  c->inside = false;
  c->request.head = NULL;
  give_parser(c, true);
  if (c->phase == LN_HTTP_OPEN && c->complete && !c->flushing) finish(c);
}

/* Takes from *data until it is used up, a request is open, its peer has had its part of this turn,
 * or the connection has ended. */
static void feed(struct ln_http_connection *c, struct ln_str *data) {
  for (;;) {
    if (c->phase == LN_HTTP_IDLE) {
      if (!data->n || ln_share_over(c->account, ln_loop_now(c->server->loop)) || !begin(c)) return;
    } else if (c->phase != LN_HTTP_RECEIVING) {
      return;
    }
    LN_ASSERT(c->parser);
    switch (ln_http_next(&c->parser->http, data)) {
      case LN_HTTP_MORE: return;
      case LN_HTTP_HEAD: receive_head(c, data->n > 0); break;
      case LN_HTTP_BODY: receive_body(c); break;
      case LN_HTTP_END: receive_end(c); break;
      case LN_HTTP_ERROR: refuse(c, c->parser->http.status, c->parser->http.why); break;
    }
  }
}

/* --- endings --- */

/* Our side has said its last. A close now, with bytes of the peer's unread, would make the
 * kernel send a reset that can destroy the answer on its way: so read on for a while. */
static void linger(struct ln_http_connection *c) {
  if (c->eof || c->spare) {
    ln_http_connection_close_idle(c);
    return;
  }
  c->phase = LN_HTTP_LINGERING;
  ln_stream_shutdown(c->stream);
  start_timer(c, ln_stream_queued(c->stream) ? c->server->conf.idle_timeout_ms : LN_HTTP_LINGER_MS);
}

static void refuse(struct ln_http_connection *c, int status, const char *why) {
  struct ln_log *log = ln_loop_log(c->server->loop);
  char large[80];
  if (status == 413) {
    snprintf(large, sizeof large, "the body has more than %zu bytes (max_message_bytes)",
             c->server->conf.max_body);
    why = large;
  }
  if (status == 503 && c->account)
    LN_LOG(log, WARN, "http", "refused %s with %d: %s", (c->payer ? c->payer : c->account)->name,
           status, why);
  else
    LN_LOG(log, DEBUG, "http", "answered %d: %s", status, why);
  int rc = ln_http_reply_refusal(c, status, why);
  if (rc && rc != LN_EFULL) {
    ln_http_connection_close(c);
  } else {
    linger(c);
  }
}

/* The reply is out: the request's life ends. The connection waits for another, or ends too. */
static void finish(struct ln_http_connection *c) {
  struct ln_bytes *body = c->request.body;
  c->open = false;
  c->phase = LN_HTTP_IDLE;
  c->since = ln_loop_now(c->server->loop);
  ln_http_reply_forget(c);
  c->server->ops->done(c->server->arg, &c->request, false);
  ln_bytes_unref(body);
  if (c->phase != LN_HTTP_IDLE) return; /* closed from inside done */
  if (!c->keep || c->eof || c->server->draining) linger(c);
}

static void go_on(struct ln_http_connection *c) {
  bool begun = ln_share_begin(c->account, ln_loop_now(c->server->loop));
  struct ln_str data = ln_buf_str(&c->held);
  data.p += c->held_at;
  data.n -= c->held_at;
  feed(c, &data);
  c->held_at = c->held.len - data.n;
  ln_share_end(c->account, begun);
  settle(c);
}

static void finish_and_go_on(struct ln_http_connection *c) {
  finish(c);
  go_on(c);
}

static void on_task(struct ln_task *t) {
  struct ln_http_connection *c = LN_CONTAINER(t, struct ln_http_connection, task);
  if (c->phase == LN_HTTP_IDLE && waits(c)) {
    go_on(c);
    return;
  }
  if (c->phase != LN_HTTP_OPEN) return;
  int rc = ln_http_reply_uncork(c);
  if (rc && rc != LN_EFULL) {
    ln_http_connection_close(c);
  } else if (c->complete && !c->flushing) {
    finish_and_go_on(c);
  }
}

static void on_drain(void *arg) {
  struct ln_http_connection *c = arg;
  if (c->phase != LN_HTTP_OPEN) return;
  if (c->flushing) {
    c->flushing = false;
    finish_and_go_on(c);
  } else if (c->full) {
    c->full = false;
    c->server->ops->on_drain(c->server->arg, &c->request);
  }
}

static void on_end(void *arg, int err) {
  struct ln_http_connection *c = arg;
  if (c->phase == LN_HTTP_CLOSED) return;
  c->end_waits = !err && c->phase == LN_HTTP_IDLE && waits(c);
  if (c->end_waits) return;
  c->eof = true;
  if (c->phase == LN_HTTP_OPEN && c->complete && !err) return; /* on_task or on_drain ends it */
  if (c->phase == LN_HTTP_OPEN || err) {
    ln_http_connection_close(c);
  } else {
    ln_http_connection_close_idle(c);
  }
}

static void on_closed(void *arg) {
  struct ln_http_connection *c = arg;
  struct ln_http_server *s = c->server;
  c->phase = LN_HTTP_CLOSED;
  ln_timer_stop(&c->timer);
  ln_task_cancel(&c->task);
  ln_task_cancel(&c->go);
  if (c->open) {
    c->open = false;
    s->ops->done(s->arg, &c->request, !c->complete || c->flushing);
    ln_bytes_unref(c->request.body);
  }
  give_parser(c, false);
  ln_http_reply_forget(c);
  ln_bytes_unref(c->body);
  ln_buf_deinit(&c->chunks);
  ln_buf_deinit(&c->held);
  ln_buf_deinit(&c->cork);
  ln_list_remove(&c->link);
  set_payer(c, NULL);
  charge_head(c);
  uncount(c);
  s->n_spare -= c->spare;
  ln_holding_deinit(&c->holding);
  ln_account_unref(c->account);
  free(c);
  s->n_connections--;
  ln_http_server_lost(s);
}

/* --- time --- */

static void start_timer(struct ln_http_connection *c, uint64_t ms) {
  c->queued = ln_stream_queued(c->stream);
  ln_timer_start(c->server->loop, &c->timer, ms, on_timer);
}

static void on_timer(struct ln_timer *t) {
  struct ln_http_connection *c = LN_CONTAINER(t, struct ln_http_connection, timer);
  if (c->phase == LN_HTTP_RECEIVING) {
    refuse(c, 408, "the request took too long to arrive");
    settle(c);
    return;
  }
  /* A peer that still reads what was sent may go on, however slowly. */
  size_t queued = ln_stream_queued(c->stream);
  if (queued >= c->queued) {
    ln_http_connection_close(c);
  } else if (c->phase == LN_HTTP_LINGERING && !queued) {
    start_timer(c, LN_HTTP_LINGER_MS);
  } else {
    start_timer(c, c->server->conf.idle_timeout_ms);
  }
}

/* What is no longer needed between requests, or ever again, is given back. */
static void forget(struct ln_http_connection *c) {
  give_parser(c, false);
  ln_bytes_unref(c->body);
  c->body = NULL;
  charge_body(c, 0);
  ln_buf_deinit(&c->chunks);
  ln_buf_deinit(&c->held);
  c->held_at = 0;
}

static void settle(struct ln_http_connection *c) {
  if (c->held_at == c->held.len && c->held.cap) {
    ln_buf_deinit(&c->held);
    c->held_at = 0;
  }
  switch (c->phase) {
    case LN_HTTP_IDLE: start_timer(c, c->server->conf.idle_timeout_ms); break;
    case LN_HTTP_RECEIVING:
      if (!c->timing_head && !c->spare) start_timer(c, c->server->conf.head_timeout_ms);
      c->timing_head = true;
      break;
    case LN_HTTP_OPEN:
      if (!c->flushing) ln_timer_stop(&c->timer);
      break;
    case LN_HTTP_LINGERING: forget(c); break;
    case LN_HTTP_CLOSED: forget(c); return;
  }
  charge_head(c);
  if (c->phase == LN_HTTP_IDLE && waits(c)) ln_task_post(c->server->loop, &c->task, on_task);
  if (c->end_waits && !waits(c)) {
    on_end(c, LN_OK);
    return;
  }
  bool pause = c->held.len - c->held_at >= LN_HTTP_HOLD;
  if (pause == c->paused || c->eof || c->end_waits) return;
  c->paused = pause;
  if (pause) {
    ln_stream_read_stop(c->stream);
  } else {
    ln_stream_read_start(c->stream);
  }
}
