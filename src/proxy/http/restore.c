/* Restoring sessions; see restore.h.
 *
 * The client's initialize is repeated, with its own params, as if the client had sent it again: it
 * goes through the policy's handlers, which may refuse it; but nothing is sent to the client, and
 * servers are not waited for. Requests that come meanwhile wait. */
#include "proxy/http/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/http/incoming.h"
#include "proxy/http/respond.h"
#include "proxy/route/from_client.h"
#include "proxy/route/session_end.h"

static const struct ln_refusal no_session = {404, -32600, "There is no such session", NULL};

/* --- sessions that have ended --- */

static void remember_ended(struct ln_restorer *rs, struct ln_str id) {
  struct ln_str name = ln_session_id_name(id);
  if (ln_map_get(&rs->ended, name)) return;
  if (!rs->ring) rs->ring = calloc(LN_RESTORE_ENDED_MAX, sizeof *rs->ring);
  if (!rs->ring) return;
  char *slot = rs->ring[rs->next];
  if (*slot) ln_map_remove(&rs->ended, (struct ln_str){slot, LN_SESSION_ID_NAME});
  memcpy(slot, name.p, LN_SESSION_ID_NAME);
  if (ln_map_put(&rs->ended, (struct ln_str){slot, LN_SESSION_ID_NAME}, slot)) {
    *slot = 0;
    return;
  }
  rs->next = (rs->next + 1) % LN_RESTORE_ENDED_MAX;
}

/* True for an id of another process whose session is not known to have ended. id is in plain. */
static bool can_restore(const struct ln_restorer *rs, struct ln_str text, struct ln_buf *plain,
                        struct ln_session_id *id) {
  const struct ln_session_table *t = rs->table;
  return ln_session_id_read(t->key, text, (uint64_t)time(NULL), plain, id) == LN_OK &&
         id->epoch != t->streams.epoch && !ln_map_get(&rs->ended, ln_session_id_name(text));
}

bool ln_restore_end(struct ln_restorer *rs, struct ln_str id) {
  struct ln_session_id said;
  struct ln_buf plain;
  ln_buf_init(&plain, LN_SESSION_ID_MAX);
  bool could = can_restore(rs, id, &plain, &said);
  ln_buf_deinit(&plain);
  if (could) remember_ended(rs, id);
  return could;
}

/* --- requests that wait --- */

struct waiting {
  const struct ln_http_holder *holder; /* first, see holder.h */
  struct ln_list link;                 /* in the restore's */
  struct ln_restore *restore;
  struct ln_http_request *request;
  struct ln_http_head *head; /* a copy, as the request's own is freed meanwhile */
  ln_restore_serve_fn serve;
};

/* A session that is being restored. */
struct ln_restore {
  struct ln_sink sink; /* gets the answer to initialize */
  struct ln_restorer *restorer;
  struct ln_http_session *hs; /* NULL: the session has ended */
  struct ln_list waiting;     /* in the order they came */
  size_t n_waiting;
  struct ln_bytes *headers; /* of the first request; may be NULL */
  struct ln_msg *reply;
  struct ln_refusal refusal; /* for the requests that wait, when it fails */
  struct ln_task task;
  struct ln_timer timeout;
};

static void waiting_free(struct waiting *w) {
  ln_list_remove(&w->link);
  w->restore->n_waiting--;
  free(w->head);
  free(w);
}

static void waiting_done(void *holder, struct ln_http_request *r) {
  (void)r;
  waiting_free(holder);
}

static const struct ln_http_holder waiting_holder = {NULL, waiting_done};

