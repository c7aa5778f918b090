/* The HTTP front as a whole: paths, sessions by their ids, the pages about the host's state,
 * keep-alives, beginning and end. */
#include "proxy/front_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "proxy/exchange/headers.h"
#include "proxy/upstream.h"

enum { TICK_MS = 15000 };

/* --- replies --- */

void ln_front_reply(struct ln_http_request *r, int status, const char *type, const char *headers,
                    struct ln_str body) {
  struct ln_iov part = {body.p, body.n, NULL};
  int rc = ln_http_reply(r, status, type, headers, &part, body.n ? 1 : 0);
  if (rc) ln_http_request_abort(r);
}

static void reply_fault(struct ln_http_request *r, int status, struct ln_msg_fault *fault,
                        const char *headers) {
  struct ln_bytes *text = ln_parse_fault(fault);
  ln_front_reply(r, status, "application/json", headers,
                 text ? (struct ln_str){text->data, text->len} : LN_STR_LIT("{}"));
  ln_bytes_unref(text);
}

void ln_front_reply_fault(struct ln_http_request *r, int status, struct ln_msg_fault *fault) {
  reply_fault(r, status, fault, NULL);
}

void ln_front_refuse(struct ln_front_http *f, struct ln_http_request *r, struct ln_gate g) {
  if (g.status == LN_GATE_LATER) return;
  struct ln_msg_fault fault = {.code = g.code};
  snprintf(fault.text, sizeof fault.text, "%s", g.why);
  LN_LOG(f->host->log, WARN, "http", "refused with %d: %s", g.status, g.why);
  reply_fault(r, g.status, &fault, g.headers);
}

/* --- bodies and headers --- */

struct ln_str ln_front_body(const struct ln_http_request *r) {
  return r->body ? ln_json_trim((struct ln_str){r->body->data, r->body->len}) : LN_STR_NONE;
}

struct ln_msg *ln_front_message(struct ln_front_http *f, struct ln_http_request *r,
                                struct ln_str text) {
  struct ln_msg_limits limits = ln_parse_limits(f->host);
  struct ln_msg_fault fault = {.code = -32700, .text = "Parse error: the body is empty"};
  struct ln_msg *m = NULL;
  if (text.n && ln_msg_parse(r->body, text, &limits, &m, &fault) == LN_OK) return m;
  LN_LOG(f->host->log, WARN, "http", "refused a message: %s", fault.text);
  reply_fault(r, 400, &fault, NULL);
  return NULL;
}

/* Only policies look at headers. */
struct ln_bytes *ln_front_headers(struct ln_front_http *f, const struct ln_http_request *r) {
  return ln_policy_uses_ctx(f->host->gen->policy) ? ln_headers_copy(r->head) : NULL;
}

/* --- sessions --- */

/* One that says nothing. */
static int plain_id(struct ln_buf *out) {
  unsigned char raw[16];
  if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw) return LN_ESYSTEM;
  int rc = LN_OK;
  for (size_t i = 0; i < sizeof raw && !rc; i++) rc = ln_buf_printf(out, "%02x", raw[i]);
  return rc;
}

static int new_id(struct ln_front_http *f, const struct ln_msg *hello, struct ln_buf *out) {
  if (!hello || !hello->params.p) return plain_id(out);
  const struct ln_ticket t = {f->epoch, (uint64_t)time(NULL), hello->params};
  int rc = ln_ticket_write(f->key, &t, out);
  if (!rc) return LN_OK;
  LN_LOG(f->host->log, DEBUG, "http", "a session that will not survive a restart: %s",
         rc == LN_ELIMIT ? "what its client says of itself is too long" : ln_err_text(rc));
  return plain_id(out);
}

/* Its streams end, and nobody can come back for them. */
static void on_session_end(struct ln_session *s, void *arg) {
  struct ln_front_session *fs = arg;
  if (fs->get) {
    ln_pipe_hang_up(fs->get);
    ln_pipe_forget(fs, fs->get);
  }
  LN_LIST_EACH(l, &fs->streams) ln_pipe_forget(fs, LN_CONTAINER(l, struct ln_pipe, link));
  ln_map_remove(&fs->front->by_id, fs->id);
  ln_front_revive_ended(fs);
  ln_list_remove(&fs->link);
  s->front = NULL;
  s->on_end = NULL;
  free(fs);
  ln_session_unref(s);
}

static void on_parted(struct ln_session *s, struct ln_sink *sink, uint64_t retry_ms) {
  (void)s;
  ln_pipe_part(sink, retry_ms);
}

