/* Scenarios of streams over TCP: an echo server and clients of several tempers. */
#include <fcntl.h>
#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver.h"

/* --- the echo server: stops reading while its queue is full --- */

struct server {
  struct ln_loop *l;
  struct ln_listener *listener;
  int accepted, closed, full, drained, ends, end_errors;
  size_t max_queued;
  bool stays; /* else it listens until its first connection has closed */
};

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

static void echo_accept(void *arg, struct ln_stream *s) {
  struct echo *e = calloc(1, sizeof *e);
  e->server = arg;
  e->s = s;
  e->server->accepted++;
  ln_stream_set_ops(s, &echo_ops, e);
  ln_stream_read_start(s);
}

static uint16_t serve(struct ln_loop *l, struct server *v,
                      void (*accept_fn)(void *, struct ln_stream *)) {
  const char *why = NULL;
  v->l = l;
  CHECK(ln_listen(l, "127.0.0.1", 0, accept_fn, v, &v->listener, &why) == LN_OK);
  CHECK(ln_listener_port(v->listener) != 0);
  return ln_listener_port(v->listener);
}

/* --- the client --- */

struct client {
  struct ln_loop *l;
  struct ln_stream *s;
  struct ln_timer timer;
  struct ln_listener *closes; /* closed when the client is gone */
  const char *message;        /* sent when connected, if any */
  size_t want;                /* bytes to receive before ending our side */
  size_t got;
  size_t low;   /* the low mark, when it isn't the default */
  uint64_t sum; /* of what came: order and bytes */
  int connects, err, ends, end_err, drains, closed;
  char why[256];
};

