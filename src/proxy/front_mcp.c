/* Streamable HTTP: POST answered by JSON or SSE, the listening GET, GET with Last-Event-ID to go on
 * with a stream, DELETE.
 *
 * A client that goes away in the middle of a POST has not cancelled anything. */
#include <inttypes.h>
#include <stdio.h>

#include "proxy/front_http.h"
#include "proxy/router.h"

/* The request's session, which may have to wait for its revival, and what it is called. NULL with
 * gate set. */
static struct ln_front_session *find(struct ln_front_http *f, const struct ln_http_head *head,
                                     struct ln_str *id, struct ln_gate *gate) {
  unsigned count;
  *id = ln_http_header(head, "mcp-session-id", &count);
  if (count != 1) {
    const char *why =
        count ? "Mcp-Session-Id is there twice" : "An Mcp-Session-Id header is needed";
    *gate = (struct ln_gate){400, -32600, why, NULL};
    return NULL;
  }
  struct ln_front_session *fs = ln_front_session_find(f, *id, false);
  if (!fs) *gate = (struct ln_gate){404, -32600, "There is no such session", NULL};
  return fs;
}

/* The request's session, ready to serve it. NULL with gate set. */
static struct ln_front_session *session_of(struct ln_front_http *f, struct ln_http_request *r,
                                           struct ln_gate *gate) {
  struct ln_str id;
  struct ln_front_session *fs = find(f, r->head, &id, gate);
  if (fs ? !fs->revival : gate->status != 404) return fs;
  ln_front_revive(f, r, id, fs, gate);
  return NULL;
}

/* --- POST --- */

static void post_batch(struct ln_front_http *f, struct ln_http_request *r, struct ln_str text,
                       struct ln_bytes *headers) {
  struct ln_msg_fault fault = {.code = -32600,
                               .text = "Batches are for protocol version 2025-03-26 only"};
  struct ln_json_info info;
  struct ln_json_limits limits = ln_parse_limits(f->host).json;
  if (ln_json_scan(text, &limits, &info)) {
    fault.code = -32700;
    snprintf(fault.text, sizeof fault.text, "Parse error at byte %zu", info.error_at);
    ln_front_reply_fault(r, 400, &fault);
    return;
  }
  /* Only now: a request that waits for its session has no other answer. */
  struct ln_gate gate = {0};
  struct ln_front_session *fs = session_of(f, r, &gate);
  if (gate.status && gate.status != 400) {
    ln_front_refuse(f, r, gate);
    return;
  }
  if (!fs || !ln_str_is(fs->session->version, "2025-03-26")) {
    ln_front_reply_fault(r, 400, &fault);
    return;
  }
  struct ln_pipe *p = ln_pipe_new(fs, r, LN_PIPE_POST);
  if (!p) {
    ln_http_request_abort(r);
    return;
  }
  size_t requests;
  ln_sink_ref(&p->sink);
  int rc = ln_batch_take(fs->session, r->body, text, &p->sink, headers, &requests, &fault);
  if (rc)
    ln_front_reply_fault(r, 400, &fault);
  else if (!requests)
    ln_front_reply(r, 202, NULL, NULL, LN_STR_NONE);
  ln_sink_unref(&p->sink);
}

static void post_message(struct ln_front_http *f, struct ln_http_request *r, struct ln_msg *m,
                         struct ln_bytes *headers) {
  unsigned has_id;
  ln_http_header(r->head, "mcp-session-id", &has_id);
  bool hello = m->kind == LN_MSG_REQUEST && ln_str_is(m->method, "initialize");
  struct ln_gate gate = ln_gate_routing(r->head, m);
  struct ln_front_session *fs = NULL;
  if (!gate.status && hello && has_id)
    gate = (struct ln_gate){400, -32600, "The session is initialized already", NULL};
  else if (!gate.status && hello)
    fs = ln_front_session_new(f, false, LN_STR_NONE, m, &gate);
  else if (!gate.status)
    fs = session_of(f, r, &gate);
  if (!gate.status) gate = ln_gate_id(fs->session, m);
  if (gate.status) {
    ln_front_refuse(f, r, gate);
    return;
  }
  if (m->kind != LN_MSG_REQUEST) {
    ln_router_from_client(fs->session, m, NULL, headers);
    ln_front_reply(r, 202, NULL, NULL, LN_STR_NONE);
    return;
  }
  struct ln_pipe *p = ln_pipe_new(fs, r, LN_PIPE_POST);
  if (!p) {
    ln_http_request_abort(r);
    return;
  }
  p->hello = hello;
  ln_pipe_answers(p, m->id);
  ln_router_from_client(fs->session, m, &p->sink, headers);
}

static void post(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_str text = ln_front_body(r);
  struct ln_bytes *headers = ln_front_headers(f, r);
  if (text.n && text.p[0] == '[') {
    post_batch(f, r, text, headers);
  } else {
    struct ln_msg *m = ln_front_message(f, r, text);
    if (m) post_message(f, r, m, headers);
    ln_msg_unref(m);
  }
  ln_bytes_unref(headers);
}

