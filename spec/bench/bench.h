/* What the benchmark's two programs share: bench_upstream (a raw MCP server) and bench_load (the
 * load). They use libc and Linux only, so that what is measured is the proxy and not a library.
 *
 * Both are meant for a loopback of well-behaved peers: whatever they can't read is an error that
 * ends the run or is counted, never something to recover from. */
#ifndef LUNETTE_BENCH_H
#define LUNETTE_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* The protocol version that the load asks for. */
#define BENCH_PROTOCOL "2025-11-25"

/* Bytes that belong to someone else. */
struct bench_span {
  const char *p;
  size_t n;
};

/* --- common.c --- */

/* Bytes that grow; ends the program beyond BENCH_BUF_MAX. Zeroed is empty. */
#define BENCH_BUF_MAX ((size_t)4 << 20)
struct bench_buf {
  char *p;
  size_t n, cap;
};
void bench_buf_reserve(struct bench_buf *b, size_t more);
void bench_buf_add(struct bench_buf *b, const void *p, size_t n);
void bench_buf_addf(struct bench_buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void bench_buf_consume(struct bench_buf *b, size_t n); /* drops the first n bytes */
void bench_buf_free(struct bench_buf *b);

/* Reads once from fd into b. Bytes read; 0 at the end; -1 with errno (EAGAIN: nothing yet). */
ssize_t bench_read(int fd, struct bench_buf *b);

_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t bench_now(void); /* monotonic, nanoseconds */
void bench_nonblock(int fd);
void bench_raise_files(void);                   /* open files: the soft limit to the hard one */
int bench_listen(unsigned port, unsigned *got); /* on 127.0.0.1; port 0: any free one */
long bench_number(const char *s, long min, long max); /* ends the program for anything else */

/* Starts argv with its stdin and stdout on pipes (*in to write to, *out to read from; both NULL:
 * stdout is thrown away). It gets SIGTERM when we die. Ends the program when it can't. */
pid_t bench_spawn(char *const *argv, int *in, int *out);
/* Waits at most ms for pid to end; kills it and says false when it doesn't, or ends with a code
 * other than 0. */
bool bench_reap(pid_t pid, unsigned ms);

/* --- json.c: just enough to find one's way through well-formed JSON --- */

/* The raw value of the first member `name` of an object. False: no object, or no such member. */
bool bench_json_member(struct bench_span object, const char *name, struct bench_span *value);
/* How much of n bytes an error message shows, for %.*s. */
static inline int bench_shown(size_t n) {
  return n < 160 ? (int)n : 160;
}
bool bench_span_is(struct bench_span s, const char *text);

/* --- http.c --- */

struct bench_http {
  struct bench_span line;    /* the start line */
  int status;                /* of a response; 0 for a request */
  struct bench_span session; /* Mcp-Session-Id, or empty */
  bool sse;                  /* the body is text/event-stream */
  struct bench_span body;    /* without its chunks */
  size_t head;               /* bytes of the head, 0 while it is incomplete */
  size_t total;              /* bytes of all of it */
};
/* Looks for one whole message at the start of the n bytes at p (whose chunks it joins in place,
 * once). 1: there it is; 0: more bytes are needed; -1: that is no HTTP. */
int bench_http_read(char *p, size_t n, struct bench_http *m);

/* --- answer.c: what the upstream says --- */

enum bench_asked {
  BENCH_ASKED_BAD,
  BENCH_ASKED_NOTHING,
  BENCH_ASKED_INITIALIZE,
  BENCH_ASKED_OTHER
};
/* Adds the answer to one JSON-RPC message to out; echo's text is padded to size bytes. NOTHING
 * (a notification, a response) and BAD (no message) add nothing. */
enum bench_asked bench_answer(struct bench_span message, size_t size, struct bench_buf *out);

/* --- stats.c --- */

/* Latencies in a histogram of logarithmic steps, each under 1.6 % wide. */
#define BENCH_STEPS  64
#define BENCH_SCALES 36
struct bench_stats {
  uint64_t count, errors, max;
  uint64_t begun, ended;      /* bench_now() */
  uint64_t cpu_begun, cpu_us; /* microseconds of the processes watched */
  uint32_t cells[BENCH_SCALES * BENCH_STEPS];
};
void bench_stats_add(struct bench_stats *s, uint64_t ns);
/* Counts an error; the first few are told on stderr. */
void bench_stats_error(struct bench_stats *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The measured time starts (what was counted before, but for errors, is forgotten) and ends. */
void bench_stats_begin(struct bench_stats *s, const pid_t *pids, size_t n);
void bench_stats_end(struct bench_stats *s, const pid_t *pids, size_t n);
/* One JSON line on stdout. The program's exit code: 1 when there were errors or no calls. */
int bench_stats_print(const struct bench_stats *s);

/* --- client.c: one HTTP connection with one MCP session on it, blocking --- */

struct bench_client {
  int fd;
  struct bench_buf in;
  char host[64], path[256]; /* of the URL */
  char session[256];
  char why[160]; /* after a failure */
};
/* Connects, then initialize and notifications/initialized. False with c->why; c is closed then. */
bool bench_client_open(struct bench_client *c, const char *url);
/* Sends a request and waits for its response, which is valid until the next call; for GET that is
 * a stream only its head. body is JSON, or NULL. False with c->why. */
bool bench_client_exchange(struct bench_client *c, const char *method, const char *body,
                           struct bench_http *reply);
/* The request as it goes over the wire, up to and without the body. */
void bench_client_head(const struct bench_client *c, const char *method, size_t length,
                       struct bench_buf *out);
void bench_client_close(struct bench_client *c); /* the connection only */

/* --- the load: load.c has the command line, load_*.c its commands, call.c what they share --- */

#define BENCH_PIDS 8
struct bench_load {
  const char *url;
  char *const *command;
  unsigned width; /* connections, or calls in flight */
  double seconds, warmup;
  uint32_t calls;     /* so many, however long they take; 0: as many as the seconds hold */
  const char *text;   /* the argument of echo */
  const char *expect; /* what the answer's text must begin with */
  pid_t pids[BENCH_PIDS];
  size_t n_pids;
};
int bench_load_http(const struct bench_load *load);
int bench_load_stdio(struct bench_load *load);
int bench_hold(const char *url, unsigned sessions);
int bench_ready(const char *url, unsigned ms);
int bench_exits(char *const *command, unsigned times);
int bench_answers(char *const *command, unsigned times);

/* Over the pipes of a child, blocking; command names it when it fails, which ends the program.
 * Begin does initialize and leaves in `in` what came after the answer. */
void bench_stdio_line(int to, const char *message, const char *command);
void bench_stdio_begin(int to, int from, struct bench_buf *in, const char *command);

extern const char bench_initialize[]; /* the request, with id 0, and the notification after it */
extern const char bench_initialized[];
/* Ids always have ten digits, so that a request is a template in which they are overwritten. */
#define BENCH_ID_FIRST  1000000000u
#define BENCH_ID_DIGITS 10
void bench_call_template(const char *text, struct bench_buf *out, size_t *id_at);
void bench_call_id(char *digits, uint32_t id);
/* Whether message is the answer to call `id`: a result that isn't an error, with the text wanted.
 * NULL when it is, else what is wrong. *id_found is 0 for what has no id of ours (a notification,
 * say); id 0: any of ours. */
const char *bench_call_check(struct bench_span message, uint32_t id, const char *expect,
                             uint32_t *id_found);
/* Where a run stands; the measured time begins and ends in it. asked: calls, so far. */
enum bench_phase { BENCH_WARMUP, BENCH_MEASURE, BENCH_DRAIN };
struct bench_clock {
  enum bench_phase phase;
  uint64_t begun; /* of the warm-up, bench_now() */
};
void bench_clock_begin(struct bench_clock *c, const struct bench_load *load,
                       struct bench_stats *stats);
enum bench_phase bench_clock_tick(struct bench_clock *c, const struct bench_load *load,
                                  struct bench_stats *stats, uint64_t now, uint32_t asked);
/* Ends the measured time when the run stopped short of it. */
void bench_clock_end(struct bench_clock *c, const struct bench_load *load,
                     struct bench_stats *stats);

#endif