static uint64_t mix(uint64_t h, const char *p, size_t n) {
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

static const struct ln_stream_ops client_ops = {client_connect, client_read, client_end,
                                                client_drain, client_closed};

static void client_start(struct client *c, struct ln_loop *l, const char *host, uint16_t port,
                         uint64_t timeout_ms) {
  c->l = l;
  ln_timer_init(&c->timer);
  struct ln_connect_opts opts = {.host = host, .port = port, .timeout_ms = timeout_ms};
  c->s = ln_stream_connect(l, &opts, &client_ops, c);
  CHECK(c->s && !c->connects && !c->closed);
}

static void say_client(const struct client *c) {
  say_int("connects", c->connects);
  say("err", "%s", ln_err_name(c->err));
  if (c->why[0]) say("why", "%s", c->why);
  say_int("ends", c->ends);
  say("end_err", "%s", ln_err_name(c->end_err));
  say_int("closed", c->closed);
}

/* --- scenarios --- */

static void echo(char **args) {
  struct ln_loop *l = begin_loop();
  struct server v = {0};
  struct client c = {.message = "good day\n", .want = 9};
  uint16_t port = serve(l, &v, echo_accept);
  client_start(&c, l, args[0] ? args[0] : "127.0.0.1", port, 0);
  ln_loop_run(l);
  say_client(&c);
  say_int("got", (long long)c.got);
  say_int("same", c.sum == mix(0, "good day\n", 9));
  say_int("accepted", v.accepted);
  say_int("server_closed", v.closed);
  end_loop(l);
}

/* A client that writes without heed and reads late: the server's queue stays bounded. */
enum { BLOCK = 65536, BLOCKS = 400 };

static struct ln_bytes *block;

static void slow_start(struct ln_timer *t) {
  struct client *c = LN_CONTAINER(t, struct client, timer);
  ln_stream_read_start(c->s);
}

static void slow_connect(void *arg, int err, const char *why) {
  struct client *c = arg;
  (void)why;
  CHECK(!err);
  int full = 0;
  for (int i = 0; i < BLOCKS; i++) {
    struct ln_iov parts[3] = {
        {block->data, 100, NULL}, {"", 0, NULL}, {block->data + 100, BLOCK - 100, block}};
    int rc = ln_stream_write(c->s, parts, 3);
    CHECK(rc == LN_OK || rc == LN_EFULL);
    CHECK((rc == LN_EFULL) == (ln_stream_queued(c->s) > 256 * 1024));
    full += rc == LN_EFULL;
  }
  say_int("client_full", full > 0);
  ln_timer_start(c->l, &c->timer, 300, slow_start);
}

static void slow_reader(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct server v = {0};
  struct client c = {.want = (size_t)BLOCK * BLOCKS};
  struct ln_stream_ops ops = client_ops;
  block = ln_bytes_new(BLOCK);
  for (size_t i = 0; i < BLOCK; i++) block->data[i] = (char)(i * 31 + i / 251);
  uint64_t sum = 0;
  for (int i = 0; i < BLOCKS; i++) sum = mix(sum, block->data, BLOCK);
  uint16_t port = serve(l, &v, echo_accept);
  client_start(&c, l, "127.0.0.1", port, 0);
  ops.on_connect = slow_connect;
  ln_stream_set_ops(c.s, &ops, &c);
  ln_loop_run(l);
  say_int("got_all", c.got == (size_t)BLOCK * BLOCKS);
  say_int("same", c.sum == sum);
  say_int("client_drains", c.drains);
  say_int("server_full", v.full > 0);
  say_int("server_drained_as_often", v.full == v.drained);
  say_int("server_bounded", v.max_queued <= 256 * 1024 + 65536);
  say_int("closed", c.closed);
  say_int("block_refs", block->refs);
  ln_bytes_unref(block);
  end_loop(l);
}

/* One write of many MiB in thousands of parts, then our end; the peer's bytes come back whole. */
static void huge_connect(void *arg, int err, const char *why) {
  struct client *c = arg;
  (void)why;
  CHECK(!err);
  enum { PARTS = 3000 };
  static struct ln_iov parts[PARTS];
  size_t total = 0;
  for (int i = 0; i < PARTS; i++) {
    parts[i] = (struct ln_iov){block->data, (size_t)(i * 37) % BLOCK, i % 3 ? block : NULL};
    total += parts[i].n;
    c->want = total;
  }
  c->low = 1000;
  ln_stream_set_marks(c->s, c->low, 500000, total);
  CHECK(ln_stream_write(c->s, parts, PARTS) == LN_EFULL);
  struct ln_iov more = {block->data, BLOCK, NULL};
  /* What the kernel took already makes room below the hard limit, but not that much. */
  struct ln_iov much = {block->data, BLOCK, block};
  static struct ln_iov lots[2000];
  for (int i = 0; i < 2000; i++) lots[i] = much;
  say("too_much", "%s", ln_err_name(ln_stream_write(c->s, lots, 2000)));
  size_t queued = ln_stream_queued(c->s);
  (void)more;
  ln_stream_shutdown(c->s);
  say_int("nothing_taken", ln_stream_queued(c->s) == queued);
  say("after_shutdown", "%s", ln_err_name(ln_stream_write(c->s, &more, 1)));
  ln_stream_read_start(c->s);
}

static void huge(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct server v = {0};
  struct client c = {0};
  struct ln_stream_ops ops = client_ops;
  block = ln_bytes_new(BLOCK);
  for (size_t i = 0; i < BLOCK; i++) block->data[i] = (char)(i * 31 + i / 251);
  uint64_t sum = 0;
  size_t total = 0;
  for (int i = 0; i < 3000; i++) {
    sum = mix(sum, block->data, (size_t)(i * 37) % BLOCK);
    total += (size_t)(i * 37) % BLOCK;
  }
  uint16_t port = serve(l, &v, echo_accept);
  client_start(&c, l, "127.0.0.1", port, 0);
  ops.on_connect = huge_connect;
  ln_stream_set_ops(c.s, &ops, &c);
  ln_loop_run(l);
  say_int("got_all", c.got == total);
  say_int("same", c.sum == sum);
  say_int("drains", c.drains);
  say_int("end_err", c.end_err);
  say_int("server_end_errors", v.end_errors);
  say_int("block_refs", block->refs);
  ln_bytes_unref(block);
  end_loop(l);
}

/* Half-close: the client ends its side first and still hears the answer. */
struct half {
  struct ln_stream *s;
  struct ln_timer timer;
  char got[64];
  size_t n;
};

static void half_answer(struct ln_timer *t) {
  struct half *h = LN_CONTAINER(t, struct half, timer);
  struct ln_iov part = {"answer after your end", 21, NULL};
  say("heard", "%.*s", (int)h->n, h->got);
  CHECK(ln_stream_write(h->s, &part, 1) == LN_OK);
  ln_stream_close_flushed(h->s, 1000);
  CHECK(ln_stream_write(h->s, &part, 1) == LN_ECLOSED);
}
static void half_read(void *arg, const char *p, size_t n) {
  struct half *h = arg;
  CHECK(h->n + n <= sizeof h->got);
  memcpy(h->got + h->n, p, n);
  h->n += n;
}
static struct ln_loop *half_loop;
static void half_end(void *arg, int err) {
  struct half *h = arg;
  CHECK(err == LN_OK);
  ln_timer_start(half_loop, &h->timer, 50, half_answer);
}
static void half_closed(void *arg) {
  free(arg);
}
static const struct ln_stream_ops half_ops = {
    .on_read = half_read, .on_end = half_end, .on_closed = half_closed};
static void half_accept(void *arg, struct ln_stream *s) {
  struct half *h = calloc(1, sizeof *h);
  (void)arg;
  h->s = s;
  ln_timer_init(&h->timer);
  ln_stream_set_ops(s, &half_ops, h);
  ln_stream_read_start(s);
}
static char half_heard[64];
static void half_client_read(void *arg, const char *p, size_t n) {
  (void)arg;
  strncat(half_heard, p, n);
}

static void half_close(char **args) {
  (void)args;
  struct ln_loop *l = half_loop = begin_loop();
  struct server v = {0};
  struct client c = {0};
  struct ln_stream_ops ops = client_ops;
  uint16_t port = serve(l, &v, half_accept);
  c.closes = v.listener;
  client_start(&c, l, "127.0.0.1", port, 0);
  ops.on_read = half_client_read;
  ln_stream_set_ops(c.s, &ops, &c);
  struct ln_iov part = {"question", 8, NULL};
  CHECK(ln_stream_write(c.s, &part, 1) == LN_OK); /* before it is connected */
  ln_stream_shutdown(c.s);
  ln_loop_run(l);
  say("answer", "%s", half_heard);
  say_client(&c);
  end_loop(l);
}

/* Connecting to what isn't there: args are host, port, timeout. */
static void connect_to(char **args) {
  struct ln_loop *l = begin_loop();
  struct client c = {0};
  uint64_t begun = now_ms();
  client_start(&c, l, args[0], (uint16_t)atoi(args[1]), (uint64_t)atoll(args[2]));
  ln_loop_run(l);
  say_client(&c);
  say_int("took_ms", (long long)(now_ms() - begun));
  end_loop(l);
}

/* A listener whose backlog is full accepts no more: connecting hangs, as through a firewall. */
static void connect_timeout(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof addr;
  CHECK(bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, 0) == 0);
  getsockname(fd, (struct sockaddr *)&addr, &len);
  int fill[4];
  for (size_t i = 0; i < LN_COUNT(fill); i++) {
    fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(connect(fill[i], (struct sockaddr *)&addr, len) == 0 || 1);
  }
  struct client c = {0};
  uint64_t begun = now_ms();
  client_start(&c, l, "127.0.0.1", ntohs(addr.sin_port), 300);
  ln_loop_run(l);
  uint64_t took = now_ms() - begun;
  say_client(&c);
  say_int("in_time", took >= 300 && took < 500);
  for (size_t i = 0; i < LN_COUNT(fill); i++) close(fill[i]);
  close(fd);
  end_loop(l);
}

