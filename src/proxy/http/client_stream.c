/* Sinks of the HTTP front; see client_stream.h. A stream has a number, its events have ids, and it
 * outlives its connection: messages are kept meanwhile, and the client fetches them by a GET with
 * Last-Event-ID. */
#include "proxy/http/client_stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/http/check.h"
#include "proxy/http/session_id.h"
#include "proxy/route/session_end.h"

/* Its session's streams; NULL: the session has ended. */
static struct ln_session_streams *streams_of(const struct ln_client_stream *st) {
  return st->session->front ? st->of : NULL;
}

static void tell_drained(struct ln_client_stream *st) {
  if (!st->full) return;
  st->full = false;
  ln_outbox_drained(&st->session->outbox);
}

/* Whether the client accepts an event with an id and no data, by which it can resume a stream that
 * has sent nothing else (2025-11-25). Older clients take the empty data for a message. */
static bool is_resumable(const struct ln_session *s) {
  static const char since[] = "2025-11-25";
  return s->peer.version.n == sizeof since - 1 &&
         memcmp(s->peer.version.p, since, sizeof since - 1) >= 0;
}

void ln_client_stream_init_all(struct ln_client_streams *all, struct ln_loop *loop,
                               uint32_t epoch) {
  *all = (struct ln_client_streams){.loop = loop, .epoch = epoch};
  ln_list_init(&all->waiting);
  ln_list_init(&all->finished);
}

void ln_client_stream_init_session(struct ln_session_streams *of, struct ln_client_streams *all,
                                   struct ln_session *session, struct ln_str session_id) {
  *of = (struct ln_session_streams){.all = all, .session = session, .session_id = session_id};
  ln_list_init(&of->posts);
}

/* --- kept streams --- */

static void drop(struct ln_session_streams *of, struct ln_client_stream *st) {
  if (st->finished) of->n_finished--;
  ln_list_remove(&st->link);
  ln_list_remove(&st->finished_link);
  ln_replay_deinit(&st->replay);
  ln_sink_unref(&st->sink);
}

void ln_client_stream_end_session(struct ln_session_streams *of) {
  if (of->listening) {
    ln_client_stream_end_response(of->listening);
    drop(of, of->listening);
  }
  LN_LIST_EACH(l, &of->posts) drop(of, LN_CONTAINER(l, struct ln_client_stream, link));
}

struct ln_client_stream *ln_client_stream_find(const struct ln_session_streams *of,
                                               uint32_t number) {
  LN_LIST_EACH(l, &of->posts) {
    struct ln_client_stream *st = LN_CONTAINER(l, struct ln_client_stream, link);
    if (st->number == number) return st;
  }
  return NULL;
}

static void add_to_session(struct ln_client_stream *st) {
  struct ln_session_streams *of = streams_of(st);
  ln_list_remove(&st->link);
  if (!of) return;
  st->number = ++of->last_number;
  ln_sink_ref(&st->sink);
  ln_list_push(&of->posts, &st->link);
}

static void drop_oldest_finished(struct ln_session_streams *of) {
  LN_LIST_EACH(l, &of->posts) {
    struct ln_client_stream *st = LN_CONTAINER(l, struct ln_client_stream, link);
    if (!st->finished) continue;
    drop(of, st);
    return;
  }
}

static void finish(struct ln_client_stream *st) {
  struct ln_session_streams *of = streams_of(st);
  if (st->finished) return;
  st->finished = true;
  st->since = ln_loop_now(st->all->loop);
  if (!st->number || !of) {
    ln_list_remove(&st->link);
    return;
  }
  ln_list_push(&st->all->finished, &st->finished_link);
  if (++of->n_finished > LN_REPLAY_FINISHED) drop_oldest_finished(of);
}

/* The oldest ended stream of the peer that keeps most; NULL: it has none. */
static struct ln_client_stream *first_to_go(const struct ln_client_streams *all,
                                            const struct ln_account *most) {
  LN_LIST_EACH(l, &all->finished) {
    struct ln_client_stream *st = LN_CONTAINER(l, struct ln_client_stream, finished_link);
    if (st->session->account == most) return st;
  }
  return NULL;
}

