/* Scenarios of TLS clients; the servers are openssl's own, started by the spec. */
#include "driver.h"

struct client {
  struct ln_loop *l;
  struct ln_stream *s;
  struct ln_timer timer;
  char out[4096];
  size_t n, total, want;
  uint64_t sum;
  int connects, err, ends, end_err, drains, closed;
  bool paused, pausing, closes_drained;
  const char *send; /* when connected */
  const struct ln_tls_conf *upgrade;
  const char *upgrade_host;
};

static uint64_t mix(uint64_t h, const char *p, size_t n) {
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 1099511628211u;
  return h;
}

static void on_connect(void *arg, int err, const char *why) {
  struct client *c = arg;
  c->connects++;
  c->err = err;
  if (why) say("why", "%s", why);
  if (err) return;
  if (c->upgrade) {
    const struct ln_tls_conf *conf = c->upgrade;
    c->upgrade = NULL;
    CHECK(ln_stream_start_tls(c->s, conf, c->upgrade_host) == LN_OK);
    CHECK(ln_stream_start_tls(c->s, conf, c->upgrade_host) == LN_EINVALID);
    return;
  }
  ln_stream_read_start(c->s);
  if (c->send) {
    struct ln_iov parts[] = {{c->send, 3, NULL}, {c->send + 3, strlen(c->send) - 3, NULL}};
    CHECK(ln_stream_write(c->s, parts, 2) == LN_OK);
  }
}

static void on_unpause(struct ln_timer *t) {
  struct client *c = LN_CONTAINER(t, struct client, timer);
  c->paused = false;
  ln_stream_read_start(c->s);
}

static void on_read(void *arg, const char *p, size_t n) {
  struct client *c = arg;
  CHECK(!c->paused);
  size_t k = LN_MIN(n, sizeof c->out - 1 - c->n);
  memcpy(c->out + c->n, p, k);
  c->n += k;
  c->total += n;
  c->sum = mix(c->sum, p, n);
  if (c->pausing && c->total % 7 == 0) {
    c->paused = true;
    ln_stream_read_stop(c->s);
    ln_timer_start(c->l, &c->timer, 1, on_unpause);
  }
  if (c->want && c->total >= c->want) ln_stream_close(c->s);
}

static void on_end(void *arg, int err) {
  struct client *c = arg;
  CHECK(!c->paused);
  c->ends++;
  c->end_err = err;
  ln_stream_close(c->s);
}

static void on_drain(void *arg) {
  struct client *c = arg;
  c->drains++;
  CHECK(ln_stream_queued(c->s) <= 64 * 1024);
  if (c->closes_drained) ln_stream_close_flushed(c->s, 5000);
}

static void on_closed(void *arg) {
  struct client *c = arg;
  c->closed++;
  ln_timer_stop(&c->timer);
}

static const struct ln_stream_ops ops = {on_connect, on_read, on_end, on_drain, on_closed};

static struct client c;

static void report(void) {
  say_int("connects", c.connects);
  say("err", "%s", ln_err_name(c.err));
  say_int("ends", c.ends);
  say("end_err", "%s", ln_err_name(c.end_err));
  say_int("closed", c.closed);
}

/* args: host port ca(or "") tls_host(or "") verify(0/1) alpn(or "") */
static struct ln_connect_opts opts_of(char **args) {
  return (struct ln_connect_opts){.host = args[0],
                                  .port = (uint16_t)atoi(args[1]),
                                  .timeout_ms = 3000,
                                  .tls = {.on = true,
                                          .ca_file = *args[2] ? args[2] : NULL,
                                          .no_verify = args[4][0] == '0',
                                          .alpn = *args[5] ? args[5] : NULL},
                                  .tls_host = *args[3] ? args[3] : NULL};
}

static void connect_with(char **args) {
  struct ln_connect_opts o = opts_of(args);
  c.l = begin_loop();
  ln_timer_init(&c.timer);
  c.s = ln_stream_connect(c.l, &o, &ops, &c);
  CHECK(c.s && !c.connects);
}

/* + text to send, bytes to receive */
static void tls_talk(char **args) {
  connect_with(args);
  c.send = *args[6] ? args[6] : NULL;
  c.want = (size_t)atoll(args[7]);
  ln_loop_run(c.l);
  say("out", "%.*s", (int)c.n, c.out);
  report();
  end_loop(c.l);
}

/* + text to send; reads to the end, stopping again and again */
static void tls_pauses(char **args) {
  connect_with(args);
  c.send = args[6];
  c.pausing = true;
  ln_loop_run(c.l);
  say_int("total", (long long)c.total);
  say("sum", "%llx", (unsigned long long)c.sum);
  report();
  end_loop(c.l);
}

/* Writes MiBs before the handshake is done, in parts of all sizes, then closes flushed: at once, or
 * (+ "drained") when told that the queue has drained. */
static void tls_upload(char **args) {
  enum { PARTS = 900 };
  static struct ln_iov parts[PARTS];
  struct ln_bytes *block = ln_bytes_new(40000);
  uint64_t sum = 0;
  size_t total = 0;
  for (size_t i = 0; i < block->len; i++) block->data[i] = (char)(i * 31 + i / 251);
  connect_with(args);
  for (int i = 0; i < PARTS; i++) {
    parts[i] = (struct ln_iov){block->data + i, (size_t)(i * 37) % 39000, i % 2 ? block : NULL};
    sum = mix(sum, parts[i].p, parts[i].n);
    total += parts[i].n;
  }
  CHECK(ln_stream_write(c.s, parts, PARTS) == LN_EFULL);
  say_int("held", ln_stream_queued(c.s) == total);
  c.closes_drained = args[6] != NULL;
  if (!args[6]) ln_stream_close_flushed(c.s, 5000);
  ln_loop_run(c.l);
  say_int("drains", c.drains);
  say_int("total", (long long)total);
  say("sum", "%llx", (unsigned long long)sum);
  report();
  say_int("block_refs", block->refs);
  ln_bytes_unref(block);
  end_loop(c.l);
}

