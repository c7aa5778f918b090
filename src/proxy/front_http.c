/* Streamable HTTP for clients: sessions, POST answered by JSON or SSE, the GET stream, DELETE.
 *
 * A POST's reply is decided by what comes first: its response (then plain JSON) or anything else
 * (then SSE). A client that goes away in the middle has not cancelled anything. */
#include "proxy/front_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proxy/router.h"

enum { TICK_MS = 15000 };

struct ln_front_http {
  struct ln_host *host;
  struct ln_http_server *server;
  struct ln_map sessions; /* by id; values are sessions, each with one reference of ours */
  struct ln_timer tick;   /* keep-alive comments, idle sessions */
  bool loopback, draining;
  void (*closed)(void *arg);
  void *closed_arg;
};

/* One HTTP request under way: a POST that waits for its response, or a GET stream. */
struct pipe {
  struct ln_sink sink; /* one reference is the request's */
  struct ln_front_http *front;
  struct ln_http_request *request; /* NULL: the client has gone */
  struct ln_session *session;      /* counted */
  bool stream;                     /* SSE has begun */
  bool get;
  bool hello; /* answers initialize: names the session */
  bool clogged;
};

/* --- replies ---------------------------------------------------------------------------------- */

static void reply_bytes(struct ln_http_request *r, int status, const char *type,
                        const char *headers, struct ln_str body) {
  struct ln_iov part = {body.p, body.n, NULL};
  int rc = ln_http_reply(r, status, type, headers, &part, body.n ? 1 : 0);
  if (rc) ln_http_request_abort(r);
}

static void reply_fault(struct ln_http_request *r, int status, struct ln_msg_fault *fault,
                        const char *headers) {
  struct ln_bytes *text = ln_front_fault(fault);
  reply_bytes(r, status, "application/json", headers,
              text ? (struct ln_str){text->data, text->len} : LN_STR_LIT("{}"));
  ln_bytes_unref(text);
}

static void refuse(struct ln_front_http *f, struct ln_http_request *r, struct ln_gate g) {
  struct ln_msg_fault fault = {.code = g.code};
  snprintf(fault.text, sizeof fault.text, "%s", g.why);
  LN_LOG(f->host->log, WARN, "http", "refused with %d: %s", g.status, g.why);
  reply_fault(r, g.status, &fault, g.headers);
}

/* --- pipes -------------------------------------------------------------------------------------
 */

static const char *session_header(const struct pipe *p, char *line, size_t max) {
  if (!p->hello) return NULL;
  snprintf(line, max, "Mcp-Session-Id: %s\r\n", p->session->id);
  return line;
}

static int pipe_stream(struct pipe *p) {
  if (p->stream) return LN_OK;
  char line[80];
  p->stream = true;
  return ln_http_sse_start(p->request, session_header(p, line, sizeof line));
}

static int pipe_event(struct pipe *p, const struct ln_out *out) {
  struct ln_out flat = *out;
  int rc = pipe_stream(p);
  bool copy = !rc && out->msg && out->msg->newlines && !out->flat;
  if (copy) rc = ln_out_finish(&flat, true);
  if (!rc) rc = ln_http_sse_send(p->request, LN_STR_NONE, flat.parts, flat.n);
  if (copy) ln_out_deinit(&flat);
  return rc;
}

static int pipe_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  struct pipe *p = LN_CONTAINER(s, struct pipe, sink);
  if (!p->request) return LN_ECLOSED;
  int rc;
  if (final && !p->stream && !p->get) {
    char line[80];
    bool named = p->session->state != LN_SESSION_NEW; /* not when initialize was refused */
    rc = ln_http_reply(p->request, 200, "application/json",
                       named ? session_header(p, line, sizeof line) : NULL, out->parts, out->n);
  } else {
    rc = pipe_event(p, out);
    if (final && (rc == LN_OK || rc == LN_EFULL)) ln_http_sse_end(p->request);
  }
  if (rc == LN_EFULL) {
    if (p->clogged) return LN_OK;
    p->clogged = true;
  } else if (rc) {
    ln_http_request_abort(p->request);
  }
  return rc;
}

static void pipe_give_up(struct ln_sink *s) {
  struct pipe *p = LN_CONTAINER(s, struct pipe, sink);
  if (!p->request || p->get) return;
  if (pipe_stream(p) == LN_OK)
    ln_http_sse_end(p->request);
  else
    ln_http_request_abort(p->request);
}

