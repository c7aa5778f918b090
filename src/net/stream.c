/* The life of a stream and its reading; writing is in write.c. See stream_impl.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/stream_impl.h"

static const struct ln_stream_ops no_ops;

struct ln_stream *ln_stream_new(struct ln_loop *l, enum ln_stream_kind kind) {
  struct ln_stream *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->loop = l;
  s->kind = kind;
  s->ops = &no_ops;
  s->stdio = s->saved_flags = -1;
  s->low = 64 * 1024;
  s->high = 256 * 1024;
  s->hard = 64 * 1024 * 1024;
  ln_queue_init(&s->queue);
  ln_timer_init(&s->timer);
  ln_task_init(&s->task);
  return s;
}

void ln_stream_set_ops(struct ln_stream *s, const struct ln_stream_ops *ops, void *arg) {
  s->ops = ops ? ops : &no_ops;
  s->arg = arg;
}

void ln_stream_set_marks(struct ln_stream *s, size_t low, size_t high, size_t hard) {
  LN_ASSERT(low <= high && high <= hard);
  s->low = low;
  s->high = high;
  s->hard = hard;
}

int ln_stream_uv_err(int uverr) {
  switch (uverr) {
    case UV_ECONNRESET:
    case UV_ECONNABORTED:
    case UV_EPIPE:
    case UV_ESHUTDOWN:
    case UV_ENOTCONN:
    case UV_ETIMEDOUT:
    case UV_EIO: /* a terminal that hung up */
    case UV_EOF: return LN_ECLOSED;
    case UV_ENOMEM: return LN_ENOMEM;
    default: return LN_ESYSTEM;
  }
}

/* --- opening --- */

struct ln_stream *ln_stream_accepted(struct ln_loop *l, int fd, const unsigned char address[16]) {
  struct ln_stream *s = ln_stream_new(l, LN_STREAM_TCP);
  if (!s) return NULL;
  memcpy(s->address, address, sizeof s->address);
  uv_tcp_init(&l->uv, &s->h.tcp);
  s->h.handle.data = s;
  s->open = s->up = true;
  if (uv_tcp_open(&s->h.tcp, fd)) {
    ln_stream_close(s);
    return NULL;
  }
  return s;
}

/* Standard descriptors are often shared with the shell and others, who would see our O_NONBLOCK. A
 * fifo can be opened anew, which gives flags of our own; otherwise they are restored on close.
 * The copy leaves the number itself in place until then. */
static int own_copy(struct ln_stream *s, int fd, bool fifo) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -1;
  s->stdio = fd;
  if (fifo) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int fresh = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_CLOEXEC);
    if (fresh >= 0) return fresh;
  }
  s->saved_flags = flags;
  return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static int open_handle(struct ln_stream *s, int fd) {
  uv_loop_t *uv = &s->loop->uv;
  int rc;
  if (s->kind == LN_STREAM_TTY) {
    rc = uv_tty_init(uv, &s->h.tty, fd, 0);
    if (rc) return rc; /* the handle was not made */
    s->open = true;
    /* libuv opens terminals anew and closes what it opened; ours is not needed then. */
    uv_os_fd_t used;
    if (uv_fileno(&s->h.handle, &used) == 0 && used != fd) close(fd);
    return 0;
  }
  rc = s->kind == LN_STREAM_TCP ? uv_tcp_init(uv, &s->h.tcp) : uv_pipe_init(uv, &s->h.pipe, 0);
  if (rc) return rc;
  s->open = true;
  return s->kind == LN_STREAM_TCP ? uv_tcp_open(&s->h.tcp, fd) : uv_pipe_open(&s->h.pipe, fd);
}

static bool kind_of(int fd, enum ln_stream_kind *kind) {
  switch (uv_guess_handle(fd)) {
    case UV_TCP: *kind = LN_STREAM_TCP; return true;
    case UV_NAMED_PIPE: *kind = LN_STREAM_PIPE; return true;
    case UV_TTY: *kind = LN_STREAM_TTY; return true;
    case UV_FILE: *kind = LN_STREAM_FILE; return true;
    default: return false;
  }
}

