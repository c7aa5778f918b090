/* Scenarios of streams over TCP: clients and servers of several tempers. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver_echo.h"

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
                                            {"peer_reset", peer_reset},
                                            {"last_words", last_words},
                                            {"storm", storm},
                                            {"echo_server", echo_server},
                                            {"echo_client", echo_client},
                                            {NULL, NULL}};
