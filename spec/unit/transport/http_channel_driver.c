/* A program around one connection pool and its HTTP channels for their specs: told what to send
 * over stdin, telling every event over stdout, a line each.
 *
 * It also watches the contract: no event comes from inside a call, none for an unknown channel,
 * none after `closed`; a break ends the program. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/stream.h"
#include "transport/channel.h"

enum { CHANNELS = 16, HEADERS = 16, LONG = 2000 };

struct driver;

struct owner {
  struct driver *d;
  struct ln_channel *c;
  int number;
};

struct driver {
  struct ln_log log;
  struct ln_loop *loop;
  struct ln_http_pool *pool;
  struct ln_http_conf conf;
  const char *headers[HEADERS + 1];
  unsigned n_headers;
  struct ln_stream *in;
  struct ln_buf line;
  struct owner owners[CHANNELS];
  int n_owners;
  unsigned depth; /* calls into the channel on the stack */
  bool lazy;      /* never abandons by itself */
  bool close_inside;
  bool tells_parted;
  bool pool_closed;
  uint64_t began_at; /* of "cost" */
  size_t allocations;
};

#define CALL(d, call) \
  do {                \
    (d)->depth++;     \
    call;             \
    (d)->depth--;     \
  } while (0)

/* --- allocations, counted --- */

static size_t allocations;

#ifndef __SANITIZE_ADDRESS__
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n) {
  allocations++;
  return __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
  allocations++;
  return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
  allocations++;
  return __libc_realloc(p, n);
}
#endif

/* --- telling --- */

static void say(const char *fmt, ...) LN_PRINTF(1, 2);
static void say(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
  putchar('\n');
  fflush(stdout);
}

static void check_owner(struct owner *o) {
  LN_ASSERT(o->d->depth == 0);
  LN_ASSERT(o->c);
}

static void on_ready(void *arg) {
  struct owner *o = arg;
  check_owner(o);
  say("ready %d", o->number);
}

static uint32_t sum(const struct ln_bytes *b) {
  uint32_t h = 1;
  for (size_t i = 0; i < b->len; i++) h = h * 31 + (unsigned char)b->data[i];
  return h;
}

static bool is_response(const struct ln_bytes *b) {
  return memmem(b->data, b->len, "\"result\"", 8) || memmem(b->data, b->len, "\"error\"", 7);
}

static void on_message(void *arg, struct ln_bytes *text, uint64_t related) {
  struct owner *o = arg;
  struct driver *d = o->d;
  size_t cost = allocations - d->allocations;
  check_owner(o);
  LN_ASSERT(text->refs == 1);
  if (d->began_at) {
    say("cost %zu", cost);
    d->began_at = 0;
  }
  if (text->len > LONG) {
    say("message %d %llu long %zu %u", o->number, (unsigned long long)related, text->len,
        sum(text));
  } else {
    printf("message %d %llu ", o->number, (unsigned long long)related);
    for (size_t i = 0; i < text->len; i++) {
      if (text->data[i] == '\n')
        fputs("\\n", stdout);
      else
        putchar(text->data[i]);
    }
    say("%s", "");
  }
  bool response = is_response(text);
  ln_bytes_unref(text);
  if (d->close_inside) {
    CALL(d, ln_channel_close(o->c));
  } else if (related && response && !d->lazy) {
    CALL(d, ln_channel_abandon(o->c, related));
  }
}

static void on_failed(void *arg, uint64_t tag, int err, int status, const char *why) {
  struct owner *o = arg;
  check_owner(o);
  say("failed %d %llu %s %d %s", o->number, (unsigned long long)tag, ln_err_name(err), status, why);
  if (o->d->close_inside) CALL(o->d, ln_channel_close(o->c));
}

static void on_drain(void *arg) {
  struct owner *o = arg;
  check_owner(o);
  say("drain %d", o->number);
}

static void on_closed(void *arg, int err, const char *why) {
  struct owner *o = arg;
  check_owner(o);
  o->c = NULL;
  say("closed %d %d %s", o->number, err, why);
}