struct ln_stream *ln_stream_open(struct ln_loop *l, int fd, const struct ln_stream_ops *ops,
                                 void *arg) {
  struct stat st;
  enum ln_stream_kind kind;
  if (fstat(fd, &st) || !kind_of(fd, &kind)) return NULL;
  struct ln_stream *s = ln_stream_new(l, kind);
  if (!s) return NULL;
  s->fifo = S_ISFIFO(st.st_mode);
  s->up = true;
  int use = fd;
  if (fd <= STDERR_FILENO && kind != LN_STREAM_FILE) use = own_copy(s, fd, s->fifo);
  bool ok = use >= 0 && (kind == LN_STREAM_FILE ? ln_file_open(s, fd) : open_handle(s, use)) == 0;
  if (!ok) {
    if (use >= 0 && use != fd) close(use);
    s->stdio = -1; /* the descriptor stays the caller's */
    ln_stream_close(s);
    return NULL;
  }
  s->h.handle.data = s;
  ln_stream_set_ops(s, ops, arg);
  return s;
}

/* --- reading --- */

/* libuv reads on while there is more, up to 2 MB: what that is worth of work is up to the peer.
 * After TURN_MS of it the others have their turn, and other peers before that (net/share.h). */
static bool has_turn(struct ln_stream *s) {
  enum { TURN_MS = 4 };
  uint64_t turn = uv_now(&s->loop->uv);
  if (s->queue.payer) return ln_share_turn(s->queue.payer, turn, &s->place);
  bool over = s->place.turn == turn && uv_hrtime() / 1000000 > turn + TURN_MS;
  s->place.turn = turn;
  return !over;
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf) {
  (void)hint;
  struct ln_stream *s = h->data;
  bool turn = has_turn(s);
  if (turn) s->begun = ln_share_begin(s->queue.payer, uv_now(h->loop));
  *buf = turn ? uv_buf_init(s->loop->buf, sizeof s->loop->buf) : uv_buf_init(NULL, 0);
}

static void take(struct ln_stream *s, ssize_t n, const uv_buf_t *buf) {
  if (n == 0 || n == UV_ENOBUFS) return; /* nothing there; no turn */
  if (n < 0) {
    if (s->tls && n == UV_EOF && !s->flushing)
      ln_tls_eof(s);
    else
      ln_stream_report_end(s, n == UV_EOF ? LN_OK : ln_stream_uv_err((int)n));
    return;
  }
  bool handshake = s->tls && ln_tls_wants_read(s);
  if (s->flushing && !handshake) return; /* lingering: the owner has turned away */
  if (s->tls)
    ln_tls_feed(s, buf->base, (size_t)n);
  else if (s->ops->on_read)
    s->ops->on_read(s->arg, buf->base, (size_t)n);
}

/* Follows each on_alloc: the reading itself is work, too. */
static void on_uv_read(uv_stream_t *h, ssize_t n, const uv_buf_t *buf) {
  struct ln_stream *s = h->data;
  take(s, n, buf);
  ln_share_end(s->queue.payer, s->begun);
  s->begun = false;
}

void ln_stream_sync_reading(struct ln_stream *s) {
  if (s->kind == LN_STREAM_FILE) {
    ln_file_sync_reading(s);
    return;
  }
  bool want = s->open && !s->handle_closing && s->up && !s->ended && !s->closing &&
              (s->want_read || s->flushing || (s->tls && ln_tls_wants_read(s)));
  if (want == s->reading) return;
  /* Fails only for a descriptor that can't be read from: then nothing will ever come. */
  if (want)
    s->reading = uv_read_start(&s->h.stream, on_alloc, on_uv_read) == 0;
  else {
    if (s->open && !s->handle_closing) uv_read_stop(&s->h.stream);
    s->reading = false;
  }
}