/* --- GET --- */

/* The listening stream, from here on or from where it was lost. */
static void listen_on(struct ln_front_session *fs, struct ln_http_request *r, bool resume,
                      uint64_t after) {
  struct ln_session *s = fs->session;
  int rc = LN_OK;
  if (resume && fs->get) {
    ln_pipe_resume(fs->get, r, after);
  } else {
    if (fs->get)
      ln_pipe_attach(fs->get, r);
    else if ((fs->get = ln_pipe_new(fs, r, LN_PIPE_GET)))
      ln_sink_ref(&fs->get->sink);
    rc = fs->get ? ln_pipe_begin(fs->get) : LN_ENOMEM;
  }
  if (rc)
    ln_http_request_abort(r);
  else
    ln_session_set_general(s, &fs->get->sink);
}

/* The stream was another process's, and so was the request: nobody will answer it. Its client is
 * told so, instead of waiting until it has had enough; once, the event's own id leads nowhere. */
static void tell_lost(struct ln_http_request *r, struct ln_replay_id id) {
  char text[192], name[LN_REPLAY_ID];
  int n =
      snprintf(text, sizeof text,
               "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu64
               ",\"error\":{\"code\":-32603,\"message\":"
               "\"Lunette was restarted meanwhile; whether this was carried out is not known\"}}",
               id.request);
  struct ln_iov part = {text, (size_t)n, NULL};
  id.asks = false;
  int rc = ln_http_sse_start(r, NULL);
  if (!rc) rc = ln_http_sse_send(r, ln_replay_id_write(id, name), &part, 1);
  if (rc && rc != LN_EFULL)
    ln_http_request_abort(r);
  else
    ln_http_sse_end(r);
}

/* A stream of a POST that ended, with all that it had to say, has nothing to come back for: 405 is
 * what makes clients give it up, where an empty stream would make them ask again and again. */
static void resume(struct ln_front_http *f, struct ln_front_session *fs, struct ln_http_request *r,
                   struct ln_str last_id) {
  const struct ln_gate over = {405, -32600, "This stream is over", "Allow: POST, GET, DELETE\r\n"};
  const struct ln_gate unknown = {400, -32600, "This is no event of the session", NULL};
  struct ln_replay_id id;
  if (!ln_replay_id_read(last_id, &id)) {
    ln_front_refuse(f, r, unknown);
    return;
  }
  bool ours = id.epoch == f->epoch;
  if (id.stream == 0) {
    bool known = ours && fs->get && id.number <= fs->get->replay.last;
    listen_on(fs, r, known, id.number);
    return;
  }
  struct ln_pipe *p = ours ? ln_pipe_find(fs, id.stream) : NULL;
  if (!ours && id.asks)
    tell_lost(r, id);
  else if (!p)
    ln_front_refuse(f, r, ours && id.stream > fs->next_stream ? unknown : over);
  else if (id.number > p->replay.last)
    ln_front_refuse(f, r, unknown);
  else if (p->finished && !ln_replay_after(&p->replay, id.number))
    ln_front_refuse(f, r, over);
  else
    ln_pipe_resume(p, r, id.number);
}

static void get(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_gate gate = {0};
  struct ln_front_session *fs = session_of(f, r, &gate);
  unsigned count;
  struct ln_str last_id = ln_http_header(r->head, "last-event-id", &count);
  if (fs && count > 1)
    gate = (struct ln_gate){400, -32600, "Last-Event-ID is there twice", NULL};
  else if (fs && !count && fs->get && fs->get->request)
    gate = (struct ln_gate){409, -32600, "The session has its GET stream already", NULL};
  if (gate.status) {
    ln_front_refuse(f, r, gate);
    return;
  }
  fs->session->last_used = ln_loop_now(f->host->loop);
  if (count)
    resume(f, fs, r, last_id);
  else
    listen_on(fs, r, false, 0);
}

/* What nobody has asked for since another process had it need not come back to be ended. */
static void delete_session(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_gate gate = {0};
  struct ln_str id;
  struct ln_front_session *fs = find(f, r->head, &id, &gate);
  if (!fs && !(gate.status == 404 && ln_front_revive_never(f, id))) {
    ln_front_refuse(f, r, gate);
    return;
  }
  if (fs) ln_session_end(fs->session);
  ln_front_reply(r, 200, NULL, NULL, LN_STR_NONE);
}

void ln_front_mcp(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_gate gate = ln_gate_mcp(r->head);
  if (!gate.status) gate = ln_gate_version(r->head);
  if (gate.status)
    ln_front_refuse(f, r, gate);
  else if (ln_str_is(r->head->method, "POST"))
    post(f, r);
  else if (ln_str_is(r->head->method, "GET"))
    get(f, r);
  else
    delete_session(f, r);
}