/* The whole of a ticket is the client's alone: logs and policies know its name. */
static struct ln_front_session *session_new(struct ln_front_http *f, bool sse, struct ln_str id) {
  char name[40];
  int n = id.n < sizeof name ? (int)id.n : LN_TICKET_NAME;
  snprintf(name, sizeof name, "%.*s", n, id.p);
  struct ln_front_session *fs = calloc(1, sizeof *fs + id.n);
  struct ln_session *s = fs ? ln_session_new(f->host, sse ? "sse" : "http", name) : NULL;
  if (!s) {
    free(fs);
    return NULL;
  }
  memcpy(fs->id_text, id.p, id.n);
  fs->id = (struct ln_str){fs->id_text, id.n};
  fs->front = f;
  fs->session = s;
  fs->sse = sse;
  ln_list_init(&fs->streams);
  ln_list_push(&f->sessions, &fs->link);
  s->front = fs;
  s->on_end = on_session_end;
  s->on_parted = on_parted;
  if (ln_map_put(&f->by_id, fs->id, fs) == LN_OK) return fs;
  ln_session_end(s);
  return NULL;
}

struct ln_front_session *ln_front_session_new(struct ln_front_http *f, bool sse, struct ln_str id,
                                              const struct ln_msg *hello, struct ln_gate *gate) {
  if (f->draining) {
    *gate = (struct ln_gate){503, -32603, "Shutting down", NULL};
    return NULL;
  }
  struct ln_buf fresh;
  ln_buf_init(&fresh, LN_TICKET_MAX);
  int rc = id.p ? LN_OK : new_id(f, hello, &fresh);
  struct ln_front_session *fs = rc ? NULL : session_new(f, sse, id.p ? id : ln_buf_str(&fresh));
  ln_buf_deinit(&fresh);
  if (!fs)
    *gate =
        (struct ln_gate){503, -32603, "Too many sessions; try again later", "Retry-After: 10\r\n"};
  return fs;
}

struct ln_front_session *ln_front_session_find(struct ln_front_http *f, struct ln_str id,
                                               bool sse) {
  struct ln_front_session *fs = ln_map_get(&f->by_id, id);
  bool there = fs && fs->sse == sse && fs->session->state != LN_SESSION_GONE;
  return there ? fs : NULL;
}

/* --- pages --- */

static void page_health(struct ln_front_http *f, struct ln_http_request *r) {
  (void)f;
  ln_front_reply(r, 200, "text/plain", NULL, LN_STR_LIT("ok\n"));
}

static void page_ready(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_buf b;
  ln_buf_init(&b, 1 << 20);
  /* Who is asked by nobody for being down would stay down: the question is a reason to look. */
  for (size_t i = 0; i < f->host->gen->n_servers; i++) ln_link_probe(f->host->gen->servers[i]);
  bool ready = ln_front_ready(f->host, &b) && !f->draining;
  ln_front_reply(r, ready ? 200 : 503, "application/json", NULL, ln_buf_str(&b));
  ln_buf_deinit(&b);
}

static void page_metrics(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_buf b;
  ln_buf_init(&b, 1 << 20);
  if (ln_front_metrics(f->host, &b))
    ln_http_request_abort(r);
  else
    ln_front_reply(r, 200, "text/plain; version=0.0.4", NULL, ln_buf_str(&b));
  ln_buf_deinit(&b);
}

static const struct {
  const char *path;
  void (*serve)(struct ln_front_http *f, struct ln_http_request *r);
  bool read_only;
} pages[] = {
    {"/mcp", ln_front_mcp, false},    {"/mcp/", ln_front_mcp, false},
    {"/sse", ln_front_sse, false},    {"/messages", ln_front_messages, false},
    {"/healthz", page_health, true},  {"/readyz", page_ready, true},
    {"/metrics", page_metrics, true},
};

static void on_request(void *arg, struct ln_http_request *r) {
  struct ln_front_http *f = arg;
  r->data = NULL;
  struct ln_gate gate = ln_gate_origin(f, r->head);
  struct ln_str path = r->head->target;
  const char *query = path.p ? memchr(path.p, '?', path.n) : NULL;
  if (query) path.n = (size_t)(query - path.p);
  for (size_t i = 0; !gate.status && i < LN_COUNT(pages); i++) {
    if (!ln_str_is(path, pages[i].path)) continue;
    bool reads = ln_str_is(r->head->method, "GET") || ln_str_is(r->head->method, "HEAD");
    if (pages[i].read_only && !reads)
      gate = (struct ln_gate){405, -32600, "Only GET", "Allow: GET\r\n"};
    else
      pages[i].serve(f, r);
    if (!gate.status) return;
  }
  if (!gate.status)
    gate = (struct ln_gate){404, -32600, "Nothing here: the MCP endpoint is /mcp", NULL};
  ln_front_refuse(f, r, gate);
}

