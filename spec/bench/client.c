/* One HTTP connection to an MCP endpoint with one session on it, blocking. The load opens and
 * closes its sessions with this; in between it drives the sockets itself. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bench.h"

#define PATIENCE_S 15

__attribute__((format(printf, 2, 3))) static bool fail(struct bench_client *c, const char *format,
                                                       ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(c->why, sizeof c->why, format, args);
  va_end(args);
  return false;
}

static void split_url(struct bench_client *c, const char *url, struct sockaddr_in *a) {
  unsigned port = 0;
  int used = 0;
  if (sscanf(url, "http://127.0.0.1:%u%n", &port, &used) != 1 || url[used] != '/' ||
      strlen(url + used) >= sizeof c->path)
    bench_die("a URL like http://127.0.0.1:PORT/mcp is wanted, not \"%s\"", url);
  snprintf(c->host, sizeof c->host, "127.0.0.1:%u", port);
  snprintf(c->path, sizeof c->path, "%s", url + used);
  *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static bool connect_to(struct bench_client *c, const struct sockaddr_in *a) {
  struct timeval patience = {.tv_sec = PATIENCE_S};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0) return fail(c, "socket: %s", strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(c->fd, (const struct sockaddr *)a, sizeof *a) == 0) return true;
  fail(c, "connect: %s", strerror(errno));
  close(c->fd);
  return false;
}

void bench_client_head(const struct bench_client *c, const char *method, size_t length,
                       struct bench_buf *out) {
  bool post = strcmp(method, "POST") == 0;
  bench_buf_addf(out, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\n", method, c->path, c->host,
                 post ? "application/json, text/event-stream" : "text/event-stream");
  if (c->session[0] != '\0')
    bench_buf_addf(out, "Mcp-Session-Id: %s\r\nMCP-Protocol-Version: " BENCH_PROTOCOL "\r\n",
                   c->session);
  if (post)
    bench_buf_addf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", length);
  bench_buf_add(out, "\r\n", 2);
}

bool bench_client_exchange(struct bench_client *c, const char *method, const char *body,
                           struct bench_http *reply) {
  struct bench_buf out = {0};
  bench_client_head(c, method, body != NULL ? strlen(body) : 0, &out);
  if (body != NULL) bench_buf_add(&out, body, strlen(body));
  ssize_t sent = send(c->fd, out.p, out.n, MSG_NOSIGNAL);
  bool whole = sent >= 0 && (size_t)sent == out.n;
  bench_buf_free(&out);
  if (!whole) return fail(c, "%s can't be sent: %s", method, strerror(errno));

  c->in.n = 0;
  for (;;) {
    ssize_t n = bench_read(c->fd, &c->in);
    if (n == 0) return fail(c, "the connection was closed instead of a response to %s", method);
    if (n < 0) return fail(c, "no response to %s: %s", method, strerror(errno));
    int got = bench_http_read(c->in.p, c->in.n, reply);
    if (got < 0) return fail(c, "the response to %s can't be read", method);
    if (got > 0 || (reply->head > 0 && strcmp(method, "GET") == 0)) return true;
  }
}

/* The JSON of a reply; of an event stream its last data line. */
static struct bench_span json_of(const struct bench_http *reply) {
  struct bench_span found = reply->body;
  if (!reply->sse) return found;
  const char *p = reply->body.p, *end = p + reply->body.n;
  found.n = 0;
  while (p < end) {
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    const char *stop = lf != NULL ? lf : end;
    if (stop - p > 5 && memcmp(p, "data:", 5) == 0)
      found = (struct bench_span){p + 5, (size_t)(stop - p - 5)};
    p = stop + 1;
  }
  return found;
}

static bool begin_session(struct bench_client *c) {
  struct bench_http reply = {0};
  struct bench_span result;
  if (!bench_client_exchange(c, "POST", bench_initialize, &reply)) return false;
  if (reply.status != 200) return fail(c, "initialize: status %d", reply.status);
  if (!bench_json_member(json_of(&reply), "result", &result))
    return fail(c, "initialize: %.*s", bench_shown(reply.body.n), reply.body.p);
  if (reply.session.n == 0 || reply.session.n >= sizeof c->session)
    return fail(c, "initialize: no usable Mcp-Session-Id");
  memcpy(c->session, reply.session.p, reply.session.n);
  c->session[reply.session.n] = '\0';
  if (!bench_client_exchange(c, "POST", bench_initialized, &reply)) return false;
  return reply.status == 202 || fail(c, "initialized: status %d, not 202", reply.status);
}

bool bench_client_open(struct bench_client *c, const char *url) {
  struct sockaddr_in a;
  memset(c, 0, sizeof *c);
  split_url(c, url, &a);
  if (!connect_to(c, &a)) return false;
  if (begin_session(c)) return true;
  bench_client_close(c);
  return false;
}

void bench_client_close(struct bench_client *c) {
  close(c->fd);
  c->fd = -1;
  bench_buf_free(&c->in);
}
