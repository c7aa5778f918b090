/* Sessions that outlive the process: an id that another process gave (the one before this, or one
 * beside it with the same key) says enough to have its session again (front_ticket.h).
 *
 * The client's initialize is repeated with its own words, as if it had come anew: through the
 * policy, which may refuse it and sets up what it keeps of a session, but without a word to the
 * client and without waiting for servers, which are reached when they are needed. Whoever asks for
 * the session meanwhile waits; then each request goes the way it would have gone at once. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "net/secret.h"
#include "proxy/front_http.h"
#include "proxy/router.h"

static const struct ln_gate no_session = {404, -32600, "There is no such session", NULL};

/* --- the key --- */

int ln_front_revive_init(struct ln_front_http *f) {
  const char *given = f->host->settings.session_key_file;
  char why[LN_SECRET_WHY];
  char *place = given ? NULL : ln_secret_place("session.key", why);
  const char *path = given ? given : place;
  int rc = path ? ln_secret_load(path, f->key, why) : LN_ESYSTEM;
  free(place);
  ln_map_init(&f->ended.names);
  if (!rc) return LN_OK;
  /* Where it was asked for, or somebody may have meddled with it, that is to be seen to. */
  enum ln_log_level level = given || rc == LN_EREFUSED ? LN_LOG_WARN : LN_LOG_INFO;
  if (f->host->log->level <= level)
    ln_log_write(f->host->log, level, "http", "sessions will not survive a restart: %s", why);
  return getrandom(f->key, sizeof f->key, 0) == (ssize_t)sizeof f->key ? LN_OK : LN_ESYSTEM;
}

void ln_front_revive_deinit(struct ln_front_http *f) {
  ln_map_deinit(&f->ended.names);
  free(f->ended.ring);
}

/* --- what has ended --- */

static struct ln_str name_of(struct ln_str id) {
  return (struct ln_str){id.p, LN_MIN(id.n, (size_t)LN_TICKET_NAME)};
}

static void remember_ended(struct ln_front_http *f, struct ln_str id) {
  struct ln_ended *e = &f->ended;
  struct ln_str name = name_of(id);
  if (ln_map_get(&e->names, name)) return;
  if (!e->ring) e->ring = calloc(LN_ENDED_MAX, sizeof *e->ring);
  if (!e->ring) return;
  char *slot = e->ring[e->next];
  if (*slot) ln_map_remove(&e->names, (struct ln_str){slot, LN_TICKET_NAME});
  memcpy(slot, name.p, LN_TICKET_NAME);
  if (ln_map_put(&e->names, (struct ln_str){slot, LN_TICKET_NAME}, slot)) {
    *slot = 0;
    return;
  }
  e->next = (e->next + 1) % LN_ENDED_MAX;
}

/* Of another process, and not known to have ended. What it says goes into plain. */
static bool can_live(const struct ln_front_http *f, struct ln_str id, struct ln_buf *plain,
                     struct ln_ticket *t) {
  return ln_ticket_read(f->key, id, (uint64_t)time(NULL), plain, t) == LN_OK &&
         t->epoch != f->epoch && !ln_map_get(&f->ended.names, name_of(id));
}

bool ln_front_revive_never(struct ln_front_http *f, struct ln_str id) {
  struct ln_ticket t;
  struct ln_buf plain;
  ln_buf_init(&plain, LN_TICKET_MAX);
  bool could = can_live(f, id, &plain, &t);
  ln_buf_deinit(&plain);
  if (could) remember_ended(f, id);
  return could;
}

/* --- requests that wait --- */

struct parked {
  const struct ln_front_holder *holder;
  struct ln_list link; /* in the revival's */
  struct ln_revival *revival;
  struct ln_http_request *request;
  struct ln_http_head *head; /* a copy: the request's own is gone by then */
};

struct ln_revival {
  struct ln_sink sink;         /* what initialize is answered to */
  struct ln_front_session *fs; /* NULL: the session has ended */
  struct ln_list parked;       /* in the order they came */
  size_t n_parked;
  struct ln_bytes *headers; /* of the request that brought it about; may be NULL */
  struct ln_msg *reply;
  struct ln_gate refusal; /* what those that wait are told when it fails */
  struct ln_task task;
  struct ln_timer patience;
};