/* Drops ended streams of the peer that keeps most, the oldest first; where that is this stream's
 * and has no more, this stream's events, but for one not sent yet. */
static void make_room(struct ln_client_stream *st) {
  struct ln_client_streams *all = st->all;
  struct ln_account *own = st->session->account, *most = NULL;
  while (all->replay_bytes > LN_REPLAY_TOTAL) {
    most = own ? ln_ledger_heaviest(own->ledger, LN_SHORT_REPLAY, own) : NULL;
    struct ln_client_stream *oldest = first_to_go(all, most);
    if (!oldest) break;
    drop(streams_of(oldest), oldest);
  }
  if (all->replay_bytes > LN_REPLAY_TOTAL && most == own)
    ln_replay_trim(&st->replay, st->request ? 0 : 1);
}

void ln_client_stream_tick_all(struct ln_client_streams *all, uint64_t now, uint64_t patience_ms) {
  LN_LIST_EACH(l, &all->finished) {
    struct ln_client_stream *st = LN_CONTAINER(l, struct ln_client_stream, finished_link);
    if (now - st->since < LN_REPLAY_KEEP_MS) break;
    drop(streams_of(st), st);
  }
  /* When the connection breaks, a stream can be resumed, a wait for plain JSON can't. */
  LN_LIST_EACH(l, &all->waiting) {
    struct ln_client_stream *st = LN_CONTAINER(l, struct ln_client_stream, link);
    if (now - st->since < patience_ms) break;
    if (st->init_request || !is_resumable(st->session)) continue;
    if (st->request && ln_client_stream_begin(st)) ln_http_request_abort(st->request);
  }
}

/* --- its connection --- */

enum { LINE = LN_SESSION_ID_MAX + 32 };

static const char *session_header(const struct ln_client_stream *st, char line[LINE]) {
  const struct ln_session_streams *of = streams_of(st);
  if (!st->init_request || !of) return NULL;
  snprintf(line, LINE, "Mcp-Session-Id: %.*s\r\n", LN_STR_ARG(of->session_id));
  return line;
}

static struct ln_str id_of(const struct ln_client_stream *st, uint64_t number,
                           char text[LN_REPLAY_ID]) {
  if (!st->number && st->kind == LN_CLIENT_STREAM_POST) return LN_STR_NONE;
  const struct ln_replay_id id = {st->all->epoch, st->number, number, st->has_request_id,
                                  st->request_id};
  return ln_replay_id_write(id, text);
}

/* Up to 15 digits, which every client's numbers can hold exactly. */
void ln_client_stream_set_request_id(struct ln_client_stream *st, struct ln_str request_id) {
  int64_t n;
  st->has_request_id = request_id.n <= 15 && ln_json_int(request_id, &n) && n >= 0;
  st->request_id = st->has_request_id ? (uint64_t)n : 0;
}

int ln_client_stream_begin(struct ln_client_stream *st) {
  char line[LINE], id[LN_REPLAY_ID];
  if (st->streaming) return LN_OK;
  st->streaming = true;
  int rc = ln_http_sse_start(st->request, session_header(st, line));
  if (rc) return rc;
  if (!st->is_stream && st->kind == LN_CLIENT_STREAM_POST) add_to_session(st);
  st->is_stream = true;
  if (st->kind == LN_CLIENT_STREAM_SSE || !is_resumable(st->session)) return LN_OK;
  struct ln_str last = id_of(st, st->replay.last, id);
  return last.p ? ln_http_sse_send(st->request, last, NULL, 0) : LN_OK;
}

/* Takes the stream off its HTTP request, which ends. */
static void detach(struct ln_client_stream *st) {
  struct ln_http_request *r = st->request;
  r->data = NULL;
  st->request = NULL;
  st->streaming = false;
  tell_drained(st);
  ln_http_sse_end(r);
  ln_sink_unref(&st->sink);
}

