/* The HTTP server as a whole: listening, the limit on connections, the pool of parsers, the
 * date, draining and closing, also of a connection. What else happens on one is in
 * http_connection.c.
 *
 * The server is freed when, after ln_http_server_close, its listener, every connection and every
 * refused stream have closed; the last of them posts closed_task. */
#include "transport/http_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "transport/http_connection.h"
#include "wire/http_host.h"

static bool make_room(void *arg, const unsigned char address[16]);
static void on_accept(void *arg, struct ln_stream *stream);
static void on_refused_closed(void *arg);
static void on_listener_closed(void *arg);
static void on_closed_task(struct ln_task *t);
static void stop_listening(struct ln_http_server *s);

static const struct ln_stream_ops refused_ops = {.on_closed = on_refused_closed};

int ln_http_server_start(struct ln_loop *l, const struct ln_http_server_conf *conf,
                         const struct ln_http_server_ops *ops, void *arg,
                         struct ln_http_server **out, const char **why) {
  struct ln_http_server *s = calloc(1, sizeof *s);
  if (!s) {
    *why = ln_err_text(LN_ENOMEM);
    return LN_ENOMEM;
  }
  s->loop = l;
  s->ops = ops;
  s->arg = arg;
  s->conf = *conf;
  s->conf.host = NULL;
  if (!s->conf.max_head) s->conf.max_head = 16 * 1024;
  if (!s->conf.max_body) s->conf.max_body = 4 * 1024 * 1024;
  if (!s->conf.max_connections) s->conf.max_connections = 10000;
  if (!s->conf.head_timeout_ms) s->conf.head_timeout_ms = 30 * 1000;
  if (!s->conf.idle_timeout_ms) s->conf.idle_timeout_ms = 60 * 1000;
  ln_list_init(&s->connections);
  ln_list_init(&s->parsers);
  ln_buf_init(&s->scratch, 64 * 1024);
  ln_task_init(&s->closed_task);

  int rc = ln_listen(l, conf->host, conf->port, on_accept, s, &s->listener, why);
  if (rc) {
    free(s);
    return rc;
  }
  ln_listener_on_scarce(s->listener, make_room);
  s->listening = true;
  s->port = ln_listener_port(s->listener);
  *out = s;
  return LN_OK;
}

uint16_t ln_http_server_port(const struct ln_http_server *s) {
  return s->port;
}

bool ln_http_server_on_loopback(const struct ln_http_server *s) {
  unsigned char address[16];
  ln_listener_address(s->listener, address);
  return ln_http_address_is_loopback(address);
}

size_t ln_http_server_connections(const struct ln_http_server *s) {
  return s->n_connections;
}

void ln_http_server_drain(struct ln_http_server *s) {
  s->draining = true;
  stop_listening(s);
  LN_LIST_EACH(it, &s->connections) {
    struct ln_http_connection *c = LN_CONTAINER(it, struct ln_http_connection, link);
    if (c->phase == LN_HTTP_IDLE) ln_http_connection_close_idle(c);
  }
}

void ln_http_server_close(struct ln_http_server *s, void (*closed)(void *arg), void *arg) {
  LN_ASSERT(!s->closing);
  s->closing = s->draining = true;
  s->closed = closed;
  s->closed_arg = arg;
  stop_listening(s);
  LN_LIST_EACH(it, &s->connections) {
    ln_http_connection_close(LN_CONTAINER(it, struct ln_http_connection, link));
  }
  ln_http_server_lost(s);
}

void ln_http_connection_close(struct ln_http_connection *c) {
  c->phase = LN_HTTP_CLOSED;
  ln_timer_stop(&c->timer);
  ln_stream_close(c->stream);
}

void ln_http_connection_close_idle(struct ln_http_connection *c) {
  c->phase = LN_HTTP_CLOSED;
  ln_timer_stop(&c->timer);
  if (ln_stream_queued(c->stream)) {
    ln_stream_close_flushed(c->stream, c->server->conf.idle_timeout_ms);
  } else {
    ln_stream_close(c->stream);
  }
}

void ln_http_server_lost(struct ln_http_server *s) {
  if (!s->closing || s->listening || s->n_connections || s->n_refused) return;
  ln_task_post(s->loop, &s->closed_task, on_closed_task);
}

struct ln_http_parser *ln_http_server_take_parser(struct ln_http_server *s) {
  struct ln_list *link = ln_list_shift(&s->parsers);
  if (link) {
    s->n_parsers--;
    return LN_CONTAINER(link, struct ln_http_parser, link);
  }
  struct ln_http_parser *p = malloc(sizeof *p);
  if (!p) return NULL;
  ln_list_init(&p->link);
  ln_http_init(&p->http, LN_HTTP_REQUEST, s->conf.max_head, s->conf.max_body);
  return p;
}