static void pipe_free(struct ln_sink *s) {
  struct pipe *p = LN_CONTAINER(s, struct pipe, sink);
  ln_session_unref(p->session);
  free(p);
}

static const struct ln_sink_ops pipe_ops = {pipe_send, pipe_give_up, pipe_free};

static struct pipe *pipe_new(struct ln_front_http *f, struct ln_http_request *r,
                             struct ln_session *s) {
  struct pipe *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->sink = (struct ln_sink){&pipe_ops, 1, false};
  p->front = f;
  p->request = r;
  p->session = ln_session_ref(s);
  r->data = p;
  return p;
}

static void on_drain(void *arg, struct ln_http_request *r) {
  (void)arg;
  struct pipe *p = r->data;
  if (!p || !p->clogged) return;
  p->clogged = false;
  ln_session_drained(p->session);
}

static void on_done(void *arg, struct ln_http_request *r, bool gone) {
  (void)arg;
  (void)gone;
  struct pipe *p = r->data;
  if (!p) return;
  p->request = NULL;
  if (p->clogged) {
    p->clogged = false;
    ln_session_drained(p->session);
  }
  struct ln_session *s = p->session;
  if (s->general == &p->sink) ln_session_set_general(s, NULL);
  /* initialize failed: there is no session. */
  if (p->hello && s->state == LN_SESSION_NEW) ln_session_end(s);
  ln_sink_unref(&p->sink);
}

/* --- sessions ------------------------------------------------------------------------------------
 */

static bool new_id(char *id, size_t max) {
  unsigned char raw[16];
  if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw) return false;
  for (size_t i = 0; i < sizeof raw; i++) snprintf(id + 2 * i, max - 2 * i, "%02x", raw[i]);
  return true;
}

static void on_session_end(struct ln_session *s, void *arg) {
  struct ln_front_http *f = arg;
  ln_map_remove(&f->sessions, ln_str_c(s->id));
  ln_session_unref(s);
}

static struct ln_session *session_new(struct ln_front_http *f) {
  char id[40];
  if (!new_id(id, sizeof id)) return NULL;
  struct ln_session *s = ln_session_new(f->host, "http", id);
  if (!s) return NULL;
  s->front = f;
  s->on_end = on_session_end;
  if (ln_map_put(&f->sessions, ln_str_c(s->id), s)) {
    s->on_end = NULL;
    ln_session_end(s);
    ln_session_unref(s);
    return NULL;
  }
  return s;
}

/* The request's session. NULL with gate set. */
static struct ln_session *session_of(struct ln_front_http *f, const struct ln_http_head *head,
                                     struct ln_gate *gate) {
  unsigned count;
  struct ln_str id = ln_http_header(head, "mcp-session-id", &count);
  if (count != 1) {
    *gate = (struct ln_gate){400, -32600, "An Mcp-Session-Id header is needed", NULL};
    return NULL;
  }
  struct ln_session *s = ln_map_get(&f->sessions, id);
  if (!s || s->state == LN_SESSION_GONE)
    *gate = (struct ln_gate){404, -32600, "There is no such session", NULL};
  return s;
}

/* --- POST
 * ------------------------------------------------------------------------------------------ */

static void post_batch(struct ln_front_http *f, struct ln_http_request *r, struct ln_session *s,
                       struct ln_str text, struct ln_bytes *headers) {
  struct ln_msg_fault fault = {.code = -32600,
                               .text = "Batches are for protocol version 2025-03-26 only"};
  struct ln_json_info info;
  struct ln_json_limits limits = ln_front_limits(f->host).json;
  if (ln_json_scan(text, &limits, &info)) {
    fault.code = -32700;
    snprintf(fault.text, sizeof fault.text, "Parse error at byte %zu", info.error_at);
  }
  if (fault.code == -32700 || !s || !ln_str_is(s->version, "2025-03-26")) {
    reply_fault(r, 400, &fault, NULL);
    return;
  }
  struct pipe *p = pipe_new(f, r, s);
  if (!p) {
    ln_http_request_abort(r);
    return;
  }
  size_t requests;
  ln_sink_ref(&p->sink);
  int rc = ln_front_batch(s, r->body, text, &p->sink, headers, &requests, &fault);
  if (rc)
    reply_fault(r, 400, &fault, NULL);
  else if (!requests)
    reply_bytes(r, 202, NULL, NULL, LN_STR_NONE);
  ln_sink_unref(&p->sink);
}

