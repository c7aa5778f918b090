/* Scenarios of streams on descriptors: the standard ones whatever they are, pipes, sockets, files.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver.h"

struct end {
  struct ln_loop *l;
  struct ln_stream *s;
  struct ln_timer timer;
  size_t total;
  int reads, ends, err_ends, drains, closed;
  struct end *to; /* what is read goes there */
};

static struct end in, out;

static void on_read(void *arg, const char *p, size_t n) {
  struct end *e = arg;
  struct ln_iov part = {p, n, NULL};
  e->reads++;
  e->total += n;
  if (!e->to) return;
  int rc = ln_stream_write(e->to->s, &part, 1);
  CHECK(rc == LN_OK || rc == LN_EFULL);
  if (rc == LN_EFULL) ln_stream_read_stop(e->s);
}

static void on_end(void *arg, int err) {
  struct end *e = arg;
  if (err)
    e->err_ends++;
  else
    e->ends++;
  ln_stream_close(e->s);
  if (e->to) ln_stream_close_flushed(e->to->s, 5000);
}

static void on_drain(void *arg) {
  ((struct end *)arg)->drains++;
  ln_stream_read_start(in.s);
}

static void on_closed(void *arg) {
  ((struct end *)arg)->closed++;
}

static const struct ln_stream_ops ops = {NULL, on_read, on_end, on_drain, on_closed};

static struct ln_stream *open_end(struct end *e, struct ln_loop *l, int fd) {
  e->l = l;
  ln_timer_init(&e->timer);
  e->s = ln_stream_open(l, fd, &ops, e);
  CHECK(e->s);
  return e->s;
}

static bool blocks(int fd) {
  int flags = fcntl(fd, F_GETFL);
  CHECK(flags >= 0);
  return !(flags & O_NONBLOCK);
}

/* Copies stdin to stdout, whatever they are. */
static void open_copy(char **args) {
  (void)args;
  say_on_stderr();
  struct ln_loop *l = begin_loop();
  open_end(&out, l, 1);
  open_end(&in, l, 0);
  in.to = &out;
  ln_stream_read_start(in.s);
  ln_loop_run(l);
  say_int("total", (long long)in.total);
  say_int("ends", in.ends);
  say_int("err_ends", in.err_ends + out.err_ends);
  say_int("closed", in.closed + out.closed);
  /* The numbers stay taken. */
  say_int("taken", fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0);
  end_loop(l);
}

/* Reports whether the descriptors it got block; run after another scenario that shared them. */
static void open_flags(char **args) {
  (void)args;
  say_on_stderr();
  say("block", "%d %d", blocks(0), blocks(1));
}

/* Has them open as streams when it dies. */
static void open_die(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  open_end(&out, l, 1);
  open_end(&in, l, 0);
  _exit(0);
}

/* Who reads our stdout sees its end when the stream closes, not when we exit. */
static void later(struct ln_timer *t) {
  struct end *e = LN_CONTAINER(t, struct end, timer);
  CHECK(e->closed == 1);
}

static void open_end_of_stdout(char **args) {
  (void)args;
  say_on_stderr();
  struct ln_loop *l = begin_loop();
  open_end(&out, l, 1);
  struct ln_iov part = {"last\n", 5, NULL};
  CHECK(ln_stream_write(out.s, &part, 1) == LN_OK);
  ln_stream_close_flushed(out.s, 1000);
  ln_timer_start(l, &out.timer, 500, later);
  ln_loop_run(l);
  say("exit", "now");
}

/* args: path. Closes while a thread reads it. */
static void open_file_close(char **args) {
  struct ln_loop *l = begin_loop();
  open_end(&in, l, open(args[0], O_RDONLY));
  ln_stream_read_start(in.s);
  ln_stream_close(in.s);
  ln_stream_close(in.s);
  CHECK(!in.closed);
  ln_loop_run(l);
  say_int("reads", in.reads);
  say_int("closed", in.closed);
  end_loop(l);
}

static void open_bad(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  int udp = socket(AF_INET, SOCK_DGRAM, 0);
  say_int("closed_fd", ln_stream_open(l, 999, &ops, &in) == NULL);
  say_int("udp", ln_stream_open(l, udp, &ops, &in) == NULL);
  say_int("still_ours", close(udp) == 0);
  ln_loop_run(l);
  end_loop(l);
}

/* A pipe with nobody at the other end: refused at once; and when the reader goes while much is
 * queued, the end is told though nobody reads on this stream. */
static void open_broken_pipe(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  static char block[300000];
  struct ln_iov part = {block, sizeof block, NULL};
  int a[2], b[2];
  CHECK(pipe(a) == 0 && pipe(b) == 0);
  close(a[0]);
  open_end(&out, l, a[1]);
  say("at_once", "%s", ln_err_name(ln_stream_write(out.s, &part, 1)));
  say("again", "%s", ln_err_name(ln_stream_write(out.s, &part, 1)));
  ln_stream_close(out.s);
  open_end(&in, l, b[1]);
  say("queued", "%s", ln_err_name(ln_stream_write(in.s, &part, 1)));
  say_int("took", ln_stream_queued(in.s) == sizeof block - 65536);
  close(b[0]);
  ln_loop_run(l);
  say_int("err_ends", in.err_ends);
  say_int("closed", out.closed + in.closed);
  end_loop(l);
}

/* shutdown of a pipe closes it, and of a socket only its one side; both live until close. */
static void close_both(struct ln_timer *t) {
  struct end *e = LN_CONTAINER(t, struct end, timer);
  struct ln_iov part = {"x", 1, NULL};
  CHECK(ln_stream_write(e->s, &part, 1) == LN_ECLOSED && !e->closed);
  ln_stream_close(e->s);
}

static void open_shutdown(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  int p[2], s[2];
  char got[8] = {0};
  struct ln_iov part = {"bye", 3, NULL};
  CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
  open_end(&out, l, p[1]);
  open_end(&in, l, s[0]);
  CHECK(write(s[1], "still here", 10) == 10);
  CHECK(ln_stream_write(out.s, &part, 1) == LN_OK && ln_stream_write(in.s, &part, 1) == LN_OK);
  ln_stream_shutdown(out.s);
  ln_stream_shutdown(in.s);
  ln_stream_shutdown(in.s);
  ln_stream_read_start(in.s);
  ln_timer_start(l, &out.timer, 50, close_both);
  ln_timer_start(l, &in.timer, 50, close_both);
  ln_loop_run(l);
  say_int("pipe", read(p[0], got, 8) == 3 && read(p[0], got, 8) == 0);
  say_int("socket", read(s[1], got, 8) == 3 && read(s[1], got, 8) == 0);
  say_int("heard", (long long)in.total);
  say_int("closed", out.closed + in.closed);
  end_loop(l);
}

const struct scenario open_scenarios[] = {{"open_copy", open_copy},
                                          {"open_flags", open_flags},
                                          {"open_die", open_die},
                                          {"open_end_of_stdout", open_end_of_stdout},
                                          {"open_file_close", open_file_close},
                                          {"open_bad", open_bad},
                                          {"open_broken_pipe", open_broken_pipe},
                                          {"open_shutdown", open_shutdown},
                                          {NULL, NULL}};
