/* The ways back to a client of the HTTP front. A POST's pipe answers by plain JSON when its
 * response comes first and the client likes that as well as a stream, and is a stream as soon as
 * anything else comes. A stream has a number, its
 * events have ids, and it outlives the connection it began on: what is said meanwhile is kept, and
 * the client fetches it by a GET that names the last event it has (Last-Event-ID). */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/front_http.h"

static uint64_t now_of(const struct ln_pipe *p) {
  return ln_loop_now(p->front->host->loop);
}

/* The session's entry, while it lasts. */
static struct ln_front_session *entry_of(const struct ln_pipe *p) {
  return p->session->front;
}

static void unclog(struct ln_pipe *p) {
  if (!p->clogged) return;
  p->clogged = false;
  ln_session_drained(p->session);
}

/* --- kept streams --- */

void ln_pipe_forget(struct ln_front_session *fs, struct ln_pipe *p) {
  if (p->finished) fs->n_finished--;
  ln_list_remove(&p->link);
  ln_list_remove(&p->old);
  ln_replay_deinit(&p->replay);
  ln_sink_unref(&p->sink);
}

struct ln_pipe *ln_pipe_find(const struct ln_front_session *fs, uint32_t number) {
  LN_LIST_EACH(l, &fs->streams) {
    struct ln_pipe *p = LN_CONTAINER(l, struct ln_pipe, link);
    if (p->number == number) return p;
  }
  return NULL;
}

static void enlist(struct ln_pipe *p) {
  struct ln_front_session *fs = entry_of(p);
  ln_list_remove(&p->link);
  if (!fs) return;
  p->number = ++fs->next_stream;
  ln_sink_ref(&p->sink);
  ln_list_push(&fs->streams, &p->link);
}

static void forget_oldest(struct ln_front_session *fs) {
  LN_LIST_EACH(l, &fs->streams) {
    struct ln_pipe *p = LN_CONTAINER(l, struct ln_pipe, link);
    if (!p->finished) continue;
    ln_pipe_forget(fs, p);
    return;
  }
}

static void finish(struct ln_pipe *p) {
  struct ln_front_session *fs = entry_of(p);
  if (p->finished) return;
  p->finished = true;
  p->since = now_of(p);
  if (!p->number || !fs) {
    ln_list_remove(&p->link);
    return;
  }
  ln_list_push(&p->front->finished, &p->old);
  if (++fs->n_finished > LN_REPLAY_FINISHED) forget_oldest(fs);
}

/* Whoever has ended goes first; then this stream keeps only what its client can't have yet. */
static void make_room(struct ln_pipe *p) {
  struct ln_front_http *f = p->front;
  while (f->replay_bytes > LN_REPLAY_TOTAL && !ln_list_empty(&f->finished)) {
    struct ln_pipe *oldest = LN_CONTAINER(f->finished.next, struct ln_pipe, old);
    ln_pipe_forget(entry_of(oldest), oldest);
  }
  if (f->replay_bytes > LN_REPLAY_TOTAL) ln_replay_trim(&p->replay, p->request ? 0 : 1);
}

void ln_pipe_tick(struct ln_front_http *f, uint64_t now, uint64_t patience_ms) {
  LN_LIST_EACH(l, &f->finished) {
    struct ln_pipe *p = LN_CONTAINER(l, struct ln_pipe, old);
    if (now - p->since < LN_REPLAY_KEEP_MS) break;
    ln_pipe_forget(entry_of(p), p);
  }
  /* A long wait for plain JSON can't be taken up again when the connection breaks, a stream can. */
  LN_LIST_EACH(l, &f->waiting) {
    struct ln_pipe *p = LN_CONTAINER(l, struct ln_pipe, link);
    if (now - p->since < patience_ms) break;
    if (p->hello || !ln_pipe_primes(p->session)) continue;
    if (p->request && ln_pipe_begin(p)) ln_http_request_abort(p->request);
  }
}

/* --- a connection of it --- */

enum { LINE = LN_TICKET_MAX + 32 };

static const char *session_header(const struct ln_pipe *p, char line[LINE]) {
  const struct ln_front_session *fs = entry_of(p);
  if (!p->hello || !fs) return NULL;
  snprintf(line, LINE, "Mcp-Session-Id: %.*s\r\n", LN_STR_ARG(fs->id));
  return line;
}

static struct ln_str id_of(const struct ln_pipe *p, uint64_t number, char text[LN_REPLAY_ID]) {
  if (!p->number && p->kind == LN_PIPE_POST) return LN_STR_NONE;
  const struct ln_replay_id id = {p->front->epoch, p->number, number, p->asks, p->request_id};
  return ln_replay_id_write(id, text);
}