/* First plain, then TLS on the same stream, as behind a CONNECT proxy. */
static void tls_upgrade(char **args) {
  static struct ln_connect_opts plain;
  static struct ln_tls_conf conf;
  struct ln_connect_opts o = opts_of(args);
  conf = o.tls;
  plain = o;
  plain.tls.on = false;
  c.l = begin_loop();
  ln_timer_init(&c.timer);
  c.upgrade = &conf;
  c.upgrade_host = args[3];
  c.send = args[6];
  c.want = strlen(args[6]);
  c.s = ln_stream_connect(c.l, &plain, &ops, &c);
  ln_loop_run(c.l);
  say("out", "%.*s", (int)c.n, c.out);
  report();
  end_loop(c.l);
}

/* A server that answers whatever comes with plain HTTP, or, when told to, with an end. */
static struct ln_listener *plain_listener;
static bool plain_ends;

struct plain {
  struct ln_stream *s;
};

static void plain_read(void *arg, const char *p, size_t n) {
  struct plain *v = arg;
  struct ln_iov part = {"HTTP/1.0 400 no\r\n\r\n", plain_ends ? 0 : 19, NULL};
  (void)p, (void)n;
  CHECK(ln_stream_write(v->s, &part, 1) == LN_OK);
  ln_stream_close_flushed(v->s, 1000);
}
static void plain_closed(void *arg) {
  free(arg);
  ln_listener_close(plain_listener, NULL, NULL);
}
static const struct ln_stream_ops plain_ops = {.on_read = plain_read, .on_closed = plain_closed};
static void plain_accept(void *arg, struct ln_stream *s) {
  struct plain *v = calloc(1, sizeof *v);
  (void)arg;
  v->s = s;
  ln_stream_set_ops(s, &plain_ops, v);
  ln_stream_read_start(s);
}

/* args: 1 to end instead of answering */
static void tls_plain(char **args) {
  const char *why;
  plain_ends = args[0][0] == '1';
  c.l = begin_loop();
  ln_timer_init(&c.timer);
  CHECK(ln_listen(c.l, "127.0.0.1", 0, plain_accept, NULL, &plain_listener, &why) == LN_OK);
  struct ln_connect_opts o = {
      .host = "127.0.0.1", .port = ln_listener_port(plain_listener), .tls.on = true};
  c.s = ln_stream_connect(c.l, &o, &ops, &c);
  ln_loop_run(c.l);
  report();
  end_loop(c.l);
}

/* Clients that close at any time, also in the middle of the handshake. args + number */
static struct client stormy[100];
static uint64_t seed = 3;

static uint64_t draw(uint64_t n) {
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (seed >> 33) % n;
}

static void storm_act(struct ln_timer *t) {
  struct client *x = LN_CONTAINER(t, struct client, timer);
  struct ln_iov part = {"some text\n", 10, NULL};
  int rc = LN_OK;
  switch (draw(8)) {
    case 0: ln_stream_close(x->s); return;
    case 1: ln_stream_close_flushed(x->s, draw(100)); return;
    case 2: ln_stream_shutdown(x->s); break;
    case 3: ln_stream_read_stop(x->s); break;
    case 4: ln_stream_read_start(x->s); break;
    default: rc = ln_stream_write(x->s, &part, 1);
  }
  CHECK(rc == LN_OK || rc == LN_ECLOSED);
  ln_timer_start(x->l, t, draw(4), storm_act);
}

static void storm_connect(void *arg, int err, const char *why) {
  (void)err, (void)why;
  if (draw(10) == 0) ln_stream_close(((struct client *)arg)->s);
}

static void storm_read(void *arg, const char *p, size_t n) {
  struct client *x = arg;
  x->sum = mix(x->sum, p, n);
  if (draw(10) == 0) ln_stream_close(x->s);
}

static void tls_storm(char **args) {
  struct ln_stream_ops storm_ops = ops;
  struct ln_connect_opts o = opts_of(args);
  int n = atoi(args[6]), closed = 0;
  c.l = begin_loop();
  storm_ops.on_connect = storm_connect;
  storm_ops.on_read = storm_read;
  storm_ops.on_drain = NULL;
  for (int i = 0; i < n; i++) {
    struct client *x = &stormy[i];
    x->l = c.l;
    ln_timer_init(&x->timer);
    x->s = ln_stream_connect(c.l, &o, &storm_ops, x);
    ln_timer_start(c.l, &x->timer, draw(6), storm_act);
    if (i % 4 == 3) ln_loop_run(c.l); /* few at a time: the server serves one after the other */
  }
  ln_loop_run(c.l);
  for (int i = 0; i < n; i++) closed += stormy[i].closed == 1;
  say_int("closed", closed);
  end_loop(c.l);
}

/* The sum of standard input, to compare with. */
static void sum_stdin(char **args) {
  static char buf[65536];
  uint64_t sum = 0;
  size_t n, total = 0;
  (void)args;
  while ((n = fread(buf, 1, sizeof buf, stdin)) > 0) sum = mix(sum, buf, n), total += n;
  say_int("total", (long long)total);
  say("sum", "%llx", (unsigned long long)sum);
}

const struct scenario tls_scenarios[] = {{"tls_talk", tls_talk},     {"tls_pauses", tls_pauses},
                                         {"tls_upload", tls_upload}, {"tls_upgrade", tls_upgrade},
                                         {"tls_plain", tls_plain},   {"tls_storm", tls_storm},
                                         {"sum_stdin", sum_stdin},   {NULL, NULL}};
