/* Streamable HTTP; see streamable.h. */
#include "proxy/http/streamable.h"

#include <inttypes.h>
#include <stdio.h>

#include "proxy/entry/batch.h"
#include "proxy/entry/parse.h"
#include "proxy/http/check.h"
#include "proxy/http/incoming.h"
#include "proxy/http/respond.h"
#include "proxy/route/from_client.h"
#include "proxy/route/session_end.h"

static void refuse(const struct ln_restorer *rs, struct ln_http_request *r,
                   struct ln_refusal refusal) {
  ln_respond_refusal(rs->table->host->log, r, refusal);
}

/* The request's session (one being restored, too) and its id. NULL with refusal set. */
static struct ln_http_session *find(const struct ln_session_table *t,
                                    const struct ln_http_head *head, struct ln_str *id,
                                    struct ln_refusal *refusal) {
  unsigned count;
  *id = ln_http_header(head, "mcp-session-id", &count);
  if (count != 1) {
    const char *why =
        count ? "Mcp-Session-Id is there twice" : "An Mcp-Session-Id header is needed";
    *refusal = (struct ln_refusal){400, -32600, why, NULL};
    return NULL;
  }
  struct ln_http_session *hs = ln_session_table_find(t, *id, LN_HTTP_SESSION_STREAMABLE);
  if (!hs) *refusal = (struct ln_refusal){404, -32600, "There is no such session", NULL};
  return hs;
}

/* The request's session, ready to serve it. NULL with refusal set. */
static struct ln_http_session *session_of(struct ln_restorer *rs, struct ln_http_request *r,
                                          struct ln_refusal *refusal) {
  struct ln_str id;
  struct ln_http_session *hs = find(rs->table, r->head, &id, refusal);
  if (hs ? !hs->restore : refusal->status != 404) return hs;
  ln_restore_session(rs, r, id, hs, ln_streamable_serve, refusal);
  return NULL;
}

/* --- POST --- */

static void post_batch(struct ln_restorer *rs, struct ln_http_request *r, struct ln_str text,
                       struct ln_bytes *headers) {
  struct ln_msg_fault fault = {.code = -32600,
                               .text = "Batches are for protocol version 2025-03-26 only"};
  struct ln_json_info info;
  struct ln_json_limits limits = ln_parse_limits(rs->table->host).json;
  if (ln_json_scan(text, &limits, &info)) {
    fault.code = -32700;
    snprintf(fault.text, sizeof fault.text, "Parse error at byte %zu", info.error_at);
    ln_respond_fault(r, 400, &fault);
    return;
  }
  /* After the checks above: a request that waits for its session must not be answered here. */
  struct ln_refusal refusal = {0};
  struct ln_http_session *hs = session_of(rs, r, &refusal);
  if (refusal.status && refusal.status != 400) {
    refuse(rs, r, refusal);
    return;
  }
  if (!hs || !ln_str_is(hs->session->peer.version, "2025-03-26")) {
    ln_respond_fault(r, 400, &fault);
    return;
  }
  struct ln_client_stream *st = ln_client_stream_new(&hs->streams, r, LN_CLIENT_STREAM_POST);
  if (!st) {
    ln_http_request_abort(r);
    return;
  }
  size_t requests;
  ln_sink_ref(&st->sink);
  int rc = ln_batch_take(hs->session, r->body, text, &st->sink, headers, &requests, &fault);
  if (rc)
    ln_respond_fault(r, 400, &fault);
  else if (!requests)
    ln_respond_status(r, 202);
  ln_sink_unref(&st->sink);
}

static void post_message(struct ln_restorer *rs, struct ln_http_request *r, struct ln_msg *m,
                         struct ln_bytes *headers) {
  unsigned has_id = 0;
  bool init_request = m->kind == LN_MSG_REQUEST && ln_str_is(m->method, "initialize");
  if (init_request) ln_http_header(r->head, "mcp-session-id", &has_id);
  char why[LN_INITIALIZE_WHY];
  struct ln_refusal refusal = ln_check_routing(r->head, m);
  struct ln_http_session *hs = NULL;
  if (!refusal.status) refusal = ln_incoming_check_size(rs->table->host, m, why);
  if (!refusal.status && has_id)
    refusal = (struct ln_refusal){400, -32600, "The session is initialized already", NULL};
  else if (!refusal.status && init_request)
    hs = ln_session_table_add(rs->table, r, LN_HTTP_SESSION_STREAMABLE, LN_STR_NONE, m, &refusal);
  else if (!refusal.status)
    hs = session_of(rs, r, &refusal);
  if (!refusal.status) refusal = ln_incoming_check_id(hs->session, m);
  if (refusal.status) {
    refuse(rs, r, refusal);
    return;
  }
  if (m->kind != LN_MSG_REQUEST) {
    ln_from_client(hs->session, m, NULL, headers);
    ln_respond_status(r, 202);
    return;
  }
  struct ln_client_stream *st = ln_client_stream_new(&hs->streams, r, LN_CLIENT_STREAM_POST);
  if (!st) {
    ln_http_request_abort(r);
    return;
  }
  st->init_request = init_request;
  ln_client_stream_set_request_id(st, m->id);
  ln_from_client(hs->session, m, &st->sink, headers);
}