/* Older clients take the empty data for a message. */
bool ln_pipe_primes(const struct ln_session *s) {
  static const char since[] = "2025-11-25";
  return s->version.n == sizeof since - 1 && memcmp(s->version.p, since, sizeof since - 1) >= 0;
}

/* Numbers only, of no more digits than come back the same from every client. */
void ln_pipe_answers(struct ln_pipe *p, struct ln_str request_id) {
  int64_t n;
  p->asks = request_id.n <= 15 && ln_json_int(request_id, &n) && n >= 0;
  p->request_id = p->asks ? (uint64_t)n : 0;
}

int ln_pipe_begin(struct ln_pipe *p) {
  char line[LINE], id[LN_REPLAY_ID];
  if (p->streaming) return LN_OK;
  p->streaming = true;
  int rc = ln_http_sse_start(p->request, session_header(p, line));
  if (rc) return rc;
  if (!p->began && p->kind == LN_PIPE_POST) enlist(p);
  p->began = true;
  if (p->kind == LN_PIPE_SSE || !ln_pipe_primes(p->session)) return LN_OK;
  struct ln_str prime = id_of(p, p->replay.last, id);
  return prime.p ? ln_http_sse_send(p->request, prime, NULL, 0) : LN_OK;
}

/* Takes the pipe off its request, which goes its own way. */
static void let_go(struct ln_pipe *p) {
  struct ln_http_request *r = p->request;
  r->data = NULL;
  p->request = NULL;
  p->streaming = false;
  unclog(p);
  ln_http_sse_end(r);
  ln_sink_unref(&p->sink);
}

void ln_pipe_attach(struct ln_pipe *p, struct ln_http_request *r) {
  ln_sink_ref(&p->sink);
  if (p->request) let_go(p);
  p->request = r;
  r->data = p;
}

void ln_pipe_resume(struct ln_pipe *p, struct ln_http_request *r, uint64_t after) {
  char id[LN_REPLAY_ID];
  ln_pipe_attach(p, r);
  p->streaming = true;
  int rc = ln_http_sse_start(r, NULL);
  const struct ln_replay_event *e = ln_replay_after(&p->replay, after);
  for (; e && (rc == LN_OK || rc == LN_EFULL); e = ln_replay_next(&p->replay, e))
    rc = ln_http_sse_send(r, id_of(p, e->number, id), e->parts, e->n_parts);
  if (rc && rc != LN_EFULL)
    ln_http_request_abort(r);
  else if (p->finished)
    ln_http_sse_end(r);
}

static void pipe_drained(void *holder) {
  unclog(holder);
}

static void pipe_done(void *holder, struct ln_http_request *r) {
  struct ln_pipe *p = holder;
  struct ln_session *s = p->session;
  if (p->request != r) return;
  p->request = NULL;
  p->streaming = false;
  unclog(p);
  if (!p->began) ln_list_remove(&p->link);
  if (s->general == &p->sink) ln_session_set_general(s, NULL);
  /* initialize failed: there is no session. */
  if (p->kind == LN_PIPE_SSE || (p->hello && s->state == LN_SESSION_NEW)) ln_session_end(s);
  ln_sink_unref(&p->sink);
}

static const struct ln_front_holder pipe_holder = {pipe_drained, pipe_done};

void ln_pipe_comment(struct ln_pipe *p) {
  if (!p->request || !p->streaming || p->finished) return;
  int rc = ln_http_sse_comment(p->request);
  if (rc && rc != LN_EFULL) ln_http_request_abort(p->request);
}

void ln_pipe_hang_up(struct ln_pipe *p) {
  if (p->request) ln_http_sse_end(p->request);
}

/* --- as a sink --- */

/* Keeps the event, and sends it when somebody listens. */
static int send_numbered(struct ln_pipe *p, const struct ln_out *out) {
  char text[LN_REPLAY_ID];
  struct ln_str id = id_of(p, p->replay.last + 1, text);
  bool droppable = out->msg && out->msg->kind == LN_MSG_NOTIFICATION;
  int kept = LN_ECLOSED, rc = LN_ECLOSED;
  if (id.p) kept = ln_replay_add(&p->replay, out->parts, out->n, droppable);
  if (p->request) rc = ln_http_sse_send(p->request, id, out->parts, out->n);
  if (rc && rc != LN_EFULL && p->request) ln_http_request_abort(p->request);
  if (!kept) make_room(p);
  return rc == LN_OK || rc == LN_EFULL ? rc : kept;
}