static void defer(struct ln_restore *re, struct ln_http_request *r, ln_restore_serve_fn serve,
                  struct ln_refusal *refusal) {
  *refusal = (struct ln_refusal){503, -32603, "Too many requests at once", "Retry-After: 1\r\n"};
  if (re->n_waiting >= re->hs->session->host->settings.max_in_flight) return;
  struct waiting *w = calloc(1, sizeof *w);
  if (w) w->head = ln_http_head_copy(r->head);
  if (!w || !w->head) {
    free(w);
    return;
  }
  w->holder = &waiting_holder;
  w->restore = re;
  w->request = r;
  w->serve = serve;
  ln_list_push(&re->waiting, &w->link);
  re->n_waiting++;
  r->data = w;
  refusal->status = LN_REFUSAL_DEFERRED;
}

/* Serves the requests that wait, or refuses them. None ends meanwhile: that comes only from the
 * loop. */
static void end_waiting(struct ln_restore *re, const struct ln_refusal *refusal) {
  struct ln_restorer *rs = re->restorer;
  while (!ln_list_empty(&re->waiting)) {
    struct waiting *w = LN_CONTAINER(re->waiting.next, struct waiting, link);
    struct ln_http_request *r = w->request;
    r->data = NULL;
    if (refusal) {
      ln_respond_refusal(rs->table->host->log, r, *refusal);
    } else {
      r->head = w->head;
      w->serve(rs, r);
      r->head = NULL;
    }
    waiting_free(w);
  }
}

/* --- restoring --- */

/* Lists may have changed since the client got them from the other process. */
static void tell_lists_changed(struct ln_session *s, const struct ln_msg *reply) {
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
    ln_outbox_send(&s->outbox, NULL, &out, false);
    ln_out_deinit(&out);
    ln_msg_unref(m);
  }
}

static void succeed(struct ln_restore *re) {
  struct ln_http_session *hs = re->hs;
  struct ln_session *s = ln_session_ref(hs->session); /* it may end by any of this */
  LN_LOG(s->host->log, DEBUG, s->id, "a session of another process goes on");
  ln_timer_stop(&re->timeout);
  hs->restore = NULL;
  re->hs = NULL;
  struct ln_msg *m = ln_msg_notification("notifications/initialized", LN_STR_NONE);
  if (m) ln_from_client(s, m, NULL, re->headers);
  ln_msg_unref(m);
  tell_lists_changed(s, re->reply);
  /* The one counted in begin: each request that waited counts itself now. */
  if (s->state != LN_SESSION_GONE) ln_session_end_request(s);
  end_waiting(re, NULL);
  ln_session_unref(s);
  ln_sink_unref(&re->sink);
}

/* A later request may restore it: the policy or the memory may allow it then. */
static void fail(struct ln_restore *re, struct ln_refusal refusal) {
  re->refusal = refusal;
  re->hs->restored = false;
  ln_session_end(re->hs->session);
}

static void on_answered(struct ln_task *t) {
  struct ln_restore *re = LN_CONTAINER(t, struct ln_restore, task);
  if (!re->hs) return;
  const struct ln_session *s = re->hs->session;
  if (re->reply && re->reply->kind == LN_MSG_RESULT && s->state == LN_SESSION_INITIALIZED) {
    succeed(re);
    return;
  }
  char words[256] = "initialize was not answered";
  if (re->reply && re->reply->kind == LN_MSG_ERROR)
    ln_msg_error_words(re->reply, words, sizeof words);
  LN_LOG(s->host->log, WARN, s->id, "a session of another process can't go on: %s", words);
  fail(re, no_session);
}

static void on_timeout(struct ln_timer *t) {
  const struct ln_refusal late = {503, -32603, "The session takes too long to come back",
                                  "Retry-After: 10\r\n"};
  fail(LN_CONTAINER(t, struct ln_restore, timeout), late);
}

/* Only the response is of interest: the client didn't send this initialize. */
static int sink_send(struct ln_sink *sink, const struct ln_out *out, bool final) {
  struct ln_restore *re = LN_CONTAINER(sink, struct ln_restore, sink);
  if (!final || re->reply || !re->hs) return LN_OK;
  re->reply = ln_msg_edit(out->msg, out->edits, out->n_edits);
  /* From the loop, after the exchange has ended. */
  ln_task_post(re->restorer->table->host->loop, &re->task, on_answered);
  return LN_OK;
}