void ln_stream_read_start(struct ln_stream *s) {
  if (s->closing || s->flushing || s->want_read) return;
  s->want_read = true;
  ln_stream_sync_reading(s);
  if (s->tls) ln_tls_resume(s);
}

bool ln_stream_pending(const struct ln_stream *s) {
  uv_os_fd_t fd;
  char byte;
  if (!s->open || s->kind != LN_STREAM_TCP || uv_fileno(&s->h.handle, &fd)) return false;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

void ln_stream_read_stop(struct ln_stream *s) {
  if (s->flushing || !s->want_read) return;
  s->want_read = false;
  ln_stream_sync_reading(s);
}

void ln_stream_report_end(struct ln_stream *s, int err) {
  bool first = err ? !s->failed : !s->ended;
  s->ended = true;
  if (err) s->failed = s->broken = true;
  if (s->closing) return;
  ln_stream_sync_reading(s);
  if (s->connect) {
    ln_connect_fail(s, LN_ECLOSED, "the connection was closed during the TLS handshake");
    return;
  }
  if (s->flushing) {
    /* Everything is written, or never will be. */
    if (err || s->shut_sent) ln_stream_close(s);
    return;
  }
  if (first && s->ops->on_end) s->ops->on_end(s->arg, err);
}

bool ln_stream_spare(const struct ln_stream *s) {
  return s->spare;
}

const unsigned char *ln_stream_address(const struct ln_stream *s) {
  return s->address;
}

/* --- closing --- */

void ln_stream_give_up_stdio(struct ln_stream *s) {
  if (s->stdio < 0) return;
  /* The number must stay taken, or the next open would become somebody's stdout. */
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  dup2(null, s->stdio);
  close(null);
  s->stdio = -1;
}

void ln_stream_shield_stdio(struct ln_stream *s) {
  if (s->stdio != STDOUT_FILENO)
    ln_stream_give_up_stdio(s);
  else if (dup2(STDERR_FILENO, STDOUT_FILENO) == STDOUT_FILENO)
    s->stdio = -1;
}

static void on_handle_closed(uv_handle_t *h) {
  struct ln_stream *s = h->data;
  s->open = s->handle_closing = s->reading = false;
  if (s->closing)
    ln_stream_finish(s);
  else if (s->connect)
    ln_connect_next(s);
}

void ln_stream_release(struct ln_stream *s) {
  if (!s->open || s->handle_closing) return;
  s->up = false;
  s->handle_closing = true;
  s->h.handle.data = s;
  uv_os_fd_t fd;
  if (s->saved_flags >= 0 && uv_fileno(&s->h.handle, &fd) == 0) fcntl(fd, F_SETFL, s->saved_flags);
  uv_close(&s->h.handle, on_handle_closed);
  ln_stream_give_up_stdio(s);
}

static void finish_task(struct ln_task *t) {
  ln_stream_finish(LN_CONTAINER(t, struct ln_stream, task));
}

void ln_stream_close(struct ln_stream *s) {
  if (s->closing) return;
  if (s->tls && !s->broken && s->up) ln_tls_close_notify(s);
  s->closing = true;
  ln_timer_stop(&s->timer);
  ln_task_cancel(&s->task); /* it may be the late news of a failed connect */
  ln_stream_sync_reading(s);
  if (s->open)
    ln_stream_release(s);
  else
    ln_task_post(s->loop, &s->task, finish_task);
}

void ln_stream_finish(struct ln_stream *s) {
  if (s->file && !ln_file_close(s)) return;
  ln_timer_stop(&s->timer);
  ln_task_cancel(&s->task);
  ln_connect_free(s);
  ln_tls_free(s);
  ln_queue_deinit(&s->queue);
  if (s->ops->on_closed) s->ops->on_closed(s->arg);
  free(s);
}