static void post_message(struct ln_front_http *f, struct ln_http_request *r, struct ln_msg *m,
                         struct ln_bytes *headers) {
  unsigned has_id;
  ln_http_header(r->head, "mcp-session-id", &has_id);
  bool hello = m->kind == LN_MSG_REQUEST && ln_str_is(m->method, "initialize");
  struct ln_gate gate = ln_gate_routing(r->head, m);
  struct ln_session *s = NULL;
  if (!gate.status && hello && has_id)
    gate = (struct ln_gate){400, -32600, "The session is initialized already", NULL};
  else if (!gate.status && hello && f->draining)
    gate = (struct ln_gate){503, -32603, "Shutting down", NULL};
  else if (!gate.status && !hello)
    s = session_of(f, r->head, &gate);
  if (!gate.status && hello && !(s = session_new(f)))
    gate =
        (struct ln_gate){503, -32603, "Too many sessions; try again later", "Retry-After: 10\r\n"};
  if (gate.status) {
    refuse(f, r, gate);
    return;
  }
  if (m->kind != LN_MSG_REQUEST) {
    ln_router_from_client(s, m, NULL, headers);
    reply_bytes(r, 202, NULL, NULL, LN_STR_NONE);
    return;
  }
  struct pipe *p = pipe_new(f, r, s);
  if (!p) {
    ln_http_request_abort(r);
    return;
  }
  p->hello = hello;
  ln_router_from_client(s, m, &p->sink, headers);
}

/* Only policies look at headers. */
static bool wants_headers(const struct ln_generation *g) {
  bool wants = g->decls->n_hooks || g->decls->n_components;
  for (int k = 0; k < LN_KINDS; k++) wants |= ln_policy_per_client(g->policy, (enum ln_kind)k);
  return wants;
}

static void post(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_str text = LN_STR_NONE;
  if (r->body) text = ln_json_trim((struct ln_str){r->body->data, r->body->len});
  struct ln_bytes *headers = wants_headers(f->host->gen) ? ln_gate_headers(r->head) : NULL;
  struct ln_msg_limits limits = ln_front_limits(f->host);
  struct ln_msg_fault fault = {.code = -32700, .text = "Parse error: the body is empty"};
  if (text.n && text.p[0] == '[') {
    struct ln_gate gate = {0};
    post_batch(f, r, session_of(f, r->head, &gate), text, headers);
  } else {
    struct ln_msg *m = NULL;
    if (!text.n || ln_msg_parse(r->body, text, &limits, &m, &fault)) {
      LN_LOG(f->host->log, WARN, "http", "refused a message: %s", fault.text);
      reply_fault(r, 400, &fault, NULL);
    } else {
      post_message(f, r, m, headers);
    }
    ln_msg_unref(m);
  }
  ln_bytes_unref(headers);
}

/* --- GET and DELETE
 * ---------------------------------------------------------------------------------- */

static void get(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_gate gate = {0};
  struct ln_session *s = session_of(f, r->head, &gate);
  if (s && s->general)
    gate = (struct ln_gate){409, -32600, "The session has its GET stream already", NULL};
  if (gate.status) {
    refuse(f, r, gate);
    return;
  }
  struct pipe *p = pipe_new(f, r, s);
  if (!p) {
    ln_http_request_abort(r);
    return;
  }
  p->get = true;
  p->sink.one_line = true;
  s->last_used = ln_loop_now(f->host->loop);
  if (pipe_stream(p))
    ln_http_request_abort(r);
  else
    ln_session_set_general(s, &p->sink);
}

/* Ends the streams of a session before it goes, so that its client hears of it. */
static void session_over(struct ln_session *s) {
  struct pipe *get = s->general ? LN_CONTAINER(s->general, struct pipe, sink) : NULL;
  if (get && get->request) ln_http_sse_end(get->request);
  ln_session_end(s);
}

static void delete_session(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_gate gate = {0};
  struct ln_session *s = session_of(f, r->head, &gate);
  if (gate.status) {
    refuse(f, r, gate);
    return;
  }
  session_over(s);
  reply_bytes(r, 200, NULL, NULL, LN_STR_NONE);
}

/* --- pages
 * --------------------------------------------------------------------------------------------- */

static void page_health(struct ln_front_http *f, struct ln_http_request *r) {
  (void)f;
  reply_bytes(r, 200, "text/plain", NULL, LN_STR_LIT("ok\n"));
}

