/* Buffers, clocks, sockets and processes for the benchmark's programs. Failures that a loopback
 * benchmark can't do anything about end the program with a sentence. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

_Noreturn void bench_die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("bench: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

uint64_t bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

long bench_number(const char *s, long min, long max) {
  char *end;
  errno = 0;
  long value = strtol(s, &end, 10);
  if (errno != 0 || end == s || *end != '\0' || value < min || value > max)
    bench_die("a number from %ld to %ld is wanted, not \"%s\"", min, max, s);
  return value;
}

/* --- buffers --- */

void bench_buf_reserve(struct bench_buf *b, size_t more) {
  if (b->cap - b->n >= more) return;
  size_t cap = b->cap ? b->cap : 1024;
  while (cap - b->n < more) {
    cap *= 2;
    if (cap > BENCH_BUF_MAX) bench_die("a message of more than %zu bytes", BENCH_BUF_MAX);
  }
  char *p = realloc(b->p, cap);
  if (p == NULL) bench_die("out of memory");
  b->p = p;
  b->cap = cap;
}

void bench_buf_add(struct bench_buf *b, const void *p, size_t n) {
  bench_buf_reserve(b, n);
  if (n > 0) memcpy(b->p + b->n, p, n);
  b->n += n;
}

void bench_buf_addf(struct bench_buf *b, const char *format, ...) {
  va_list args;
  bench_buf_reserve(b, 256);
  va_start(args, format);
  int n = vsnprintf(b->p + b->n, b->cap - b->n, format, args);
  va_end(args);
  if (n >= 0 && (size_t)n >= b->cap - b->n) {
    bench_buf_reserve(b, (size_t)n + 1);
    va_start(args, format);
    n = vsnprintf(b->p + b->n, b->cap - b->n, format, args);
    va_end(args);
  }
  if (n < 0) bench_die("can't format \"%s\"", format);
  b->n += (size_t)n;
}

void bench_buf_consume(struct bench_buf *b, size_t n) {
  if (n < b->n && n > 0) memmove(b->p, b->p + n, b->n - n);
  b->n -= n;
}

void bench_buf_free(struct bench_buf *b) {
  free(b->p);
  memset(b, 0, sizeof *b);
}

ssize_t bench_read(int fd, struct bench_buf *b) {
  bench_buf_reserve(b, 16384);
  ssize_t n;
  do n = read(fd, b->p + b->n, b->cap - b->n);
  while (n < 0 && errno == EINTR);
  if (n > 0) b->n += (size_t)n;
  return n;
}

/* --- descriptors --- */

void bench_nonblock(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
    bench_die("fcntl: %s", strerror(errno));
}

void bench_raise_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit); /* when refused, the connection that is too many will say so */
}

int bench_listen(unsigned port, unsigned *got) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof a;
  int one = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
      bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1024) < 0 ||
      getsockname(fd, (struct sockaddr *)&a, &size) < 0)
    bench_die("can't listen on 127.0.0.1:%u: %s", port, strerror(errno));
  *got = ntohs(a.sin_port);
  return fd;
}

/* --- processes --- */

static _Noreturn void run_child(char *const *argv, int in, int out, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  signal(SIGPIPE, SIG_DFL);            /* we may ignore it; exec would hand that on */
  if (getppid() != parent) _exit(127); /* it died before the line above */
  if (in >= 0 && dup2(in, 0) < 0) _exit(127);
  if (dup2(out, 1) < 0) _exit(127);
  execvp(argv[0], argv);
  fprintf(stderr, "bench: %s: %s\n", argv[0], strerror(errno));
  _exit(127);
}

pid_t bench_spawn(char *const *argv, int *in, int *out) {
  int to[2] = {-1, -1}, from[2] = {-1, -1};
  if (in != NULL) {
    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
      bench_die("pipe: %s", strerror(errno));
  } else {
    from[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (from[1] < 0) bench_die("/dev/null: %s", strerror(errno));
  }
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) bench_die("fork: %s", strerror(errno));
  if (pid == 0) run_child(argv, to[0], from[1], parent);
  close(from[1]);
  if (in != NULL) {
    close(to[0]);
    *in = to[1];
    *out = from[0];
  }
  return pid;
}

bool bench_reap(pid_t pid, unsigned ms) {
  uint64_t until = bench_now() + (uint64_t)ms * 1000000u;
  int status = 0;
  pid_t got;
  while ((got = waitpid(pid, &status, WNOHANG)) == 0 && bench_now() < until) {
    struct timespec nap = {.tv_nsec = 200000};
    nanosleep(&nap, NULL);
  }
  if (got == 0) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return false;
  }
  return got == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
