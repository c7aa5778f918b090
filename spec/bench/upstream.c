/* bench_upstream: an MCP server that does as little as one can, so that what stands before it is
 * what costs. One thread, epoll.
 *
 *   bench_upstream --http PORT    Streamable HTTP at /mcp on 127.0.0.1; prints its port, which the
 *                                 kernel chooses for 0
 *   bench_upstream --stdio        a message a line
 *   --size BYTES                  the least length of echo's text (512)
 *
 * Sessions are numbers that it has given out; it keeps nothing about them, so that one that was
 * deleted goes on being accepted. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define SESSION_PREFIX "bench-session-"

struct connection {
  int fd;
  bool writing; /* epoll tells when the socket takes more */
  struct bench_buf in, out;
};

struct upstream {
  int poll, listener;
  size_t size;
  unsigned long sessions;
  struct bench_buf body; /* of the answer in the making */
};

/* --- HTTP --- */

static void reply(struct connection *c, const char *status, const char *header,
                  const struct bench_buf *body) {
  size_t n = body != NULL ? body->n : 0;
  bench_buf_addf(&c->out, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, header, n);
  if (n > 0) bench_buf_add(&c->out, body->p, n);
}

static bool session_known(const struct upstream *u, struct bench_span id) {
  char digits[24];
  size_t prefix = strlen(SESSION_PREFIX);
  if (id.n <= prefix || id.n - prefix >= sizeof digits) return false;
  if (memcmp(id.p, SESSION_PREFIX, prefix) != 0) return false;
  memcpy(digits, id.p + prefix, id.n - prefix);
  digits[id.n - prefix] = '\0';
  unsigned long number = strtoul(digits, NULL, 10);
  return number > 0 && number <= u->sessions;
}

static void post(struct upstream *u, struct connection *c, const struct bench_http *m) {
  static const char json[] = "Content-Type: application/json\r\n";
  char header[128];
  u->body.n = 0;
  switch (bench_answer(m->body, u->size, &u->body)) {
    case BENCH_ASKED_BAD: reply(c, "400 Bad Request", "", NULL); return;
    case BENCH_ASKED_INITIALIZE:
      snprintf(header, sizeof header, "%sMcp-Session-Id: " SESSION_PREFIX "%lu\r\n", json,
               ++u->sessions);
      reply(c, "200 OK", header, &u->body);
      return;
    case BENCH_ASKED_NOTHING:
    case BENCH_ASKED_OTHER: break;
  }
  if (m->session.n == 0)
    reply(c, "400 Bad Request", "", NULL);
  else if (!session_known(u, m->session))
    reply(c, "404 Not Found", "", NULL);
  else if (u->body.n == 0)
    reply(c, "202 Accepted", "", NULL);
  else
    reply(c, "200 OK", json, &u->body);
}

static bool is(struct bench_span line, const char *start) {
  return line.n >= strlen(start) && memcmp(line.p, start, strlen(start)) == 0;
}

static void respond(struct upstream *u, struct connection *c, const struct bench_http *m) {
  if (is(m->line, "POST /mcp "))
    post(u, c, m);
  else if (is(m->line, "GET /mcp "))
    reply(c, "405 Method Not Allowed", "", NULL);
  else if (is(m->line, "DELETE /mcp "))
    reply(c, session_known(u, m->session) ? "200 OK" : "404 Not Found", "", NULL);
  else
    reply(c, "404 Not Found", "", NULL);
}

/* False when the connection is done with. */
static bool flush(struct upstream *u, struct connection *c) {
  while (c->out.n > 0) {
    ssize_t n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return false;
    if (n < 0) break;
    bench_buf_consume(&c->out, (size_t)n);
  }
  if (c->writing != (c->out.n > 0)) {
    c->writing = c->out.n > 0;
    struct epoll_event e = {.events = EPOLLIN | (c->writing ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(u->poll, EPOLL_CTL_MOD, c->fd, &e) < 0) return false;
  }
  return true;
}

static bool serve(struct upstream *u, struct connection *c, uint32_t events) {
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    ssize_t n = bench_read(c->fd, &c->in);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
    struct bench_http m;
    size_t done = 0;
    int got;
    while ((got = bench_http_read(c->in.p + done, c->in.n - done, &m)) > 0) {
      respond(u, c, &m);
      done += m.total;
    }
    bench_buf_consume(&c->in, done);
    if (got < 0) return false;
  }
  return flush(u, c);
}

static void accept_all(struct upstream *u) {
  for (;;) {
    int fd = accept4(u->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0 && errno != EAGAIN) bench_die("accept: %s", strerror(errno));
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) bench_die("out of memory");
    c->fd = fd;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(u->poll, EPOLL_CTL_ADD, fd, &e) < 0) bench_die("epoll: %s", strerror(errno));
  }
}

static void drop(struct connection *c) {
  close(c->fd);
  bench_buf_free(&c->in);
  bench_buf_free(&c->out);
  free(c);
}

static _Noreturn void serve_http(struct upstream *u, unsigned port) {
  bench_raise_files();
  u->listener = bench_listen(port, &port);
  u->poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, ready[128];
  if (u->poll < 0 || epoll_ctl(u->poll, EPOLL_CTL_ADD, u->listener, &e) < 0)
    bench_die("epoll: %s", strerror(errno));
  printf("%u\n", port);
  fflush(stdout);
  for (;;) {
    int n = epoll_wait(u->poll, ready, 128, -1);
    if (n < 0 && errno != EINTR) bench_die("epoll: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
      struct connection *c = ready[i].data.ptr;
      if (c == NULL)
        accept_all(u);
      else if (!serve(u, c, ready[i].events))
        drop(c);
    }
  }
}

/* --- stdio --- */

static void write_out(struct bench_buf *out) {
  while (out->n > 0) {
    ssize_t n = write(1, out->p, out->n);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) exit(errno == EPIPE ? 0 : 1); /* the client has gone */
    bench_buf_consume(out, (size_t)n);
  }
}

/* All lines of one read are answered with one write. */
static int serve_stdio(struct upstream *u) {
  struct bench_buf in = {0};
  while (bench_read(0, &in) > 0) {
    char *line = in.p, *end = in.p + in.n, *lf;
    while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
      size_t before = u->body.n;
      bench_answer((struct bench_span){line, (size_t)(lf - line)}, u->size, &u->body);
      if (u->body.n > before) bench_buf_add(&u->body, "\n", 1);
      line = lf + 1;
    }
    bench_buf_consume(&in, (size_t)(line - in.p));
    write_out(&u->body);
  }
  bench_buf_free(&in);
  bench_buf_free(&u->body);
  return 0;
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"http", required_argument, NULL, 'h'},
                                          {"stdio", no_argument, NULL, 's'},
                                          {"size", required_argument, NULL, 'n'},
                                          {NULL, 0, NULL, 0}};
  struct upstream u = {.size = 512};
  long port = -1;
  bool stdio = false;
  int option;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (option == 'h')
      port = bench_number(optarg, 0, 65535);
    else if (option == 's')
      stdio = true;
    else if (option == 'n')
      u.size = (size_t)bench_number(optarg, 0, 1 << 20);
    else
      return 2;
  }
  if (optind < argc || stdio == (port >= 0)) {
    fputs("usage: bench_upstream --http PORT | --stdio [--size BYTES]\n", stderr);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  if (stdio) return serve_stdio(&u);
  serve_http(&u, (unsigned)port);
}