static void post(struct ln_restorer *rs, struct ln_http_request *r) {
  struct ln_str text = ln_incoming_text(r);
  struct ln_bytes *headers = ln_incoming_headers(rs->table->host, r);
  if (text.n && text.p[0] == '[') {
    post_batch(rs, r, text, headers);
  } else {
    struct ln_msg *m = ln_incoming_message(rs->table->host, r, text);
    if (m) post_message(rs, r, m, headers);
    ln_msg_unref(m);
  }
  ln_bytes_unref(headers);
}

/* --- GET --- */

/* The listening stream: from now on, or resumed after that event. */
static void listen_on(struct ln_http_session *hs, struct ln_http_request *r, bool resume,
                      uint64_t after) {
  struct ln_client_stream *st = hs->streams.listening;
  int rc = LN_OK;
  if (resume && st) {
    ln_client_stream_resume(st, r, after);
  } else {
    if (st)
      ln_client_stream_attach(st, r);
    else if ((st = ln_client_stream_new(&hs->streams, r, LN_CLIENT_STREAM_GET)))
      ln_client_stream_listen(st);
    rc = st ? ln_client_stream_begin(st) : LN_ENOMEM;
  }
  if (rc)
    ln_http_request_abort(r);
  else
    ln_outbox_set_general(&hs->session->outbox, &st->sink);
}

/* The stream is of another process, which will not answer its request any more: the client gets an
 * error at once. The id of that event names no request, so that this happens once. */
static void answer_lost_request(struct ln_http_request *r, struct ln_replay_id id) {
  char text[192], name[LN_REPLAY_ID];
  int n =
      snprintf(text, sizeof text,
               "{\"jsonrpc\":\"2.0\",\"id\":%" PRIu64
               ",\"error\":{\"code\":-32603,\"message\":"
               "\"Lunette was restarted meanwhile; whether this was carried out is not known\"}}",
               id.request);
  struct ln_iov part = {text, (size_t)n, NULL};
  id.has_request = false;
  int rc = ln_http_sse_start(r, NULL);
  if (!rc) rc = ln_http_sse_send(r, ln_replay_id_write(id, name), &part, 1);
  if (rc && rc != LN_EFULL)
    ln_http_request_abort(r);
  else
    ln_http_sse_end(r);
}

/* A stream of a POST that has ended and sent everything is answered with 405: clients give it up
 * then, while they would try to resume an empty stream again and again. */
static void resume(struct ln_restorer *rs, struct ln_http_session *hs, struct ln_http_request *r,
                   struct ln_str last_id) {
  const struct ln_refusal over = {405, -32600, "This stream is over",
                                  "Allow: POST, GET, DELETE\r\n"};
  const struct ln_refusal unknown = {400, -32600, "This is no event of the session", NULL};
  struct ln_replay_id id;
  if (!ln_replay_id_read(last_id, &id)) {
    refuse(rs, r, unknown);
    return;
  }
  const struct ln_client_stream *listening = hs->streams.listening;
  bool ours = id.epoch == rs->table->streams.epoch;
  if (id.stream == 0) {
    bool known = ours && listening && id.number <= listening->replay.last;
    listen_on(hs, r, known, id.number);
    return;
  }
  struct ln_client_stream *st = ours ? ln_client_stream_find(&hs->streams, id.stream) : NULL;
  if (!ours && id.has_request)
    answer_lost_request(r, id);
  else if (!st)
    refuse(rs, r, ours && id.stream > hs->streams.last_number ? unknown : over);
  else if (id.number > st->replay.last)
    refuse(rs, r, unknown);
  else if (st->finished && !ln_replay_after(&st->replay, id.number))
    refuse(rs, r, over);
  else
    ln_client_stream_resume(st, r, id.number);
}

static void get(struct ln_restorer *rs, struct ln_http_request *r) {
  struct ln_refusal refusal = {0};
  struct ln_http_session *hs = session_of(rs, r, &refusal);
  unsigned count;
  struct ln_str last_id = ln_http_header(r->head, "last-event-id", &count);
  if (hs && count > 1)
    refusal = (struct ln_refusal){400, -32600, "Last-Event-ID is there twice", NULL};
  else if (hs && !count && hs->streams.listening && hs->streams.listening->request)
    refusal = (struct ln_refusal){409, -32600, "The session has its GET stream already", NULL};
  if (refusal.status) {
    refuse(rs, r, refusal);
    return;
  }
  hs->session->last_used = ln_loop_now(rs->table->host->loop);
  if (count)
    resume(rs, hs, r, last_id);
  else
    listen_on(hs, r, false, 0);
}

/* A session of another process that was not restored yet is ended without that. */
static void delete_session(struct ln_restorer *rs, struct ln_http_request *r) {
  struct ln_refusal refusal = {0};
  struct ln_str id;
  struct ln_http_session *hs = find(rs->table, r->head, &id, &refusal);
  if (!hs && !(refusal.status == 404 && ln_restore_end(rs, id))) {
    refuse(rs, r, refusal);
    return;
  }
  if (hs) ln_session_end(hs->session);
  ln_respond_status(r, 200);
}

void ln_streamable_serve(struct ln_restorer *rs, struct ln_http_request *r) {
  struct ln_refusal refusal = ln_check_mcp(r->head);
  if (!refusal.status) refusal = ln_check_version(r->head);
  if (refusal.status)
    refuse(rs, r, refusal);
  else if (ln_str_is(r->head->method, "POST"))
    post(rs, r);
  else if (ln_str_is(r->head->method, "GET"))
    get(rs, r);
  else
    delete_session(rs, r);
}