static void on_disconnected(void *arg, uint64_t tag, uint64_t retry_ms) {
  struct owner *o = arg;
  check_owner(o);
  if (o->d->tells_parted)
    say("disconnected %d %llu %llu", o->number, (unsigned long long)tag,
        (unsigned long long)retry_ms);
}

static const struct ln_channel_events events = {.ready = on_ready,
                                                .message = on_message,
                                                .failed = on_failed,
                                                .drain = on_drain,
                                                .disconnected = on_disconnected,
                                                .closed = on_closed};

/* --- orders --- */

static void on_pool_closed(void *arg) {
  struct driver *d = arg;
  LN_ASSERT(d->depth == 0);
  d->pool_closed = true;
  d->pool = NULL;
  say("pool closed");
  if (d->in) ln_stream_close(d->in);
}

static void open_channel(struct driver *d) {
  LN_ASSERT(d->n_owners < CHANNELS);
  struct owner *o = &d->owners[d->n_owners];
  *o = (struct owner){.d = d, .number = d->n_owners++};
  CALL(d, o->c = ln_channel_http(d->pool, &events, o));
  LN_ASSERT(o->c);
}

/* In three parts, of which the middle one has no owner and is gone after the call. */
static int send_text(struct driver *d, struct owner *o, char kind, uint64_t tag, const char *text,
                     size_t n) {
  struct ln_channel_note note = {.kind = kind == 'n'   ? LN_NOTE_NOTIFICATION
                                         : kind == 'a' ? LN_NOTE_RESPONSE
                                                       : LN_NOTE_REQUEST,
                                 .tag = tag,
                                 .initialize = kind == 'i'};
  struct ln_bytes *own = ln_bytes_copy(text, n);
  size_t third = n / 3;
  char *middle = malloc(third + 1);
  LN_ASSERT(own && middle);
  memcpy(middle, text + third, third);
  struct ln_iov parts[] = {
      {own->data, third, own}, {middle, third, NULL}, {own->data + 2 * third, n - 2 * third, own}};
  int rc;
  d->allocations = allocations;
  CALL(d, rc = ln_channel_send(o->c, parts, 3, &note));
  memset(middle, '!', third + 1);
  free(middle);
  ln_bytes_unref(own);
  return rc;
}

static void order_send(struct driver *d, struct owner *o, char *rest) {
  char kind = rest[0];
  char *text;
  uint64_t tag = strtoull(rest + 1, &text, 10);
  if (*text == ' ') text++;
  int rc = send_text(d, o, kind, tag, text, strlen(text));
  if (rc) say("send %d %s", o->number, ln_err_name(rc));
}

/* "burst COUNT SIZE": requests with tags from 1. */
static void order_burst(struct driver *d, struct owner *o, char *rest) {
  char *at;
  unsigned long n = strtoul(rest, &at, 10), size = strtoul(at, &at, 10);
  char *text = malloc(size + 1);
  unsigned long full = 0, refused = 0, first_full = 0;
  LN_ASSERT(text);
  memset(text, 'x', size);
  for (unsigned long i = 1; i <= n; i++) {
    int rc = send_text(d, o, 'r', i, text, size);
    if (rc == LN_EFULL && !full++) first_full = i;
    if (rc == LN_ELIMIT) refused++;
  }
  free(text);
  say("burst %d full=%lu first=%lu refused=%lu", o->number, full, first_full, refused);
}

static void close_pool(struct driver *d) {
  struct ln_http_pool *p = d->pool;
  if (!p) return;
  d->pool = NULL;
  CALL(d, ln_http_pool_close(p, on_pool_closed, d));
}

static void order_one(struct driver *d, struct owner *o, const char *verb, char *rest) {
  struct ln_channel *c = o->c;
  if (!strcmp(verb, "send")) {
    order_send(d, o, rest);
  } else if (!strcmp(verb, "cost")) {
    d->began_at = 1;
    order_send(d, o, rest);
  } else if (!strcmp(verb, "burst")) {
    order_burst(d, o, rest);
  } else if (!strcmp(verb, "initialized")) {
    bool listen = rest[0] == '1';
    CALL(d, ln_channel_initialized(c, rest + 2, listen));
  } else if (!strcmp(verb, "abandon")) {
    CALL(d, ln_channel_abandon(c, strtoull(rest, NULL, 10)));
  } else if (!strcmp(verb, "pause")) {
    CALL(d, ln_channel_pause(c));
  } else if (!strcmp(verb, "resume")) {
    CALL(d, ln_channel_resume(c));
  } else if (!strcmp(verb, "close")) {
    CALL(d, ln_channel_close(c));
  } else {
    say("what? %s", verb);
  }
}