static void page_ready(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_buf b;
  ln_buf_init(&b, 1 << 20);
  bool ready = ln_front_ready(f->host, &b) && !f->draining;
  reply_bytes(r, ready ? 200 : 503, "application/json", NULL, ln_buf_str(&b));
  ln_buf_deinit(&b);
}

static void page_metrics(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_buf b;
  ln_buf_init(&b, 1 << 20);
  if (ln_front_metrics(f->host, &b))
    ln_http_request_abort(r);
  else
    reply_bytes(r, 200, "text/plain; version=0.0.4", NULL, ln_buf_str(&b));
  ln_buf_deinit(&b);
}

static void page_mcp(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_gate gate = ln_gate_mcp(r->head);
  if (!gate.status) gate = ln_gate_version(r->head);
  if (gate.status)
    refuse(f, r, gate);
  else if (ln_str_is(r->head->method, "POST"))
    post(f, r);
  else if (ln_str_is(r->head->method, "GET"))
    get(f, r);
  else
    delete_session(f, r);
}

static const struct {
  const char *path;
  void (*serve)(struct ln_front_http *f, struct ln_http_request *r);
  bool read_only;
} pages[] = {
    {"/mcp", page_mcp, false},
    {"/healthz", page_health, true},
    {"/readyz", page_ready, true},
    {"/metrics", page_metrics, true},
};

static void on_request(void *arg, struct ln_http_request *r) {
  struct ln_front_http *f = arg;
  r->data = NULL;
  struct ln_gate gate = ln_gate_origin(r->head, f->loopback);
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
  refuse(f, r, gate);
}

static const struct ln_http_server_ops server_ops = {on_request, on_drain, on_done};

/* --- life
 * ------------------------------------------------------------------------------------------------
 */

static void on_tick(struct ln_timer *t) {
  struct ln_front_http *f = LN_CONTAINER(t, struct ln_front_http, tick);
  uint64_t now = ln_loop_now(f->host->loop);
  LN_LIST_EACH(l, &f->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (s->front != f) continue;
    struct pipe *get = s->general ? LN_CONTAINER(s->general, struct pipe, sink) : NULL;
    if (get && get->request) {
      if (ln_http_sse_comment(get->request)) ln_http_request_abort(get->request);
    } else if (s->in_flight == 0 && now - s->last_used > f->host->settings.session_timeout_ms) {
      session_over(s);
    }
  }
  ln_timer_start(f->host->loop, &f->tick, TICK_MS, on_tick);
}

int ln_front_http_start(struct ln_host *h, const char *host, uint16_t port,
                        struct ln_front_http **out, const char **why) {
  struct ln_front_http *f = calloc(1, sizeof *f);
  if (!f) {
    *why = "out of memory";
    return LN_ENOMEM;
  }
  f->host = h;
  f->loopback = strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
  ln_map_init(&f->sessions);
  ln_timer_init(&f->tick);
  const struct ln_http_server_conf conf = {.host = host,
                                           .port = port,
                                           .max_body = h->settings.max_message_bytes,
                                           .max_connections = h->settings.max_connections};
  int rc = ln_http_server_start(h->loop, &conf, &server_ops, f, &f->server, why);
  if (rc) {
    free(f);
    return rc;
  }
  ln_timer_start(h->loop, &f->tick, TICK_MS, on_tick);
  *out = f;
  return LN_OK;
}

uint16_t ln_front_http_port(const struct ln_front_http *f) {
  return ln_http_server_port(f->server);
}

void ln_front_http_drain(struct ln_front_http *f) {
  f->draining = true;
  /* A GET stream would keep its connection for ever. */
  LN_LIST_EACH(l, &f->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    struct pipe *get =
        s->front == f && s->general ? LN_CONTAINER(s->general, struct pipe, sink) : NULL;
    if (get && get->request) ln_http_sse_end(get->request);
  }
  ln_http_server_drain(f->server);
}

static void server_closed(void *arg) {
  struct ln_front_http *f = arg;
  void (*closed)(void *) = f->closed;
  void *closed_arg = f->closed_arg;
  ln_map_deinit(&f->sessions);
  free(f);
  closed(closed_arg);
}

void ln_front_http_close(struct ln_front_http *f, void (*closed)(void *arg), void *arg) {
  f->closed = closed;
  f->closed_arg = arg;
  ln_timer_stop(&f->tick);
  LN_LIST_EACH(l, &f->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (s->front == f) ln_session_end(s);
  }
  ln_http_server_close(f->server, server_closed, f);
}
