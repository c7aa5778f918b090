/* The load over stdio: one child, one pipe each way, and a fixed number of calls in flight. Calls
 * that become due together go out in one write, as a busy client's would. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define DRAIN_NS 10000000000u
#define END_MS   5000

struct flight {
  uint32_t id; /* 0: free */
  uint64_t sent_at;
};

struct run {
  const struct bench_load *load;
  struct bench_stats stats;
  struct bench_clock clock;
  int to, from;
  struct bench_buf in, out, call;
  size_t id_at;
  uint32_t next_id;
  struct flight *flights; /* load->width of them */
  unsigned waiting;
  bool ended; /* the child closed its stdout */
};

static void call(struct run *r, struct flight *f) {
  f->id = r->next_id++;
  f->sent_at = bench_now();
  r->waiting++;
  bench_call_id(r->call.p + r->id_at, f->id);
  bench_buf_add(&r->out, r->call.p, r->call.n);
}

static enum bench_phase tick(struct run *r, uint64_t now) {
  return bench_clock_tick(&r->clock, r->load, &r->stats, now, r->next_id - BENCH_ID_FIRST);
}

static struct flight *flight_of(struct run *r, uint32_t id) {
  for (unsigned i = 0; i < r->load->width; i++)
    if (r->flights[i].id == id) return &r->flights[i];
  return NULL;
}

static void take_line(struct run *r, struct bench_span line) {
  uint32_t id;
  struct bench_span method;
  const char *why = bench_call_check(line, 0, r->load->expect, &id);
  if (id == 0 && bench_json_member(line, "method", &method)) return; /* the server's own */
  struct flight *f = id != 0 ? flight_of(r, id) : NULL;
  if (f == NULL && why == NULL) why = "an answer to no call";
  if (why != NULL) bench_stats_error(&r->stats, "%s: %.*s", why, bench_shown(line.n), line.p);
  if (f == NULL) return;
  uint64_t now = bench_now();
  if (why == NULL) bench_stats_add(&r->stats, now - f->sent_at);
  f->id = 0;
  r->waiting--;
  if (tick(r, now) != BENCH_DRAIN) call(r, f);
}

static void receive(struct run *r) {
  ssize_t n = bench_read(r->from, &r->in);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    bench_stats_error(&r->stats, "%s ended with %u calls open", r->load->command[0], r->waiting);
    r->ended = true;
    return;
  }
  char *line = r->in.p, *end = r->in.p + r->in.n, *lf;
  while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
    take_line(r, (struct bench_span){line, (size_t)(lf - line)});
    line = lf + 1;
  }
  bench_buf_consume(&r->in, (size_t)(line - r->in.p));
}

static void send_out(struct run *r) {
  while (r->out.n > 0) {
    ssize_t n = write(r->to, r->out.p, r->out.n);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      if (errno != EAGAIN) r->ended = true; /* reading says what there is to say */
      return;
    }
    bench_buf_consume(&r->out, (size_t)n);
  }
}

static void loop(struct run *r) {
  uint64_t drained_by = 0;
  for (unsigned i = 0; i < r->load->width; i++) call(r, &r->flights[i]);
  while (r->waiting > 0 && !r->ended) {
    send_out(r);
    struct pollfd fds[2] = {{.fd = r->from, .events = POLLIN},
                            {.fd = r->out.n > 0 ? r->to : -1, .events = POLLOUT}};
    int n = poll(fds, 2, 50);
    if (n < 0 && errno != EINTR) bench_die("poll: %s", strerror(errno));
    if (fds[0].revents != 0) receive(r);
    if (n > 0) continue;
    uint64_t now = bench_now();
    if (tick(r, now) != BENCH_DRAIN) continue;
    if (drained_by == 0) drained_by = now + DRAIN_NS;
    if (now > drained_by) {
      bench_stats_error(&r->stats, "%u calls were never answered", r->waiting);
      break;
    }
  }
}

int bench_load_stdio(struct bench_load *load) {
  struct run r = {.load = load, .next_id = BENCH_ID_FIRST};
  signal(SIGPIPE, SIG_IGN);
  r.flights = calloc(load->width, sizeof *r.flights);
  if (r.flights == NULL) bench_die("out of memory");
  pid_t pid = bench_spawn(load->command, &r.to, &r.from);
  load->pids[0] = pid; /* the processor time of what it starts in turn is not in it */
  load->n_pids = 1;
  bench_stdio_begin(r.to, r.from, &r.in, load->command[0]);
  bench_stdio_line(r.to, bench_initialized, load->command[0]);
  bench_call_template(load->text, &r.call, &r.id_at);
  bench_buf_add(&r.call, "\n", 1);
  bench_nonblock(r.to);
  bench_nonblock(r.from);
  bench_clock_begin(&r.clock, load, &r.stats);
  loop(&r);
  bench_clock_end(&r.clock, load, &r.stats);
  close(r.to);
  if (!bench_reap(pid, END_MS))
    bench_stats_error(&r.stats, "%s did not end well when its input did", load->command[0]);
  close(r.from);
  bench_buf_free(&r.in);
  bench_buf_free(&r.out);
  bench_buf_free(&r.call);
  free(r.flights);
  return bench_stats_print(&r.stats);
}
