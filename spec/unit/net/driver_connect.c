/* Scenarios of connecting and listening, over TCP. */
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver_echo.h"

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

const struct scenario connect_scenarios[] = {
    {"connect_to", connect_to}, {"connect_timeout", connect_timeout}, {"cancel", cancel},
    {"exhaustion", exhaustion}, {"listen_fails", listen_fails},       {NULL, NULL}};
