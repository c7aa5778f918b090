/* Streams on regular files and devices such as /dev/null, which can't be polled: reads go through
 * libuv's threads, one at a time, into a buffer of the stream's own; writes block, as they do
 * for everybody else who writes to a file.
 *
 * Invariant: while busy a thread uses buf and the descriptor; neither goes before it is back. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/stream_impl.h"

struct ln_file {
  uv_fs_t req;
  int fd;
  bool busy;
  char buf[32768];
};

static void on_fs_read(uv_fs_t *req);

int ln_file_open(struct ln_stream *s, int fd) {
  struct ln_file *f = calloc(1, sizeof *f);
  if (!f) return LN_ENOMEM;
  f->fd = fd <= STDERR_FILENO ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : fd;
  if (f->fd < 0) {
    free(f);
    return LN_ESYSTEM;
  }
  s->file = f;
  if (fd <= STDERR_FILENO) s->stdio = fd;
  return LN_OK;
}

static bool wanted(const struct ln_stream *s) {
  return s->want_read && !s->ended && !s->closing && !s->flushing;
}

void ln_file_sync_reading(struct ln_stream *s) {
  struct ln_file *f = s->file;
  if (!f || f->busy || !wanted(s)) return;
  uv_buf_t buf = uv_buf_init(f->buf, sizeof f->buf);
  f->req.data = s;
  f->busy = true;
  s->loop->pending++;
  if (uv_fs_read(&s->loop->uv, &f->req, f->fd, &buf, 1, -1, on_fs_read)) {
    /* Out of memory; there is no other cause, and nothing better to do than to end it. */
    f->busy = false;
    s->loop->pending--;
    s->ended = true;
  }
}

static void on_fs_read(uv_fs_t *req) {
  struct ln_stream *s = req->data;
  struct ln_file *f = s->file;
  ssize_t n = req->result;
  uv_fs_req_cleanup(req);
  f->busy = false;
  s->loop->pending--;
  if (s->closing) {
    ln_stream_finish(s);
    return;
  }
  if (s->flushing) return;
  if (n <= 0) {
    ln_stream_report_end(s, n ? ln_stream_uv_err((int)n) : LN_OK);
    return;
  }
  /* Even when reading was stopped meanwhile: these bytes are read, there is no putting back. */
  if (s->ops->on_read) s->ops->on_read(s->arg, f->buf, (size_t)n);
  if (!s->closing) ln_file_sync_reading(s);
}

bool ln_file_close(struct ln_stream *s) {
  struct ln_file *f = s->file;
  if (f->busy) return false;
  ln_stream_give_up_stdio(s);
  close(f->fd);
  free(f);
  s->file = NULL;
  return true;
}

int ln_file_write(struct ln_stream *s, const struct ln_iov *parts, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const char *p = parts[i].p;
    size_t left = parts[i].n;
    while (left) {
      ssize_t done = write(s->file->fd, p, left);
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) return LN_ECLOSED;
      p += done;
      left -= (size_t)done;
    }
  }
  return LN_OK;
}