static void sink_give_up(struct ln_sink *sink) {
  struct ln_restore *re = LN_CONTAINER(sink, struct ln_restore, sink);
  if (re->hs) ln_task_post(re->restorer->table->host->loop, &re->task, on_answered);
}

static void sink_free(struct ln_sink *sink) {
  struct ln_restore *re = LN_CONTAINER(sink, struct ln_restore, sink);
  ln_task_cancel(&re->task);
  ln_timer_stop(&re->timeout);
  ln_msg_unref(re->reply);
  ln_bytes_unref(re->headers);
  free(re);
}

static const struct ln_sink_ops sink_ops = {sink_send, sink_give_up, sink_free};

static void on_session_end(void *arg, struct ln_http_session *hs) {
  struct ln_restorer *rs = arg;
  struct ln_restore *re = hs->restore;
  const struct ln_refusal closing = {503, -32603, "Shutting down", NULL};
  if (hs->restored) remember_ended(rs, hs->id);
  if (!re) return;
  hs->restore = NULL;
  re->hs = NULL;
  end_waiting(re, rs->table->state == LN_SESSION_TABLE_CLOSING ? &closing : &re->refusal);
  ln_timer_stop(&re->timeout);
  ln_sink_unref(&re->sink);
}

static struct ln_http_session *begin(struct ln_restorer *rs, struct ln_http_request *r,
                                     struct ln_str id, struct ln_msg *init_request,
                                     struct ln_refusal *refusal) {
  struct ln_host *h = rs->table->host;
  struct ln_http_session *hs =
      ln_session_table_add(rs->table, r, LN_HTTP_SESSION_STREAMABLE, id, NULL, refusal);
  if (!hs) return NULL;
  struct ln_restore *re = calloc(1, sizeof *re);
  if (!re) {
    *refusal = (struct ln_refusal){503, -32603, "Out of memory", NULL};
    ln_session_end(hs->session);
    return NULL;
  }
  re->sink = (struct ln_sink){&sink_ops, 1, true};
  re->restorer = rs;
  re->hs = hs;
  re->refusal = no_session;
  re->headers = ln_incoming_headers(h, r);
  ln_list_init(&re->waiting);
  ln_task_init(&re->task);
  ln_timer_init(&re->timeout);
  hs->restore = re;
  hs->restored = hs->session->restored = true;
  ln_session_begin_request(hs->session); /* a drain waits for the requests that wait */
  ln_timer_start(h->loop, &re->timeout, h->settings.request_timeout_ms, on_timeout);
  ln_from_client(hs->session, init_request, &re->sink, re->headers);
  return hs;
}

void ln_restore_session(struct ln_restorer *rs, struct ln_http_request *r, struct ln_str id,
                        struct ln_http_session *hs, ln_restore_serve_fn serve,
                        struct ln_refusal *refusal) {
  struct ln_session_id said;
  struct ln_buf plain;
  ln_buf_init(&plain, LN_SESSION_ID_MAX);
  *refusal = no_session;
  if (!hs && can_restore(rs, id, &plain, &said)) {
    struct ln_msg *init_request = ln_msg_request("initialize", said.params);
    if (init_request) hs = begin(rs, r, id, init_request, refusal);
    ln_msg_unref(init_request);
  }
  ln_buf_deinit(&plain);
  if (hs) defer(hs->restore, r, serve, refusal);
}

void ln_restore_init(struct ln_restorer *rs, struct ln_session_table *table) {
  *rs = (struct ln_restorer){.table = table};
  ln_map_init(&rs->ended);
  table->on_end = on_session_end;
  table->on_end_arg = rs;
}

void ln_restore_deinit(struct ln_restorer *rs) {
  ln_map_deinit(&rs->ended);
  free(rs->ring);
}