static void parked_free(struct parked *p) {
  ln_list_remove(&p->link);
  p->revival->n_parked--;
  free(p->head);
  free(p);
}

static void parked_done(void *holder, struct ln_http_request *r) {
  (void)r;
  parked_free(holder);
}

static const struct ln_front_holder parked_holder = {NULL, parked_done};

static void park(struct ln_revival *rv, struct ln_http_request *r, struct ln_gate *gate) {
  *gate = (struct ln_gate){503, -32603, "Too many requests at once", "Retry-After: 1\r\n"};
  if (rv->n_parked >= rv->fs->session->host->settings.max_in_flight) return;
  struct parked *p = calloc(1, sizeof *p);
  if (p) p->head = ln_http_head_copy(r->head);
  if (!p || !p->head) {
    free(p);
    return;
  }
  p->holder = &parked_holder;
  p->revival = rv;
  p->request = r;
  ln_list_push(&rv->parked, &p->link);
  rv->n_parked++;
  r->data = p;
  gate->status = LN_GATE_LATER;
}

/* Serves those that wait, or refuses them. None can go meanwhile: a request's end never comes from
 * inside a call. */
static void unpark(struct ln_revival *rv, struct ln_front_http *f, const struct ln_gate *refusal) {
  while (!ln_list_empty(&rv->parked)) {
    struct parked *p = LN_CONTAINER(rv->parked.next, struct parked, link);
    struct ln_http_request *r = p->request;
    r->data = NULL;
    if (refusal) {
      ln_front_refuse(f, r, *refusal);
    } else {
      r->head = p->head;
      ln_front_mcp(f, r);
      r->head = NULL;
    }
    parked_free(p);
  }
}

/* --- the session's return --- */

/* What the client knows of lists is as old as its last look at them. */
static void announce(struct ln_session *s, const struct ln_msg *reply) {
  struct ln_json_item caps, lists, flag;
  if (!ln_json_get(reply->result, "capabilities", &caps)) return;
  for (int k = 0; k < LN_KINDS; k++) {
    if (k == LN_KIND_TEMPLATE || !ln_json_get(caps.value, ln_kind_rows[k].capability, &lists) ||
        !ln_json_get(lists.value, "listChanged", &flag) || flag.type != LN_JSON_TRUE)
      continue;
    struct ln_msg *m = ln_msg_notification(ln_kind_rows[k].changed, LN_STR_NONE);
    if (!m) continue;
    struct ln_out out;
    ln_out_init(&out, m);
    ln_session_send(s, NULL, &out, false);
    ln_out_deinit(&out);
    ln_msg_unref(m);
  }
}

static void lives(struct ln_revival *rv) {
  struct ln_front_session *fs = rv->fs;
  struct ln_front_http *f = fs->front;
  struct ln_session *s = ln_session_ref(fs->session); /* it may end by any of this */
  LN_LOG(f->host->log, DEBUG, s->id, "a session of another process goes on");
  ln_timer_stop(&rv->patience);
  fs->revival = NULL;
  rv->fs = NULL;
  struct ln_msg *m = ln_msg_notification("notifications/initialized", LN_STR_NONE);
  if (m) ln_router_from_client(s, m, NULL, rv->headers);
  ln_msg_unref(m);
  announce(s, rv->reply);
  s->in_flight--; /* those that waited count for themselves from here */
  unpark(rv, f, NULL);
  ln_session_unref(s);
  ln_sink_unref(&rv->sink);
}

/* It may be tried again: the next time the policy, or the memory, may allow it. */
static void fails(struct ln_revival *rv, struct ln_gate refusal) {
  rv->refusal = refusal;
  rv->fs->foreign = false;
  ln_session_end(rv->fs->session);
}

static void on_answered(struct ln_task *t) {
  struct ln_revival *rv = LN_CONTAINER(t, struct ln_revival, task);
  if (!rv->fs) return;
  const struct ln_session *s = rv->fs->session;
  if (rv->reply && rv->reply->kind == LN_MSG_RESULT && s->state == LN_SESSION_INITIALIZED) {
    lives(rv);
    return;
  }
  char words[256] = "initialize was not answered";
  if (rv->reply && rv->reply->kind == LN_MSG_ERROR)
    ln_msg_error_words(rv->reply, words, sizeof words);
  LN_LOG(s->host->log, WARN, s->id, "a session of another process can't go on: %s", words);
  fails(rv, no_session);
}