void ln_client_stream_attach(struct ln_client_stream *st, struct ln_http_request *r) {
  ln_sink_ref(&st->sink);
  if (st->request) detach(st);
  st->request = r;
  r->data = st;
}

void ln_client_stream_resume(struct ln_client_stream *st, struct ln_http_request *r,
                             uint64_t after) {
  char id[LN_REPLAY_ID];
  ln_client_stream_attach(st, r);
  st->streaming = true;
  int rc = ln_http_sse_start(r, NULL);
  const struct ln_replay_event *e = ln_replay_after(&st->replay, after);
  for (; e && (rc == LN_OK || rc == LN_EFULL); e = ln_replay_next(&st->replay, e))
    rc = ln_http_sse_send(r, id_of(st, e->number, id), e->parts, e->n_parts);
  if (rc && rc != LN_EFULL)
    ln_http_request_abort(r);
  else if (st->finished)
    ln_http_sse_end(r);
}

static void stream_drained(void *holder) {
  tell_drained(holder);
}

static void stream_done(void *holder, struct ln_http_request *r) {
  struct ln_client_stream *st = holder;
  struct ln_session *s = st->session;
  if (st->request != r) return;
  st->request = NULL;
  st->streaming = false;
  tell_drained(st);
  if (!st->is_stream) ln_list_remove(&st->link);
  if (s->outbox.general == &st->sink) ln_outbox_set_general(&s->outbox, NULL);
  /* When initialize failed, the session ends. */
  if (st->kind == LN_CLIENT_STREAM_SSE || (st->init_request && s->state == LN_SESSION_NEW))
    ln_session_end(s);
  ln_sink_unref(&st->sink);
}

static const struct ln_http_holder stream_holder = {stream_drained, stream_done};

void ln_client_stream_keep_alive(struct ln_client_stream *st) {
  if (!st->request || !st->streaming || st->finished) return;
  int rc = ln_http_sse_comment(st->request);
  if (rc && rc != LN_EFULL) ln_http_request_abort(st->request);
}

void ln_client_stream_end_response(struct ln_client_stream *st) {
  if (st->request) ln_http_sse_end(st->request);
}

/* --- as a sink --- */

/* Keeps the event, and sends it if there is a connection. */
static int send_numbered(struct ln_client_stream *st, const struct ln_out *out) {
  char text[LN_REPLAY_ID];
  struct ln_str id = id_of(st, st->replay.last + 1, text);
  bool droppable = out->msg && out->msg->kind == LN_MSG_NOTIFICATION;
  int kept = LN_ECLOSED, rc = LN_ECLOSED;
  if (id.p) kept = ln_replay_add(&st->replay, out->parts, out->n, droppable);
  if (st->request) rc = ln_http_sse_send(st->request, id, out->parts, out->n);
  if (rc && rc != LN_EFULL && st->request) ln_http_request_abort(st->request);
  if (!kept) make_room(st);
  return rc == LN_OK || rc == LN_EFULL ? rc : kept;
}

static int send_event(struct ln_client_stream *st, const struct ln_out *out) {
  struct ln_out flat = *out;
  bool copy = out->msg && out->msg->newlines && !out->flat;
  int rc = copy ? ln_out_finish(&flat, true) : LN_OK;
  if (!rc && st->request) rc = ln_client_stream_begin(st);
  if (rc && rc != LN_EFULL) {
    if (st->request) ln_http_request_abort(st->request);
  } else if (st->kind != LN_CLIENT_STREAM_SSE) {
    rc = send_numbered(st, &flat);
  } else if (st->request) {
    rc = ln_http_sse_event(st->request, LN_STR_LIT("message"), LN_STR_NONE, flat.parts, flat.n);
    if (rc && rc != LN_EFULL) ln_http_request_abort(st->request);
  } else {
    rc = LN_ECLOSED;
  }
  if (copy) ln_out_deinit(&flat);
  return rc;
}