/* Closing at any time: at once, while looking up, while connecting, right when connected. */
static void cancel_now(struct ln_timer *t) {
  ln_stream_close(LN_CONTAINER(t, struct client, timer)->s);
}
static void cancel_connect(void *arg, int err, const char *why) {
  struct client *c = arg;
  (void)err, (void)why;
  c->connects++;
  ln_stream_close(c->s);
}

static struct ln_listener *cancelled;
static void cancel_end(struct ln_timer *t) {
  (void)t;
  ln_listener_close(cancelled, NULL, NULL);
}

static void cancel(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct server v = {.stays = true};
  struct client c[6] = {{0}};
  struct ln_stream_ops ops = client_ops;
  uint16_t port = serve(l, &v, echo_accept);
  ops.on_connect = cancel_connect;
  for (int i = 0; i < 6; i++) client_start(&c[i], l, i % 2 ? "localhost" : "127.0.0.1", port, 0);
  struct ln_timer end;
  ln_timer_init(&end);
  ln_timer_start(l, &end, 300, cancel_end);
  cancelled = v.listener;
  ln_stream_close(c[0].s);
  ln_stream_close(c[1].s);
  ln_timer_start(l, &c[2].timer, 0, cancel_now);
  ln_timer_start(l, &c[3].timer, 0, cancel_now);
  ln_stream_set_ops(c[4].s, &ops, &c[4]);
  ln_stream_set_ops(c[5].s, &ops, &c[5]);
  ln_loop_run(l);
  int closed = 0;
  for (int i = 0; i < 6; i++) closed += c[i].closed;
  say_int("closed", closed);
  say_int("early_connects", c[0].connects + c[1].connects);
  say_int("late_connects", c[4].connects + c[5].connects);
  end_loop(l);
}