static void on_late(struct ln_timer *t) {
  const struct ln_gate late = {503, -32603, "The session takes too long to come back",
                               "Retry-After: 10\r\n"};
  fails(LN_CONTAINER(t, struct ln_revival, patience), late);
}

/* What else is said about initialize is not for a client that did not ask. */
static int sink_send(struct ln_sink *sink, const struct ln_out *out, bool final) {
  struct ln_revival *rv = LN_CONTAINER(sink, struct ln_revival, sink);
  if (!final || rv->reply || !rv->fs) return LN_OK;
  rv->reply = ln_msg_edit(out->msg, out->edits, out->n_edits);
  /* Not from inside the exchange that ends by this. */
  ln_task_post(rv->fs->front->host->loop, &rv->task, on_answered);
  return LN_OK;
}

static void sink_give_up(struct ln_sink *sink) {
  struct ln_revival *rv = LN_CONTAINER(sink, struct ln_revival, sink);
  if (rv->fs) ln_task_post(rv->fs->front->host->loop, &rv->task, on_answered);
}

static void sink_free(struct ln_sink *sink) {
  struct ln_revival *rv = LN_CONTAINER(sink, struct ln_revival, sink);
  ln_task_cancel(&rv->task);
  ln_timer_stop(&rv->patience);
  ln_msg_unref(rv->reply);
  ln_bytes_unref(rv->headers);
  free(rv);
}

static const struct ln_sink_ops sink_ops = {sink_send, sink_give_up, sink_free};

void ln_front_revive_ended(struct ln_front_session *fs) {
  struct ln_revival *rv = fs->revival;
  struct ln_front_http *f = fs->front;
  const struct ln_gate closing = {503, -32603, "Shutting down", NULL};
  if (fs->foreign) remember_ended(f, fs->id);
  if (!rv) return;
  fs->revival = NULL;
  rv->fs = NULL;
  unpark(rv, f, f->closed ? &closing : &rv->refusal);
  ln_timer_stop(&rv->patience);
  ln_sink_unref(&rv->sink);
}

/* hello: the client's initialize. */
static struct ln_front_session *begin(struct ln_front_http *f, struct ln_http_request *r,
                                      struct ln_str id, struct ln_msg *hello,
                                      struct ln_gate *gate) {
  struct ln_front_session *fs = ln_front_session_new(f, false, id, NULL, gate);
  if (!fs) return NULL;
  struct ln_revival *rv = calloc(1, sizeof *rv);
  if (!rv) {
    *gate = (struct ln_gate){503, -32603, "Out of memory", NULL};
    ln_session_end(fs->session);
    return NULL;
  }
  rv->sink = (struct ln_sink){&sink_ops, 1, true};
  rv->fs = fs;
  rv->refusal = no_session;
  rv->headers = ln_front_headers(f, r);
  ln_list_init(&rv->parked);
  ln_task_init(&rv->task);
  ln_timer_init(&rv->patience);
  fs->revival = rv;
  fs->foreign = fs->session->revived = true;
  fs->session->in_flight++; /* a drain waits for those that wait for it */
  ln_timer_start(f->host->loop, &rv->patience, f->host->settings.request_timeout_ms, on_late);
  ln_router_from_client(fs->session, hello, &rv->sink, rv->headers);
  return fs;
}

void ln_front_revive(struct ln_front_http *f, struct ln_http_request *r, struct ln_str id,
                     struct ln_front_session *fs, struct ln_gate *gate) {
  struct ln_ticket t;
  struct ln_buf plain;
  ln_buf_init(&plain, LN_TICKET_MAX);
  *gate = no_session;
  if (!fs && can_live(f, id, &plain, &t)) {
    struct ln_msg *hello = ln_msg_request("initialize", t.params);
    if (hello) fs = begin(f, r, id, hello, gate);
    ln_msg_unref(hello);
  }
  ln_buf_deinit(&plain);
  if (fs) park(fs->revival, r, gate);
}