static void on_drain(void *arg, struct ln_http_request *r) {
  (void)arg;
  const struct ln_front_holder **holder = r->data;
  if (holder && (*holder)->drained) (*holder)->drained(holder);
}

static void on_done(void *arg, struct ln_http_request *r, bool gone) {
  (void)arg;
  (void)gone;
  const struct ln_front_holder **holder = r->data;
  if (holder) (*holder)->done(holder, r);
}

static const struct ln_http_server_ops server_ops = {on_request, on_drain, on_done};

/* --- life --- */

/* Somebody who listens is there; of the others those that do nothing are ended after their time. */
static void tick_session(struct ln_front_session *fs, uint64_t now) {
  struct ln_session *s = fs->session;
  uint64_t patience = s->host->settings.session_timeout_ms;
  LN_LIST_EACH(l, &fs->streams) ln_pipe_comment(LN_CONTAINER(l, struct ln_pipe, link));
  if (fs->get && fs->get->request && s->state != LN_SESSION_NEW)
    ln_pipe_comment(fs->get);
  else if (s->in_flight == 0 && now - s->last_used > patience)
    ln_session_end(s);
}

static uint64_t tick_ms(const struct ln_front_http *f) {
  uint64_t half = f->host->settings.session_timeout_ms / 2;
  return LN_MIN(LN_MAX(half, 1), (uint64_t)TICK_MS);
}

static void on_tick(struct ln_timer *t) {
  struct ln_front_http *f = LN_CONTAINER(t, struct ln_front_http, tick);
  uint64_t now = ln_loop_now(f->host->loop), ms = tick_ms(f);
  LN_LIST_EACH(l, &f->sessions) tick_session(LN_CONTAINER(l, struct ln_front_session, link), now);
  ln_pipe_tick(f, now, ms);
  ln_timer_start(f->host->loop, &f->tick, ms, on_tick);
}

int ln_front_http_start(struct ln_host *h, const char *host, uint16_t port,
                        struct ln_front_http **out, const char **why) {
  struct ln_front_http *f = calloc(1, sizeof *f);
  if (!f) {
    *why = "out of memory";
    return LN_ENOMEM;
  }
  f->host = h;
  ln_map_init(&f->by_id);
  ln_list_init(&f->sessions);
  ln_list_init(&f->waiting);
  ln_list_init(&f->finished);
  ln_timer_init(&f->tick);
  const struct ln_http_server_conf conf = {.host = host,
                                           .port = port,
                                           .max_body = h->settings.max_message_bytes,
                                           .max_connections = h->settings.max_connections};
  int rc = LN_ESYSTEM;
  *why = "no random numbers";
  if (getrandom(&f->epoch, sizeof f->epoch, 0) == (ssize_t)sizeof f->epoch &&
      ln_front_revive_init(f) == LN_OK)
    rc = ln_http_server_start(h->loop, &conf, &server_ops, f, &f->server, why);
  if (rc) {
    ln_front_revive_deinit(f);
    free(f);
    return rc;
  }
  ln_gate_init(f);
  ln_timer_start(h->loop, &f->tick, tick_ms(f), on_tick);
  *out = f;
  return LN_OK;
}

uint16_t ln_front_http_port(const struct ln_front_http *f) {
  return ln_http_server_port(f->server);
}

void ln_front_http_drain(struct ln_front_http *f) {
  f->draining = true;
  ln_http_server_drain(f->server);
}

void ln_front_http_hang_up(struct ln_front_http *f) {
  LN_LIST_EACH(l, &f->sessions) {
    struct ln_front_session *fs = LN_CONTAINER(l, struct ln_front_session, link);
    if (fs->get) ln_pipe_hang_up(fs->get);
  }
}

static void server_closed(void *arg) {
  struct ln_front_http *f = arg;
  void (*closed)(void *) = f->closed;
  void *closed_arg = f->closed_arg;
  ln_map_deinit(&f->by_id);
  ln_front_revive_deinit(f);
  free(f);
  closed(closed_arg);
}

void ln_front_http_close(struct ln_front_http *f, void (*closed)(void *arg), void *arg) {
  f->closed = closed;
  f->closed_arg = arg;
  ln_timer_stop(&f->tick);
  LN_LIST_EACH(l, &f->sessions)
  ln_session_end(LN_CONTAINER(l, struct ln_front_session, link)->session);
  ln_http_server_close(f->server, server_closed, f);
}
