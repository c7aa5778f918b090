/* Listening and accepting. When descriptors run out, libuv's own listener accepts and
 * closes waiting connections; here they wait in the kernel until there is room again. So the socket
 * is ours, and libuv only reports when it is readable.
 *
 * Options set on the listening socket are inherited by what it accepts: no call per connection. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/descriptors.h"
#include "net/stream_impl.h"

enum { BACKLOG = 1024, BURST = 64, PAUSE_MS = 100, KEEPALIVE_S = 60 };

struct ln_listener {
  uv_poll_t poll;
  struct ln_loop *loop;
  struct ln_timer resume;
  void (*on_accept)(void *arg, struct ln_stream *s);
  void *arg;
  bool (*on_scarce)(void *arg, const unsigned char address[16]);
  void (*closed)(void *arg);
  void *closed_arg;
  int fd;
  int kept; /* descriptors from this number on are kept back */
  uint16_t port;
  unsigned char address[16]; /* bound to; IPv4 is mapped */
  bool paused;               /* and has said so in the log */
  bool closing;
};

static void on_readable(uv_poll_t *h, int status, int events);

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* An IPv4 address as its mapped IPv6 address. */
static void address_bytes(const union address *a, unsigned char out[16]) {
  static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (a->any.sa_family == AF_INET) {
    memcpy(out, mapped, sizeof mapped);
    memcpy(out + sizeof mapped, &a->v4.sin_addr, 4);
  } else {
    memcpy(out, &a->v6.sin6_addr, 16);
  }
}

/* What the socket is bound to. */
static void note_bound(struct ln_listener *n, const union address *got) {
  n->port = ntohs(got->any.sa_family == AF_INET ? got->v4.sin_port : got->v6.sin6_port);
  address_bytes(got, n->address);
}

/* The socket, listening; or a negative libuv error. */
static int open_socket(struct ln_listener *n, const struct sockaddr *addr) {
  union address got = {.v6 = {0}};
  socklen_t len =
      addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  int one = 1, idle = KEEPALIVE_S;
  int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  if (bind(fd, addr, len) || listen(fd, BACKLOG)) goto fail;
  len = sizeof got;
  if (getsockname(fd, &got.any, &len)) goto fail;
  note_bound(n, &got);
  return fd;
fail:;
  int err = uv_translate_sys_error(errno);
  close(fd);
  return err;
}

int ln_listen(struct ln_loop *l, const char *host, uint16_t port,
              void (*on_accept)(void *arg, struct ln_stream *s), void *arg,
              struct ln_listener **out, const char **why) {
  struct sockaddr_storage addr = {0};
  if (uv_ip4_addr(host, port, (struct sockaddr_in *)&addr) &&
      uv_ip6_addr(host, port, (struct sockaddr_in6 *)&addr)) {
    *why = ln_loop_why(l, "can't listen on %s: it is not an IP address", host);
    return LN_EPARAMS;
  }
  struct ln_listener *n = calloc(1, sizeof *n);
  if (!n) {
    *why = ln_err_text(LN_ENOMEM);
    return LN_ENOMEM;
  }
  n->loop = l;
  n->on_accept = on_accept;
  n->arg = arg;
  ln_timer_init(&n->resume);
  int rc = n->fd = open_socket(n, (struct sockaddr *)&addr);
  if (rc >= 0 && (rc = uv_poll_init(&l->uv, &n->poll, n->fd)) < 0) close(n->fd);
  if (rc < 0) {
    *why = ln_loop_why(l, "can't listen on %s:%u: %s", host, port, uv_strerror(rc));
    free(n);
    return LN_ESYSTEM;
  }
  n->poll.data = n;
  n->kept = ln_descriptors_kept(l);
  uv_poll_start(&n->poll, UV_READABLE, on_readable);
  *out = n;
  return LN_OK;
}

void ln_listener_on_scarce(struct ln_listener *l,
                           bool (*on_scarce)(void *arg, const unsigned char address[16])) {
  l->on_scarce = on_scarce;
}

uint16_t ln_listener_port(const struct ln_listener *l) {
  return l->port;
}

void ln_listener_address(const struct ln_listener *l, unsigned char address[16]) {
  memcpy(address, l->address, sizeof l->address);
}

/* --- accepting --- */

static void on_resume(struct ln_timer *t) {
  struct ln_listener *n = LN_CONTAINER(t, struct ln_listener, resume);
  uv_poll_start(&n->poll, UV_READABLE, on_readable);
}

static void pause_accepting(struct ln_listener *n, int err) {
  if (!n->paused)
    LN_LOG(n->loop->log, WARN, "net", "can't accept connections on port %u for now: %s", n->port,
           uv_strerror(uv_translate_sys_error(err)));
  n->paused = true;
  uv_poll_stop(&n->poll);
  ln_timer_start(n->loop, &n->resume, PAUSE_MS, on_resume);
}

/* The same connection by a lower number, where one is free now. */
static int lower(int fd) {
  int low = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (low < 0) return fd;
  close(low < fd ? fd : low);
  return LN_MIN(low, fd);
}

static void hand_over(struct ln_listener *n, int fd, const union address *peer) {
  unsigned char address[16];
  address_bytes(peer, address);
  if (fd >= n->kept && n->on_scarce && n->on_scarce(n->arg, address)) fd = lower(fd);
  struct ln_stream *s = ln_stream_accepted(n->loop, fd, address);
  if (!s) {
    close(fd);
    return;
  }
  s->spare = fd >= n->kept;
  const struct ln_stream_ops *none = s->ops;
  n->on_accept(n->arg, s);
  if (s->ops == none) ln_stream_close(s); /* nobody wanted it */
}

static void on_readable(uv_poll_t *h, int status, int events) {
  struct ln_listener *n = h->data;
  (void)events;
  (void)status; /* an error on the socket shows in accept4 */
  for (int i = 0; i < BURST && !n->closing; i++) {
    union address peer = {.v6 = {0}};
    socklen_t len = sizeof peer;
    int fd = accept4(n->fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      n->paused = false;
      hand_over(n, fd, &peer);
      continue;
    }
    switch (errno) {
      case EAGAIN: return;
      case EINTR:
      case ECONNABORTED:
      case EPROTO: continue; /* that one is gone; the next may be fine */
      default: pause_accepting(n, errno); return;
    }
  }
}

static void on_poll_closed(uv_handle_t *h) {
  struct ln_listener *n = h->data;
  void (*closed)(void *arg) = n->closed;
  void *arg = n->closed_arg;
  free(n);
  if (closed) closed(arg);
}

void ln_listener_close(struct ln_listener *n, void (*closed)(void *arg), void *arg) {
  if (n->closing) return;
  n->closing = true;
  n->closed = closed;
  n->closed_arg = arg;
  ln_timer_stop(&n->resume);
  uv_close((uv_handle_t *)&n->poll, on_poll_closed);
  close(n->fd); /* at once: the port is free when this returns */
}