void ln_http_server_give_parser(struct ln_http_server *s, struct ln_http_parser *p, bool clean) {
  if (clean && s->n_parsers < LN_HTTP_POOLED_PARSERS) {
    s->n_parsers++;
    /* At the front: the one used last is the one still in the processor's cache. */
    ln_list_push(s->parsers.next, &p->link);
    return;
  }
  ln_http_deinit(&p->http);
  free(p);
}

const char *ln_http_server_date(struct ln_http_server *s) {
  static const char days[] = "SunMonTueWedThuFriSat";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  uint64_t now = ln_loop_now(s->loop);
  if (now < s->date_until) return s->date;

  struct timespec wall;
  struct tm tm;
  clock_gettime(CLOCK_REALTIME, &wall);
  gmtime_r(&wall.tv_sec, &tm);
  snprintf(s->date, sizeof s->date, "Date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n",
           days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100u, months + 3 * tm.tm_mon,
           (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)tm.tm_hour % 100u,
           (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
  s->date_until = now + 1000 - (uint64_t)wall.tv_nsec / 1000000;
  return s->date;
}

/* There are as many connections as may be: one of the peer that has most of them goes. */
static bool make_room(void *arg, const unsigned char address[16]) {
  struct ln_http_server *s = arg;
  struct ln_account *own = s->ops->account ? s->ops->account(s->arg, address, NULL) : NULL;
  if (!own) return false;
  struct ln_account *most = ln_ledger_heaviest(own->ledger, LN_SHORT_CONNECTIONS, own);
  /* Nobody's request is broken off for who has no fewer. */
  bool fewer = most && most->held[LN_SHORT_CONNECTIONS] > own->held[LN_SHORT_CONNECTIONS] + 1;
  bool room = most && ln_account_yield(most, LN_SHORT_CONNECTIONS,
                                       fewer ? LN_URGENCY_ANY : LN_URGENCY_STALE);
  struct ln_log *log = ln_loop_log(s->loop);
  if (room)
    LN_LOG(log, WARN, "http", "as many connections are open as may: one of %s's is closed",
           most->name);
  else
    LN_LOG(log, WARN, "http", "as many connections are open as may: one from %s is refused",
           own->name);
  ln_account_unref(own);
  return room;
}

static void close_oldest_spare(struct ln_http_server *s) {
  LN_LIST_EACH(it, &s->connections) {
    struct ln_http_connection *c = LN_CONTAINER(it, struct ln_http_connection, link);
    if (!c->spare || c->phase == LN_HTTP_CLOSED) continue;
    ln_http_connection_close(c);
    return;
  }
}

static void on_accept(void *arg, struct ln_stream *stream) {
  struct ln_http_server *s = arg;
  bool full = s->n_connections - s->n_spare >= s->conf.max_connections || ln_stream_spare(stream);
  bool spare = full && (ln_stream_spare(stream) || !make_room(s, ln_stream_address(stream)));
  if (spare && s->n_spare >= LN_HTTP_SPARE) close_oldest_spare(s);
  if (!s->draining && ln_http_connection_new(s, stream, spare) == LN_OK) return;
  s->n_refused++;
  ln_stream_set_ops(stream, &refused_ops, s);
  ln_stream_close(stream);
  LN_LOG(ln_loop_log(s->loop), DEBUG, "http", "refused a connection: %zu are open",
         s->n_connections);
}

static void on_refused_closed(void *arg) {
  struct ln_http_server *s = arg;
  s->n_refused--;
  ln_http_server_lost(s);
}

static void stop_listening(struct ln_http_server *s) {
  if (!s->listener) return;
  struct ln_listener *listener = s->listener;
  s->listener = NULL;
  ln_listener_close(listener, on_listener_closed, s);
}

static void on_listener_closed(void *arg) {
  struct ln_http_server *s = arg;
  s->listening = false;
  ln_http_server_lost(s);
}

static void on_closed_task(struct ln_task *t) {
  struct ln_http_server *s = LN_CONTAINER(t, struct ln_http_server, closed_task);
  void (*closed)(void *) = s->closed;
  void *arg = s->closed_arg;
  LN_LIST_EACH(it, &s->parsers) {
    struct ln_http_parser *p = LN_CONTAINER(it, struct ln_http_parser, link);
    ln_http_deinit(&p->http);
    free(p);
  }
  ln_buf_deinit(&s->scratch);
  free(s);
  if (closed) closed(arg);
}
