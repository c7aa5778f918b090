/* The start of a command: how long it takes to run through, and to answer initialize over stdio. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define END_MS    5000
#define MAX_TIMES 1000

/* One line, blocking; the span is valid until the next read. */
static struct bench_span read_line(int from, struct bench_buf *in, const char *command) {
  char *lf;
  while (in->n == 0 || (lf = memchr(in->p, '\n', in->n)) == NULL)
    if (bench_read(from, in) <= 0) bench_die("%s ended before it answered initialize", command);
  return (struct bench_span){in->p, (size_t)(lf - in->p)};
}

void bench_stdio_line(int to, const char *message, const char *command) {
  struct bench_buf line = {0};
  bench_buf_addf(&line, "%s\n", message);
  if (write(to, line.p, line.n) != (ssize_t)line.n) bench_die("%s doesn't read", command);
  bench_buf_free(&line);
}

void bench_stdio_begin(int to, int from, struct bench_buf *in, const char *command) {
  struct bench_span result;
  bench_stdio_line(to, bench_initialize, command);
  struct bench_span line = read_line(from, in, command);
  if (!bench_json_member(line, "result", &result))
    bench_die("%s refused initialize: %.*s", command, bench_shown(line.n), line.p);
  bench_buf_consume(in, line.n + 1);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int print_times(double *ms, unsigned n) {
  qsort(ms, n, sizeof *ms, by_size);
  printf("{\"times\":%u,\"median_ms\":%.3f,\"min_ms\":%.3f,\"max_ms\":%.3f}\n", n, ms[n / 2], ms[0],
         ms[n - 1]);
  return 0;
}

/* From fork to the end of the process. */
int bench_exits(char *const *command, unsigned times) {
  double ms[MAX_TIMES];
  for (unsigned i = 0; i < times; i++) {
    uint64_t begun = bench_now();
    pid_t pid = bench_spawn(command, NULL, NULL);
    int status;
    if (waitpid(pid, &status, 0) != pid) bench_die("%s is lost", command[0]);
    ms[i] = (double)(bench_now() - begun) / 1e6;
    if (status != 0) bench_die("%s ended with status %d", command[0], status);
  }
  return print_times(ms, times);
}

/* From fork to the whole line that answers initialize. */
int bench_answers(char *const *command, unsigned times) {
  double ms[MAX_TIMES];
  signal(SIGPIPE, SIG_IGN);
  for (unsigned i = 0; i < times; i++) {
    struct bench_buf in = {0};
    int to, from;
    uint64_t begun = bench_now();
    pid_t pid = bench_spawn(command, &to, &from);
    bench_stdio_begin(to, from, &in, command[0]);
    ms[i] = (double)(bench_now() - begun) / 1e6;
    close(to);
    if (!bench_reap(pid, END_MS)) bench_die("%s did not end well when its input did", command[0]);
    close(from);
    bench_buf_free(&in);
  }
  return print_times(ms, times);
}
