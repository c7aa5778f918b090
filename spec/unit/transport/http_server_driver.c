/* A program around the HTTP server for its specs: paths that reply in every way there is, told
 * what to do over stdin, telling what happened over stdout, a line each.
 *
 * It also watches the contract: done never comes from inside a call, exactly once for each
 * request; a break ends the program. */
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/stream.h"
#include "transport/http_server.h"

struct driver {
  struct ln_log log;
  struct ln_loop *loop;
  struct ln_http_server *server;
  struct ln_stream *in;
  struct ln_buf line;
  struct ln_list jobs;
  unsigned depth; /* calls into the server on the stack */
  unsigned long requests, done, gone;
  bool quiet;
  bool closed;
};

/* What one request still has to do. */
struct job {
  struct ln_list link;
  struct driver *d;
  struct ln_http_request *r;
  struct ln_timer timer;
  struct ln_task task;
  char path[64];
  long n, sent;
  size_t most_live;
  bool full;
  bool reply_in_time;
};

/* Calls into the server, counted while they last. */
#define CALL(d, call) \
  do {                \
    (d)->depth++;     \
    call;             \
    (d)->depth--;     \
  } while (0)

static void say(struct driver *d, const char *fmt, ...) LN_PRINTF(2, 3);
static void on_request(void *arg, struct ln_http_request *r);
static void on_drain(void *arg, struct ln_http_request *r);
static void on_done(void *arg, struct ln_http_request *r, bool gone);

static const struct ln_http_server_ops ops = {
    .on_request = on_request, .on_drain = on_drain, .done = on_done};

static void say(struct driver *d, const char *fmt, ...) {
  va_list ap;
  if (d->quiet) return;
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
  putchar('\n');
  fflush(stdout);
}

/* --- replies --- */

static void reply(struct job *j, int status, const char *type, const char *headers, const char *p,
                  size_t n, struct ln_bytes *owner) {
  struct ln_iov part = {p, n, owner};
  int rc;
  CALL(j->d, rc = ln_http_reply(j->r, status, type, headers, &part, n ? 1 : 0));
  if (rc) say(j->d, "reply %s %s", j->path, ln_err_name(rc));
}