/* A peer that resets: on_end with an error, later writes refused. */
static void reset_accept(void *arg, struct ln_stream *s) {
  struct client *c = arg;
  c->s = s;
  ln_timer_init(&c->timer);
  ln_stream_set_ops(s, &client_ops, c);
  ln_stream_read_start(s);
}

static void peer_reset(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct client c = {0};
  const char *why;
  CHECK(ln_listen(l, "127.0.0.1", 0, reset_accept, &c, &c.closes, &why) == LN_OK);
  struct sockaddr_in addr = {.sin_family = AF_INET,
                             .sin_port = htons(ln_listener_port(c.closes)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
  struct linger hard = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(fd);
  ln_loop_run(l);
  say_client(&c);
  end_loop(l);
}

/* The last words of a server that closes with input unread must arrive. */
static struct client rude;

static void rude_close(struct ln_timer *t) {
  struct ln_iov part = {"413 too large", 13, NULL};
  (void)t;
  CHECK(ln_stream_write(rude.s, &part, 1) == LN_OK);
  ln_stream_close_flushed(rude.s, 300);
}
static void rude_accept(void *arg, struct ln_stream *s) {
  (void)arg;
  rude.s = s;
  ln_timer_init(&rude.timer);
  ln_stream_set_ops(s, &client_ops, &rude);
  ln_timer_start(rude.l, &rude.timer, 100, rude_close); /* there is input by then */
}

static void last_words(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct server v = {0};
  rude.l = l;
  uint16_t port = serve(l, &v, rude_accept);
  rude.closes = v.listener;
  /* A socket of our own for a client: libuv doesn't tell a reset from an end here. */
  struct sockaddr_in addr = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  static char much[100000];
  char heard[64] = {0};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
  CHECK(send(fd, much, sizeof much, 0) == sizeof much);
  ln_loop_run(l);
  CHECK(recv(fd, heard, sizeof heard - 1, 0) == 13);
  say("heard", "%s", heard);
  say_int("clean", recv(fd, heard, sizeof heard, 0) == 0);
  say_int("closed", rude.closed);
  close(fd);
  end_loop(l);
}

/* --- descriptors run out: accepting pauses, and goes on by itself --- */

static int spare[64];
static size_t spares;

static void free_descriptors(struct ln_timer *t) {
  (void)t;
  while (spares) close(spare[--spares]);
}

static void exhaustion(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct server v = {0};
  uint16_t port = serve(l, &v, echo_accept);
  struct client c = {.message = "hello", .want = 5};
  struct ln_timer later;
  ln_timer_init(&later);
  client_start(&c, l, "127.0.0.1", port, 0);
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = 48;
  setrlimit(RLIMIT_NOFILE, &limit);
  int fd;
  while (spares < LN_COUNT(spare) && (fd = dup(2)) >= 0) spare[spares++] = fd;
  ln_timer_start(l, &later, 350, free_descriptors);
  uint64_t begun = now_ms();
  ln_loop_run(l);
  say_int("got", (long long)c.got);
  say_int("waited", now_ms() - begun >= 300);
  say_int("accepted", v.accepted);
  end_loop(l);
}

static void listen_fails(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct server v = {0};
  uint16_t port = serve(l, &v, echo_accept);
  struct ln_listener *n;
  const char *why = NULL;
  say("taken", "%s", ln_err_name(ln_listen(l, "127.0.0.1", port, echo_accept, &v, &n, &why)));
  say("taken_why", "%s", strstr(why, ": "));
  say("name", "%s", ln_err_name(ln_listen(l, "nowhere", 1, echo_accept, &v, &n, &why)));
  say("name_why", "%s", why);
  say("foreign", "%s", ln_err_name(ln_listen(l, "192.0.2.1", 1, echo_accept, &v, &n, &why)));
  say("foreign_why", "%s", why);
  ln_listener_close(v.listener, NULL, NULL);
  ln_loop_run(l);
  end_loop(l);
}

/* --- many clients that do anything at any time --- */

enum { STORM = 300 };

static struct client storm_clients[STORM];
static uint64_t seed = 7;
static int storm_closed;
static struct server storm_server;

static uint64_t draw(uint64_t n) {
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (seed >> 33) % n;
}

static void storm_act(struct ln_timer *t);

static void storm_again(struct client *c) {
  ln_timer_start(c->l, &c->timer, draw(20), storm_act);
}

static void storm_act(struct ln_timer *t) {
  struct client *c = LN_CONTAINER(t, struct client, timer);
  struct ln_iov parts[3] = {{block->data, draw(block->len), draw(2) ? block : NULL},
                            {block->data, draw(300), NULL},
                            {block->data, draw(2000), block}};
  int rc;
  switch (draw(12)) {
    case 0: ln_stream_close(c->s); return;
    case 1: ln_stream_close_flushed(c->s, draw(200)); return;
    case 2: ln_stream_shutdown(c->s); break;
    case 3: ln_stream_read_stop(c->s); break;
    case 4:
    case 5: ln_stream_read_start(c->s); break;
    default:
      rc = ln_stream_write(c->s, parts, 1 + draw(3));
      CHECK(rc == LN_OK || rc == LN_EFULL || rc == LN_ECLOSED || rc == LN_ELIMIT);
  }
  storm_again(c);
}

static void storm_connect(void *arg, int err, const char *why) {
  (void)arg, (void)err, (void)why;
}

static void storm_read(void *arg, const char *p, size_t n) {
  struct client *c = arg;
  c->sum = mix(c->sum, p, n); /* touches every byte */
  if (!draw(50)) ln_stream_close(c->s);
}

static void storm_end(void *arg, int err) {
  struct client *c = arg;
  if (err || draw(2)) ln_stream_close(c->s);
}

static void storm_gone(void *arg) {
  struct client *c = arg;
  ln_timer_stop(&c->timer);
  c->closed++;
  if (++storm_closed == STORM) ln_listener_close(storm_server.listener, NULL, NULL);
}

static void storm(char **args) {
  static const struct ln_stream_ops ops = {storm_connect, storm_read, storm_end, NULL, storm_gone};
  struct ln_loop *l = begin_loop();
  storm_server.stays = true;
  seed = (uint64_t)atoi(args[0]);
  block = ln_bytes_new(BLOCK * 4);
  memset(block->data, 'x', block->len);
  uint16_t port = serve(l, &storm_server, echo_accept);
  for (int i = 0; i < STORM; i++) {
    struct client *c = &storm_clients[i];
    client_start(c, l, draw(3) ? "127.0.0.1" : "localhost", port, 0);
    ln_stream_set_ops(c->s, &ops, c);
    if (draw(4) == 0) ln_stream_set_marks(c->s, 100, 1000, 100000);
    if (draw(2)) ln_stream_read_start(c->s);
    storm_again(c);
  }
  ln_loop_run(l);
  int once = 0;
  for (int i = 0; i < STORM; i++) once += storm_clients[i].closed == 1;
  say_int("once", once);
  say_int("server", storm_server.accepted == storm_server.closed);
  say_int("block_refs", block->refs);
  ln_bytes_unref(block);
  end_loop(l);
}

/* --- for strace -c: n round trips between two processes --- */

static void only_close_read(void *arg, const char *p, size_t n);
static int trips;

static void only_close_read(void *arg, const char *p, size_t n) {
  struct client *c = arg;
  struct ln_iov part = {p, n, NULL};
  if (--trips == 0)
    ln_stream_close(c->s);
  else
    CHECK(ln_stream_write(c->s, &part, 1) == LN_OK);
}

static void echo_server(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct server v = {0};
  say_int("port", serve(l, &v, echo_accept));
  ln_loop_run(l);
  end_loop(l);
}

static void echo_client(char **args) {
  struct ln_loop *l = begin_loop();
  struct client c = {.message = "ping"};
  struct ln_stream_ops ops = client_ops;
  trips = atoi(args[1]);
  client_start(&c, l, "127.0.0.1", (uint16_t)atoi(args[0]), 0);
  ops.on_read = only_close_read;
  ln_stream_set_ops(c.s, &ops, &c);
  uint64_t begun = now_ns();
  int n = trips;
  ln_loop_run(l);
  say_int("ns_per_trip", (long long)(now_ns() - begun) / n);
  end_loop(l);
}

const struct scenario stream_scenarios[] = {{"echo", echo},
                                            {"slow_reader", slow_reader},
                                            {"huge", huge},
                                            {"half_close", half_close},
                                            {"connect_to", connect_to},
                                            {"connect_timeout", connect_timeout},
                                            {"cancel", cancel},
                                            {"peer_reset", peer_reset},
                                            {"last_words", last_words},
                                            {"exhaustion", exhaustion},
                                            {"listen_fails", listen_fails},
                                            {"storm", storm},
                                            {"echo_server", echo_server},
                                            {"echo_client", echo_client},
                                            {NULL, NULL}};
