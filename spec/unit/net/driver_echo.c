/* An echo server and a client; see driver_echo.h. */
#include "driver_echo.h"

/* --- the server --- */

struct echo {
  struct server *server;
  struct ln_stream *s;
};

static void echo_read(void *arg, const char *p, size_t n) {
  struct echo *e = arg;
  struct ln_iov part = {p, n, NULL};
  int rc = ln_stream_write(e->s, &part, 1);
  size_t queued = ln_stream_queued(e->s);
  if (queued > e->server->max_queued) e->server->max_queued = queued;
  if (rc == LN_EFULL) {
    e->server->full++;
    ln_stream_read_stop(e->s);
  } else if (rc) {
    ln_stream_close(e->s);
  }
}

static void echo_drain(void *arg) {
  struct echo *e = arg;
  e->server->drained++;
  CHECK(ln_stream_queued(e->s) <= 64 * 1024);
  ln_stream_read_start(e->s);
}

static void echo_end(void *arg, int err) {
  struct echo *e = arg;
  e->server->ends++;
  if (err) {
    e->server->end_errors++;
    ln_stream_close(e->s);
  } else {
    ln_stream_close_flushed(e->s, 5000);
  }
}

static void echo_closed(void *arg) {
  struct echo *e = arg;
  e->server->closed++;
  if (!e->server->stays) ln_listener_close(e->server->listener, NULL, NULL);
  free(e);
}

static const struct ln_stream_ops echo_ops = {
    .on_read = echo_read, .on_end = echo_end, .on_drain = echo_drain, .on_closed = echo_closed};

void echo_accept(void *arg, struct ln_stream *s) {
  struct echo *e = calloc(1, sizeof *e);
  e->server = arg;
  e->s = s;
  e->server->accepted++;
  ln_stream_set_ops(s, &echo_ops, e);
  ln_stream_read_start(s);
}

uint16_t serve(struct ln_loop *l, struct server *v, void (*accept_fn)(void *, struct ln_stream *)) {
  const char *why = NULL;
  v->l = l;
  CHECK(ln_listen(l, "127.0.0.1", 0, accept_fn, v, &v->listener, &why) == LN_OK);
  CHECK(ln_listener_port(v->listener) != 0);
  return ln_listener_port(v->listener);
}

/* --- the client --- */

uint64_t mix(uint64_t h, const char *p, size_t n) {
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 1099511628211u;
  return h;
}

static void client_connect(void *arg, int err, const char *why) {
  struct client *c = arg;
  c->connects++;
  c->err = err;
  if (why) snprintf(c->why, sizeof c->why, "%s", why);
  if (err) return;
  if (c->message) {
    struct ln_iov part = {c->message, strlen(c->message), NULL};
    CHECK(ln_stream_write(c->s, &part, 1) == LN_OK);
  }
  ln_stream_read_start(c->s);
}

static void client_read(void *arg, const char *p, size_t n) {
  struct client *c = arg;
  c->got += n;
  c->sum = mix(c->sum, p, n);
  if (c->got == c->want) ln_stream_shutdown(c->s);
}

static void client_end(void *arg, int err) {
  struct client *c = arg;
  c->ends++;
  c->end_err = err;
  ln_stream_close(c->s);
  ln_stream_close(c->s);
}

static void client_drain(void *arg) {
  struct client *c = arg;
  c->drains++;
  CHECK(ln_stream_queued(c->s) <= (c->low ? c->low : 64 * 1024));
}

static void client_closed(void *arg) {
  struct client *c = arg;
  c->closed++;
  ln_timer_stop(&c->timer);
  if (c->closes) ln_listener_close(c->closes, NULL, NULL);
}

const struct ln_stream_ops client_ops = {client_connect, client_read, client_end, client_drain,
                                         client_closed};

void client_start(struct client *c, struct ln_loop *l, const char *host, uint16_t port,
                  uint64_t timeout_ms) {
  c->l = l;
  ln_timer_init(&c->timer);
  struct ln_connect_opts opts = {.host = host, .port = port, .timeout_ms = timeout_ms};
  c->s = ln_stream_connect(l, &opts, &client_ops, c);
  CHECK(c->s && !c->connects && !c->closed);
}

void say_client(const struct client *c) {
  say_int("connects", c->connects);
  say("err", "%s", ln_err_name(c->err));
  if (c->why[0]) say("why", "%s", c->why);
  say_int("ends", c->ends);
  say("end_err", "%s", ln_err_name(c->end_err));
  say_int("closed", c->closed);
}