static int send_json(struct ln_client_stream *st, const struct ln_out *out) {
  char line[LINE];
  bool named = st->session->state != LN_SESSION_NEW; /* not when initialize was refused */
  int rc = ln_http_reply(st->request, 200, "application/json",
                         named ? session_header(st, line) : NULL, out->parts, out->n);
  if (rc && rc != LN_EFULL) ln_http_request_abort(st->request);
  return rc;
}

static int stream_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  struct ln_client_stream *st = LN_CONTAINER(s, struct ln_client_stream, sink);
  bool last = final && st->kind == LN_CLIENT_STREAM_POST;
  if (st->finished || (!st->request && !st->is_stream)) return LN_ECLOSED;
  bool plain = last && !st->is_stream && (st->init_request || !st->prefers_stream);
  int rc = plain ? send_json(st, out) : send_event(st, out);
  if (last) {
    finish(st);
    if (st->is_stream) ln_client_stream_end_response(st);
  }
  if (rc != LN_EFULL) return rc;
  if (st->full) return LN_OK;
  st->full = true;
  return LN_EFULL;
}

/* The request was cancelled. A POST without an answer gets a stream that ends at once and can't be
 * resumed. */
static void stream_give_up(struct ln_sink *s) {
  struct ln_client_stream *st = LN_CONTAINER(s, struct ln_client_stream, sink);
  char line[LINE];
  if (st->kind != LN_CLIENT_STREAM_POST || st->finished) return;
  finish(st);
  if (!st->request) return;
  if (!st->is_stream && ln_http_sse_start(st->request, session_header(st, line)))
    ln_http_request_abort(st->request);
  else
    ln_client_stream_end_response(st);
}

static void stream_free(struct ln_sink *s) {
  struct ln_client_stream *st = LN_CONTAINER(s, struct ln_client_stream, sink);
  ln_list_remove(&st->link);
  ln_replay_deinit(&st->replay);
  ln_session_unref(st->session);
  free(st);
}

static const struct ln_sink_ops stream_ops = {stream_send, stream_give_up, stream_free};

void ln_client_stream_disconnect(struct ln_sink *s, uint64_t retry_ms) {
  if (s->ops != &stream_ops) return;
  struct ln_client_stream *st = LN_CONTAINER(s, struct ln_client_stream, sink);
  bool can = st->kind == LN_CLIENT_STREAM_POST && !st->init_request && is_resumable(st->session);
  if (!can || st->finished || !st->request) return;
  int rc = ln_client_stream_begin(st);
  if (rc == LN_OK || rc == LN_EFULL) rc = ln_http_sse_retry(st->request, retry_ms);
  if (rc == LN_OK || rc == LN_EFULL)
    detach(st);
  else
    ln_http_request_abort(st->request);
}

struct ln_client_stream *ln_client_stream_new(struct ln_session_streams *of,
                                              struct ln_http_request *r,
                                              enum ln_client_stream_kind kind) {
  struct ln_client_stream *st = ln_zalloc(sizeof *st);
  if (!st) return NULL;
  st->holder = &stream_holder;
  st->sink = (struct ln_sink){&stream_ops, 1, kind != LN_CLIENT_STREAM_POST};
  st->all = of->all;
  st->of = of;
  st->session = ln_session_ref(of->session);
  st->request = r;
  st->kind = kind;
  st->since = ln_loop_now(st->all->loop);
  ln_list_init(&st->link);
  ln_list_init(&st->finished_link);
  ln_replay_init(&st->replay, &st->all->replay_bytes, st->session->purse);
  st->prefers_stream = kind == LN_CLIENT_STREAM_POST && ln_check_prefers_stream(r->head);
  if (kind == LN_CLIENT_STREAM_POST) ln_list_push(&st->all->waiting, &st->link);
  r->data = st;
  return st;
}

void ln_client_stream_listen(struct ln_client_stream *st) {
  ln_sink_ref(&st->sink);
  st->of->listening = st;
}