static int send_event(struct ln_pipe *p, const struct ln_out *out) {
  struct ln_out flat = *out;
  bool copy = out->msg && out->msg->newlines && !out->flat;
  int rc = copy ? ln_out_finish(&flat, true) : LN_OK;
  if (!rc && p->request) rc = ln_pipe_begin(p);
  if (rc && rc != LN_EFULL) {
    if (p->request) ln_http_request_abort(p->request);
  } else if (p->kind != LN_PIPE_SSE) {
    rc = send_numbered(p, &flat);
  } else if (p->request) {
    rc = ln_http_sse_event(p->request, LN_STR_LIT("message"), LN_STR_NONE, flat.parts, flat.n);
    if (rc && rc != LN_EFULL) ln_http_request_abort(p->request);
  } else {
    rc = LN_ECLOSED;
  }
  if (copy) ln_out_deinit(&flat);
  return rc;
}

static int send_json(struct ln_pipe *p, const struct ln_out *out) {
  char line[LINE];
  bool named = p->session->state != LN_SESSION_NEW; /* not when initialize was refused */
  int rc = ln_http_reply(p->request, 200, "application/json",
                         named ? session_header(p, line) : NULL, out->parts, out->n);
  if (rc && rc != LN_EFULL) ln_http_request_abort(p->request);
  return rc;
}

static int pipe_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  struct ln_pipe *p = LN_CONTAINER(s, struct ln_pipe, sink);
  bool last = final && p->kind == LN_PIPE_POST;
  if (p->finished || (!p->request && !p->began)) return LN_ECLOSED;
  bool plain = last && !p->began && (p->hello || !p->eager);
  int rc = plain ? send_json(p, out) : send_event(p, out);
  if (last) {
    finish(p);
    if (p->began) ln_pipe_hang_up(p);
  }
  if (rc != LN_EFULL) return rc;
  if (p->clogged) return LN_OK;
  p->clogged = true;
  return LN_EFULL;
}

/* Cancelled. Whoever has read nothing yet gets a stream that has nothing to come back for. */
static void pipe_give_up(struct ln_sink *s) {
  struct ln_pipe *p = LN_CONTAINER(s, struct ln_pipe, sink);
  char line[LINE];
  if (p->kind != LN_PIPE_POST || p->finished) return;
  finish(p);
  if (!p->request) return;
  if (!p->began && ln_http_sse_start(p->request, session_header(p, line)))
    ln_http_request_abort(p->request);
  else
    ln_pipe_hang_up(p);
}

static void pipe_free(struct ln_sink *s) {
  struct ln_pipe *p = LN_CONTAINER(s, struct ln_pipe, sink);
  ln_list_remove(&p->link);
  ln_replay_deinit(&p->replay);
  ln_session_unref(p->session);
  free(p);
}

static const struct ln_sink_ops pipe_ops = {pipe_send, pipe_give_up, pipe_free};

void ln_pipe_part(struct ln_sink *s, uint64_t retry_ms) {
  if (s->ops != &pipe_ops) return;
  struct ln_pipe *p = LN_CONTAINER(s, struct ln_pipe, sink);
  bool can = p->kind == LN_PIPE_POST && !p->hello && ln_pipe_primes(p->session);
  if (!can || p->finished || !p->request) return;
  int rc = ln_pipe_begin(p);
  if (rc == LN_OK || rc == LN_EFULL) rc = ln_http_sse_retry(p->request, retry_ms);
  if (rc == LN_OK || rc == LN_EFULL)
    let_go(p);
  else
    ln_http_request_abort(p->request);
}

struct ln_pipe *ln_pipe_new(struct ln_front_session *fs, struct ln_http_request *r,
                            enum ln_pipe_kind kind) {
  struct ln_pipe *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->holder = &pipe_holder;
  p->sink = (struct ln_sink){&pipe_ops, 1, kind != LN_PIPE_POST};
  p->front = fs->front;
  p->session = ln_session_ref(fs->session);
  p->request = r;
  p->kind = kind;
  p->since = now_of(p);
  ln_list_init(&p->link);
  ln_list_init(&p->old);
  ln_replay_init(&p->replay, &p->front->replay_bytes);
  p->eager = kind == LN_PIPE_POST && ln_gate_wants_stream(r->head);
  if (kind == LN_PIPE_POST) ln_list_push(&p->front->waiting, &p->link);
  r->data = p;
  return p;
}