static void reply_plain(struct job *j) {
  static const char body[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"ok\":true}}";
  reply(j, 200, "application/json", NULL, body, sizeof body - 1, NULL);
}

static void plain_timer(struct ln_timer *t) {
  reply_plain(LN_CONTAINER(t, struct job, timer));
}

static void plain_task(struct ln_task *t) {
  reply_plain(LN_CONTAINER(t, struct job, task));
}

static void abort_timer(struct ln_timer *t) {
  struct job *j = LN_CONTAINER(t, struct job, timer);
  CALL(j->d, ln_http_request_abort(j->r));
}

static void reply_echo(struct job *j) {
  struct ln_bytes *b = j->r->body;
  const struct ln_http_head *head = j->r->head;
  char headers[256];
  snprintf(headers, sizeof headers, "X-Method: %.*s\r\nX-Target: %.*s\r\n",
           LN_STR_ARG(head->method), LN_STR_ARG(head->target));
  reply(j, 200, b ? "application/octet-stream" : NULL, headers, b ? b->data : NULL, b ? b->len : 0,
        b);
}

/* Bytes that tell where they belong, so that a mix-up shows. */
static struct ln_bytes *pattern(size_t n) {
  struct ln_bytes *b = ln_bytes_new(n);
  for (size_t i = 0; i < n; i++) b->data[i] = (char)('a' + (i / 7 + i % 23) % 26);
  return b;
}

static void reply_big(struct job *j) {
  struct ln_bytes *b = pattern((size_t)j->n);
  reply(j, 200, "text/plain", NULL, b->data, b->len, b);
  ln_bytes_unref(b);
}

static void reply_parts(struct job *j) {
  struct ln_iov parts[200];
  char text[200][4];
  for (size_t i = 0; i < LN_COUNT(parts); i++) {
    snprintf(text[i], sizeof text[i], "%03zu", i % 1000);
    parts[i] = (struct ln_iov){text[i], 3, NULL};
  }
  int rc;
  CALL(j->d, rc = ln_http_reply(j->r, 200, "text/plain", NULL, parts, LN_COUNT(parts)));
  if (rc) say(j->d, "reply %s %s", j->path, ln_err_name(rc));
}

/* What must be refused, and in the end a reply after all. */
static void reply_wrong(struct job *j) {
  char type[400];
  memset(type, 'x', sizeof type);
  type[sizeof type - 1] = 0;
  reply(j, 200, "text/plain\r\nX-Forged: 1", NULL, "x", 1, NULL);
  reply(j, 200, type, NULL, "x", 1, NULL);
  reply(j, 101, NULL, NULL, NULL, 0, NULL);
  struct ln_iov part = {"x", 1, NULL};
  int rc;
  CALL(j->d, rc = ln_http_sse_send(j->r, LN_STR_NONE, &part, 1));
  say(j->d, "send before start %s", ln_err_name(rc));
  reply_plain(j);
  reply_plain(j);
  CALL(j->d, rc = ln_http_sse_start(j->r, NULL));
  say(j->d, "start after reply %s", ln_err_name(rc));
}

/* --- SSE --- */

static int send_event(struct job *j, const char *id, const char *data) {
  struct ln_iov part = {data, strlen(data), NULL};
  int rc;
  CALL(j->d, rc = ln_http_sse_send(j->r, ln_str_c(id), &part, 1));
  return rc;
}

static void start_sse(struct job *j) {
  int rc;
  CALL(j->d, rc = ln_http_sse_start(j->r, "Mcp-Session-Id: abc\r\n"));
  if (rc) say(j->d, "start %s %s", j->path, ln_err_name(rc));
}

static void sse_step(struct job *j) {
  char id[32], data[64];
  snprintf(id, sizeof id, "%ld", j->sent);
  snprintf(data, sizeof data, "{\"n\":%ld}", j->sent);
  j->sent++;
  int rc = send_event(j, id, data);
  if (rc) say(j->d, "send %s %s", j->path, ln_err_name(rc));
}

static void sse_timer(struct ln_timer *t) {
  struct job *j = LN_CONTAINER(t, struct job, timer);
  if (j->sent < j->n) {
    sse_step(j);
    ln_timer_start(j->d->loop, t, 10, sse_timer);
  } else {
    CALL(j->d, ln_http_sse_end(j->r));
  }
}

static void sse_all(struct job *j) {
  start_sse(j);
  while (j->sent < j->n) sse_step(j);
  CALL(j->d, ln_http_sse_end(j->r));
}

/* Every kind of event once. */
static void sse_kinds(struct job *j) {
  start_sse(j);
  struct driver *d = j->d;
  struct ln_iov two[] = {{"{\"a\":", 5, NULL}, {"1}", 2, NULL}};
  int rc[7];
  CALL(d, rc[0] = ln_http_sse_send(j->r, ln_str_c("p-1"), NULL, 0));
  CALL(d, rc[1] = ln_http_sse_event(j->r, ln_str_c("endpoint"), LN_STR_NONE, two, 2));
  CALL(d, rc[2] = ln_http_sse_retry(j->r, 1500));
  CALL(d, rc[3] = ln_http_sse_comment(j->r));
  CALL(d, rc[4] = ln_http_sse_send(j->r, LN_STR_NONE, two, 2));
  CALL(d, rc[5] = ln_http_sse_send(j->r, ln_str_c("x\ndata: forged"), two, 2));
  CALL(d, rc[6] = ln_http_reply(j->r, 200, NULL, NULL, NULL, 0));
  CALL(d, ln_http_sse_end(j->r));
  say(d, "kinds %d %d %d %d %d %s %s", rc[0], rc[1], rc[2], rc[3], rc[4], ln_err_name(rc[5]),
      ln_err_name(rc[6]));
}

/* n events of 16 KiB, each with a block of its own, so that blocks alive tell what is queued. */
static void flood(struct job *j) {
  j->full = false;
  while (j->sent < j->n && !j->full) {
    struct ln_bytes *b = pattern(16 * 1024);
    struct ln_iov part = {b->data, b->len, b};
    int rc;
    CALL(j->d, rc = ln_http_sse_send(j->r, LN_STR_NONE, &part, 1));
    ln_bytes_unref(b);
    if (ln_bytes_live() > j->most_live) j->most_live = ln_bytes_live();
    if (rc == LN_OK || rc == LN_EFULL) j->sent++;
    if (rc == LN_EFULL) {
      j->full = true;
      say(j->d, "full %s", j->path);
    }
    if (rc != LN_OK && rc != LN_EFULL) {
      say(j->d, "flood %s", ln_err_name(rc));
      return;
    }
  }
  if (j->sent == j->n && !j->full) CALL(j->d, ln_http_sse_end(j->r));
}

/* Does not care for LN_EFULL. */
static void rude(struct job *j) {
  int rc = LN_OK;
  while (rc == LN_OK || rc == LN_EFULL) {
    struct ln_bytes *b = pattern(1024 * 1024);
    struct ln_iov part = {b->data, b->len, b};
    CALL(j->d, rc = ln_http_sse_send(j->r, LN_STR_NONE, &part, 1));
    ln_bytes_unref(b);
    if (rc == LN_OK || rc == LN_EFULL) j->sent++;
  }
  say(j->d, "rude %s after %ld", ln_err_name(rc), j->sent);
  for (int i = 0; i < 100000 && rc != LN_ECLOSED; i++) {
    int crc;
    CALL(j->d, crc = ln_http_sse_comment(j->r));
    if (crc != LN_EFULL) say(j->d, "comment %s", ln_err_name(crc));
  }
  CALL(j->d, ln_http_request_abort(j->r));
}

/* --- requests --- */

static void closed(void *arg) {
  struct driver *d = arg;
  d->closed = true;
  if (d->in) ln_stream_close(d->in);
}

static void close_server(struct driver *d) {
  CALL(d, ln_http_server_close(d->server, closed, d));
  d->server = NULL;
}

static void act(struct job *j) {
  const char *p = j->path;
  struct ln_loop *l = j->d->loop;
  if (!strcmp(p, "/plain") || !strcmp(p, "/close-in-done") || !strcmp(p, "/drain-in-done")) {
    reply_plain(j);
  } else if (!strcmp(p, "/echo")) {
    reply_echo(j);
  } else if (!strcmp(p, "/slow")) {
    ln_timer_start(l, &j->timer, (uint64_t)j->n, plain_timer);
  } else if (!strcmp(p, "/task")) {
    ln_task_post(l, &j->task, plain_task);
  } else if (!strcmp(p, "/big")) {
    reply_big(j);
  } else if (!strcmp(p, "/parts")) {
    reply_parts(j);
  } else if (!strcmp(p, "/wrong")) {
    reply_wrong(j);
  } else if (!strcmp(p, "/status")) {
    reply(j, (int)j->n, NULL, NULL, NULL, 0, NULL);
  } else if (!strcmp(p, "/abort")) {
    CALL(j->d, ln_http_request_abort(j->r));
  } else if (!strcmp(p, "/abort-later")) {
    ln_timer_start(l, &j->timer, 10, abort_timer);
  } else if (!strcmp(p, "/close")) {
    close_server(j->d);
  } else if (!strcmp(p, "/reply-and-close")) {
    reply_plain(j);
    close_server(j->d);
  } else if (!strcmp(p, "/sse")) {
    sse_all(j);
  } else if (!strcmp(p, "/sse-slow")) {
    start_sse(j);
    ln_timer_start(l, &j->timer, 10, sse_timer);
  } else if (!strcmp(p, "/sse-kinds")) {
    sse_kinds(j);
  } else if (!strcmp(p, "/sse-hold")) {
    start_sse(j);
  } else if (!strcmp(p, "/flood")) {
    start_sse(j);
    flood(j);
  } else if (!strcmp(p, "/rude")) {
    start_sse(j);
    rude(j);
  } else if (strcmp(p, "/never") != 0) {
    reply(j, 404, NULL, NULL, NULL, 0, NULL);
  }
}

static void on_request(void *arg, struct ln_http_request *r) {
  struct driver *d = arg;
  struct job *j = calloc(1, sizeof *j);
  if (!j) abort();
  d->requests++;
  j->d = d;
  j->r = r;
  r->data = j;
  ln_timer_init(&j->timer);
  ln_task_init(&j->task);
  ln_list_push(&d->jobs, &j->link);
  struct ln_str t = r->head->target;
  size_t n = 0;
  while (n < t.n && n < sizeof j->path - 1 && t.p[n] != '?') n++;
  memcpy(j->path, t.p, n);
  for (size_t i = n + 1; i < t.n && t.p[i] >= '0' && t.p[i] <= '9'; i++) {
    j->n = j->n * 10 + (t.p[i] - '0');
  }
  say(d, "request %.*s %s", LN_STR_ARG(r->head->method), j->path);
  act(j);
}

static void on_drain(void *arg, struct ln_http_request *r) {
  struct driver *d = arg;
  struct job *j = r->data;
  LN_ASSERT(d->depth == 0);
  LN_ASSERT(j->full);
  flood(j);
}

static void on_done(void *arg, struct ln_http_request *r, bool gone) {
  struct driver *d = arg;
  struct job *j = r->data;
  LN_ASSERT(d->depth == 0);
  LN_ASSERT(j && j->r == r);
  d->done++;
  d->gone += gone;
  if (!strcmp(j->path, "/flood")) say(d, "sent %ld most_live %zu", j->sent, j->most_live);
  say(d, "done %s %s", j->path, gone ? "gone" : "whole");
  if (!strcmp(j->path, "/close-in-done")) close_server(d);
  if (!strcmp(j->path, "/drain-in-done")) CALL(d, ln_http_server_drain(d->server));
  r->data = NULL;
  ln_timer_stop(&j->timer);
  ln_task_cancel(&j->task);
  ln_list_remove(&j->link);
  free(j);
}

/* --- orders --- */

static struct job *held_job(struct driver *d) {
  LN_LIST_EACH(it, &d->jobs) {
    struct job *j = LN_CONTAINER(it, struct job, link);
    if (!strcmp(j->path, "/sse-hold")) return j;
  }
  return NULL;
}

static void obey(struct driver *d, char *line) {
  struct job *j = held_job(d);
  if (!strcmp(line, "stats")) {
    struct mallinfo2 m = mallinfo2();
    printf("stats connections=%zu live=%zu handles=%zu requests=%lu done=%lu gone=%lu heap=%zu\n",
           d->server ? ln_http_server_connections(d->server) : 0,
           ln_bytes_live() - 1, /* but for the line that asks */

           ln_loop_handles(d->loop), d->requests, d->done, d->gone, m.uordblks + m.hblkhd);
    fflush(stdout);
  } else if (!strcmp(line, "drain")) {
    CALL(d, ln_http_server_drain(d->server));
    say(d, "draining");
  } else if (!strcmp(line, "close")) {
    close_server(d);
  } else if (!strncmp(line, "say ", 4) && j) {
    say(d, "said %s", ln_err_name(send_event(j, NULL, line + 4)));
  } else if (!strcmp(line, "comment") && j) {
    int rc;
    CALL(d, rc = ln_http_sse_comment(j->r));
    say(d, "commented %s", ln_err_name(rc));
  } else if (!strcmp(line, "end") && j) {
    CALL(d, ln_http_sse_end(j->r));
  } else {
    say(d, "what? %s", line);
  }
}

static void on_line_bytes(void *arg, const char *p, size_t n) {
  struct driver *d = arg;
  if (ln_buf_append(&d->line, p, n)) abort();
  char *end;
  while (d->line.len && (end = memchr(d->line.data, '\n', d->line.len))) {
    *end = 0;
    obey(d, d->line.data);
    ln_buf_consume(&d->line, (size_t)(end + 1 - d->line.data));
  }
  if (!d->line.len) ln_buf_deinit(&d->line);
}

/* Without a master it ends. */
static void on_line_end(void *arg, int err) {
  struct driver *d = arg;
  (void)err;
  if (d->server) close_server(d);
}

static void on_line_closed(void *arg) {
  struct driver *d = arg;
  d->in = NULL;
}

static const struct ln_stream_ops line_ops = {
    .on_read = on_line_bytes, .on_end = on_line_end, .on_closed = on_line_closed};

/* Options are "name=number". */
static unsigned long option(int argc, char **argv, const char *name) {
  size_t n = strlen(name);
  for (int i = 1; i < argc; i++) {
    if (!strncmp(argv[i], name, n) && argv[i][n] == '=') return strtoul(argv[i] + n + 1, NULL, 10);
  }
  return 0;
}

int main(int argc, char **argv) {
  struct driver d = {0};
  const char *why = "";
  ln_log_init(&d.log, STDERR_FILENO);
  ln_buf_init(&d.line, 64 * 1024);
  ln_list_init(&d.jobs);
  d.quiet = option(argc, argv, "quiet");
  d.loop = ln_loop_new(&d.log);
  if (!d.loop) return 2;
  struct ln_http_server_conf conf = {
      .host = "127.0.0.1",
      .port = (uint16_t)option(argc, argv, "port"),
      .max_head = option(argc, argv, "max_head"),
      .max_body = option(argc, argv, "max_body"),
      .max_connections = (unsigned)option(argc, argv, "max_connections"),
      .head_timeout_ms = option(argc, argv, "head_timeout"),
      .idle_timeout_ms = option(argc, argv, "idle_timeout"),
  };
  int rc = ln_http_server_start(d.loop, &conf, &ops, &d, &d.server, &why);
  if (rc) {
    printf("failed %s: %s\n", ln_err_name(rc), why);
    return ln_loop_free(d.loop) ? 3 : 1;
  }
  d.in = ln_stream_open(d.loop, STDIN_FILENO, &line_ops, &d);
  if (!d.in) return 2;
  ln_stream_read_start(d.in);
  printf("port %u\n", ln_http_server_port(d.server));
  fflush(stdout);
  ln_loop_run(d.loop);

  ln_buf_deinit(&d.line);
  printf("end closed=%d jobs=%d handles=%zu live=%zu requests=%lu done=%lu errors=%llu\n", d.closed,
         !ln_list_empty(&d.jobs), ln_loop_handles(d.loop), ln_bytes_live(), d.requests, d.done,
         (unsigned long long)d.log.errors);
  return ln_loop_free(d.loop) ? 3 : 0;
}