static void obey(struct driver *d, char *line) {
  char *rest = strchr(line, ' ');
  if (rest) *rest++ = 0;
  if (!strcmp(line, "open")) {
    open_channel(d);
  } else if (!strcmp(line, "lazy")) {
    d->lazy = true;
  } else if (!strcmp(line, "tell-disconnected")) {
    d->tells_parted = true;
  } else if (!strcmp(line, "close-inside")) {
    d->close_inside = true;
  } else if (!strcmp(line, "stats")) {
    say("stats live=%zu handles=%zu", ln_bytes_live() - 1, ln_loop_handles(d->loop));
  } else if (!strcmp(line, "pool")) {
    close_pool(d);
  } else if (rest) {
    char *end;
    long k = strtol(rest, &end, 10);
    LN_ASSERT(k >= 0 && k < d->n_owners && d->owners[k].c);
    order_one(d, &d->owners[k], line, *end ? end + 1 : end);
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
  ln_stream_close(d->in);
  for (int i = 0; i < d->n_owners; i++) {
    if (d->owners[i].c) CALL(d, ln_channel_close(d->owners[i].c));
  }
  close_pool(d);
}

static void on_line_closed(void *arg) {
  struct driver *d = arg;
  d->in = NULL;
}

static const struct ln_stream_ops line_ops = {
    .on_read = on_line_bytes, .on_end = on_line_end, .on_closed = on_line_closed};

static void option(struct driver *d, char *text) {
  char *value = strchr(text, '=');
  LN_ASSERT(value);
  *value++ = 0;
  if (!strcmp(text, "url"))
    d->conf.url = value;
  else if (!strcmp(text, "header")) {
    LN_ASSERT(d->n_headers < HEADERS);
    d->headers[d->n_headers++] = value;
  } else if (!strcmp(text, "max_message"))
    d->conf.max_message = strtoull(value, NULL, 10);
  else if (!strcmp(text, "max_open"))
    d->conf.max_open = (unsigned)strtoul(value, NULL, 10);
  else if (!strcmp(text, "connect_timeout"))
    d->conf.connect_timeout_ms = strtoull(value, NULL, 10);
  else if (!strcmp(text, "ca"))
    d->conf.tls_ca_file = value;
  else if (!strcmp(text, "no_verify"))
    d->conf.tls_no_verify = true;
  else if (!strcmp(text, "sse"))
    d->conf.sse = true;
  else if (!strcmp(text, "log"))
    d->log.level = (enum ln_log_level)ln_log_level_parse(value);
  else
    LN_ASSERT(!"an option");
}

int main(int argc, char **argv) {
  struct driver *d = calloc(1, sizeof *d);
  const char *why = "";
  LN_ASSERT(d);
  ln_log_init(&d->log, 2);
  d->log.level = LN_LOG_WARN;
  ln_buf_init(&d->line, 1 << 26);
  d->conf.name = "spec";
  for (int i = 1; i < argc; i++) option(d, argv[i]);
  d->conf.headers = d->headers;
  d->loop = ln_loop_new(&d->log);
  LN_ASSERT(d->loop);
  d->pool = ln_http_pool_new(d->loop, &d->conf, &why);
  if (d->pool) {
    d->in = ln_stream_open(d->loop, 0, &line_ops, d);
    ln_stream_read_start(d->in);
    say("up");
    ln_loop_run(d->loop);
  } else {
    say("refused %s", why);
    d->pool_closed = true;
  }
  ln_buf_deinit(&d->line);
  size_t handles = ln_loop_handles(d->loop);
  int freed = ln_loop_free(d->loop);
  say("end pool=%d handles=%zu freed=%d live=%zu errors=%llu", d->pool_closed, handles,
      freed == LN_OK, ln_bytes_live(), (unsigned long long)d->log.errors);
  free(d);
  return 0;
}
