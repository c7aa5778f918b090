/* The load over HTTP: each connection has a session of its own and calls again as soon as it was
 * answered (a closed loop). Sessions are opened before and deleted after, one at a time, so that
 * only calls are measured. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define DRAIN_NS 10000000000u

struct connection {
  struct bench_client client;
  struct bench_buf call; /* the whole request, whose id is overwritten */
  size_t id_at;
  uint32_t id;
  uint64_t sent_at; /* 0: nothing is asked */
  bool dead;
};

struct run {
  const struct bench_load *load;
  struct bench_stats stats;
  struct bench_clock clock;
  struct connection *all;
  uint32_t next_id;
  unsigned waiting; /* connections that wait for an answer */
};

static void fail(struct run *r, struct connection *c, const char *why) {
  bench_stats_error(&r->stats, "%s: %s", r->load->url, why);
  if (c->sent_at != 0) r->waiting--;
  c->sent_at = 0;
  c->dead = true;
  shutdown(c->client.fd, SHUT_RDWR);
}

static void call(struct run *r, struct connection *c) {
  c->id = r->next_id++;
  bench_call_id(c->call.p + c->id_at, c->id);
  c->sent_at = bench_now();
  r->waiting++;
  ssize_t n = send(c->client.fd, c->call.p, c->call.n, MSG_NOSIGNAL);
  if (n < 0 || (size_t)n != c->call.n) fail(r, c, n < 0 ? strerror(errno) : "a call was cut");
}

static enum bench_phase tick(struct run *r, uint64_t now) {
  return bench_clock_tick(&r->clock, r->load, &r->stats, now, r->next_id - BENCH_ID_FIRST);
}

/* NULL when the reply holds the answer, else what is wrong. An event stream may hold other
 * messages before it. */
static const char *check(const struct run *r, const struct connection *c,
                         const struct bench_http *m) {
  uint32_t id;
  if (m->status != 200) return m->line.p; /* the status line tells most */
  if (!m->sse) return bench_call_check(m->body, c->id, r->load->expect, &id);
  const char *p = m->body.p, *end = p + m->body.n, *why = "an event stream without an answer";
  while (p < end) {
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    const char *stop = lf != NULL ? lf : end;
    if (stop - p > 5 && memcmp(p, "data:", 5) == 0) {
      struct bench_span data = {p + 5, (size_t)(stop - p - 5)};
      const char *wrong = bench_call_check(data, c->id, r->load->expect, &id);
      if (wrong == NULL || id != 0) why = wrong;
    }
    p = stop + 1;
  }
  return why;
}

static void receive(struct run *r, struct connection *c) {
  struct bench_buf *in = &c->client.in;
  ssize_t n = bench_read(c->client.fd, in);
  if (c->dead || (n < 0 && errno == EAGAIN)) return;
  if (n <= 0) {
    fail(r, c, n < 0 ? strerror(errno) : "the connection was closed");
    return;
  }
  struct bench_http m;
  int got = bench_http_read(in->p, in->n, &m);
  if (got == 0) return;
  if (got < 0 || c->sent_at == 0 || m.total != in->n) {
    fail(r, c, got < 0 ? "a response that can't be read" : "bytes that nobody asked for");
    return;
  }
  const char *why = check(r, c, &m);
  if (why == m.line.p)
    bench_stats_error(&r->stats, "%.*s", bench_shown(m.line.n), m.line.p);
  else if (why != NULL)
    bench_stats_error(&r->stats, "%s: %.*s", why, bench_shown(m.body.n), m.body.p);
  uint64_t now = bench_now();
  if (why == NULL) bench_stats_add(&r->stats, now - c->sent_at);
  in->n = 0;
  c->sent_at = 0;
  r->waiting--;
  if (tick(r, now) != BENCH_DRAIN) call(r, c);
}

static void open_all(struct run *r, int poll) {
  for (unsigned i = 0; i < r->load->width; i++) {
    struct connection *c = &r->all[i];
    if (!bench_client_open(&c->client, r->load->url))
      bench_die("session %u at %s: %s", i + 1, r->load->url, c->client.why);
    struct bench_buf body = {0};
    bench_call_template(r->load->text, &body, &c->id_at);
    bench_client_head(&c->client, "POST", body.n, &c->call);
    c->id_at += c->call.n;
    bench_buf_add(&c->call, body.p, body.n);
    bench_buf_free(&body);
    c->client.in.n = 0;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, c->client.fd, &e) < 0)
      bench_die("epoll: %s", strerror(errno));
  }
}

/* Ends the sessions, so that the next run finds the proxy as this one did. */
static void close_all(struct run *r) {
  for (unsigned i = 0; i < r->load->width; i++) {
    struct connection *c = &r->all[i];
    struct bench_http reply;
    if (!c->dead && !bench_client_exchange(&c->client, "DELETE", NULL, &reply))
      bench_stats_error(&r->stats, "%s", c->client.why);
    else if (!c->dead && reply.status / 100 != 2 && reply.status != 405)
      bench_stats_error(&r->stats, "DELETE: status %d", reply.status);
    bench_client_close(&c->client);
    bench_buf_free(&c->call);
  }
}

static void loop(struct run *r, int poll) {
  struct epoll_event ready[64];
  uint64_t drained_by = 0;
  for (unsigned i = 0; i < r->load->width; i++) call(r, &r->all[i]);
  while (r->waiting > 0) {
    int n = epoll_wait(poll, ready, 64, 50);
    if (n < 0 && errno != EINTR) bench_die("epoll: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
      struct connection *c = ready[i].data.ptr;
      if (c->dead)
        epoll_ctl(poll, EPOLL_CTL_DEL, c->client.fd, NULL);
      else
        receive(r, c);
    }
    if (n > 0) continue;
    uint64_t now = bench_now();
    if (tick(r, now) != BENCH_DRAIN) continue;
    if (drained_by == 0) drained_by = now + DRAIN_NS;
    for (unsigned i = 0; now > drained_by && i < r->load->width; i++)
      if (r->all[i].sent_at != 0) fail(r, &r->all[i], "a call was never answered");
  }
}

int bench_load_http(const struct bench_load *load) {
  struct run r = {.load = load, .next_id = BENCH_ID_FIRST};
  bench_raise_files();
  r.all = calloc(load->width, sizeof *r.all);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  if (r.all == NULL || poll < 0) bench_die("out of memory");
  open_all(&r, poll);
  bench_clock_begin(&r.clock, load, &r.stats);
  loop(&r, poll);
  bench_clock_end(&r.clock, load, &r.stats);
  close_all(&r);
  close(poll);
  free(r.all);
  return bench_stats_print(&r.stats);
}
