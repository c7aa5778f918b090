/* Streams of events: a POST's, which may break off and be resumed by GET, and the listening
 * GET, which is opened again whenever it ends; see http_channel.h. */
#include <stdio.h>
#include <stdlib.h>

#include "transport/http_channel.h"

enum { STEADY_MS = 10000 }; /* a stream that lived so long was no failure */

static struct ln_loop *loop_of(const struct ln_http_post *p) {
  return p->c->pool->loop;
}

static void log_stop(const struct ln_http_post *p, const char *why) {
  LN_LOG(ln_loop_log(loop_of(p)), DEBUG, p->c->pool->topic, "no listening stream: %s", why);
}

/* --- asking for a stream --- */

/* Some servers send no head before the first event. */
static void on_unanswered(struct ln_timer *t) {
  ln_http_post_opened(LN_CONTAINER(t, struct ln_http_post, timer));
}

bool ln_http_channel_listen(struct ln_http_channel *c) {
  struct ln_http_post *p = ln_http_post_new(c, LN_POST_LISTEN, 2, 0);
  if (!p) return false;
  p->opens = true;
  c->opening = p;
  ln_timer_start(loop_of(p), &p->timer, LN_CHANNEL_LISTEN_MS, on_unanswered);
  ln_http_stream_get(p);
  return true;
}

void ln_http_stream_get(struct ln_http_post *p) {
  struct ln_http_channel *c = p->c;
  const struct ln_url *url = p->url ? p->url : &c->pool->route.url;
  struct ln_bytes *head = ln_http_channel_head(c, "GET", url, ln_buf_str(&p->last_id));
  if (!head) {
    ln_http_post_fail(p, LN_ENOMEM, 0, ln_err_text(LN_ENOMEM));
    return;
  }
  ln_bytes_unref(p->parts[1].owner);
  p->parts[1] = (struct ln_iov){head->data, head->len, head};
  p->getting = true;
  p->had_session = c->session != NULL;
  p->mode = LN_MODE_NONE;
  p->outcome = LN_OUTCOME_FINE;
  p->skipped = 0;
  ln_buf_clear(&p->text);
  p->call.parts = &p->parts[1];
  p->call.n_parts = 1;
  p->call.lane = LN_LANE_STREAM;
  p->call.idempotent = true;
  ln_http_pool_submit(c->pool, &p->call);
}

static void on_wait(struct ln_timer *t) {
  struct ln_http_post *p = LN_CONTAINER(t, struct ln_http_post, timer);
  p->redirects = 0;
  ln_http_stream_get(p);
}

/* What the server asked for, or a second, and longer with every try that brought nothing. */
static void get_later(struct ln_http_post *p) {
  uint64_t wait = p->retry_ms >= 0 ? (uint64_t)p->retry_ms : LN_CHANNEL_RETRY_MS;
  uint64_t backoff = p->tries ? (uint64_t)LN_CHANNEL_RETRY_MS << LN_MIN(p->tries, 5) : 0;
  p->tries = (uint8_t)LN_MIN(p->tries + 1, UINT8_MAX);
  p->mode = LN_MODE_NONE;
  p->status = 0;
  if (p->kind == LN_POST_LISTEN) p->c->base.deaf = true;
  wait = LN_MAX(wait, LN_MIN(backoff, (uint64_t)LN_CHANNEL_BACKOFF_MS));
  ln_timer_start(loop_of(p), &p->timer, wait, on_wait);
}

/* --- a stream --- */

void ln_http_stream_begin(struct ln_http_post *p) {
  p->mode = LN_MODE_SSE;
  p->opened = true;
  p->since = ln_loop_now(loop_of(p));
  ln_sse_deinit(&p->sse);
  ln_sse_init(&p->sse, p->c->pool->max_message);
  ln_http_call_stream(&p->call);
  if (p->kind == LN_POST_LISTEN && p->c->base.deaf && p->c->session) {
    p->c->base.deaf = false;
    p->c->base.heard_since = p->since;
  }
  if (!p->opens) return;
  ln_timer_stop(&p->timer);
  ln_http_post_opened(p);
}

/* The place to go on from: the last whole event's id. An id that can't be a header's value is none,
 * and so is an empty one, which takes earlier ids back. */
static void note_id(struct ln_http_post *p) {
  struct ln_str id = ln_buf_str(&p->sse.last_id);
  ln_buf_clear(&p->last_id);
  if (id.n > LN_CHANNEL_ID_MAX || !ln_http_value_ok(id)) return;
  if (ln_buf_append_str(&p->last_id, id)) ln_buf_clear(&p->last_id);
}

static void leave(struct ln_http_post *p) {
  if (p->sse.last_id.cap) note_id(p);
  if (p->sse.retry_ms >= 0) p->retry_ms = p->sse.retry_ms;
  if (p->kind == LN_POST_LISTEN && ln_loop_now(loop_of(p)) - p->since >= STEADY_MS) p->tries = 0;
  ln_sse_deinit(&p->sse);
  ln_sse_init(&p->sse, p->c->pool->max_message);
}

static void deliver(struct ln_http_post *p, struct ln_bytes *text) {
  struct ln_http_channel *c = p->c;
  c->delivering = p;
  c->base.events->message(c->base.arg, text, p->tag);
  c->delivering = NULL;
}

/* The parser gave up: an event over the limit. */
static void broken(struct ln_http_post *p, int err) {
  char why[96];
  snprintf(why, sizeof why, "an event of the server's is larger than %zu bytes (max_message_bytes)",
           p->c->pool->max_message);
  if (err != LN_ELIMIT) snprintf(why, sizeof why, "%s", ln_err_text(err));
  if (p->kind != LN_POST_LISTEN) {
    ln_http_post_fail(p, err, 0, why);
    return;
  }
  /* With its id the same event would come again. */
  LN_LOG(ln_loop_log(loop_of(p)), WARN, p->c->pool->topic, "listening stream: %s", why);
  ln_http_call_cancel(&p->call);
  leave(p);
  ln_buf_clear(&p->last_id);
  get_later(p);
}

void ln_http_stream_data(struct ln_http_post *p, struct ln_str data) {
  struct ln_sse_event event;
  if (p->kind == LN_POST_STREAM) {
    ln_sse_data(p, data);
    return;
  }
  int rc = LN_OK;
  p->busy = true;
  while (!p->abandoned && !p->dead && (rc = ln_sse_next(&p->sse, &data, &event)) == LN_OK) {
    p->tries = 0;
    if (event.data->len && ln_str_is(event.type, "message")) {
      deliver(p, event.data);
    } else {
      ln_bytes_unref(event.data); /* a prime event, or one of another protocol */
    }
  }
  p->busy = false;
  if (p->dead) {
    ln_http_post_done(p, false);
  } else if (rc != LN_OK && rc != LN_EAGAIN) {
    broken(p, rc);
  }
}

/* --- the end of one --- */

static void stop_listening(struct ln_http_post *p, const char *why) {
  log_stop(p, why);
  p->c->base.deaf = true;
  ln_http_post_done(p, false);
}

static void listening_over(struct ln_http_post *p, const char *why) {
  ln_http_post_opened(p);
  if (!p->opened && p->tries >= LN_CHANNEL_TRIES) {
    stop_listening(p, why);
  } else {
    get_later(p);
  }
}

void ln_http_stream_over(struct ln_http_post *p, int err, const char *why) {
  if (p->kind == LN_POST_STREAM) {
    ln_sse_lost(p, err ? err : LN_ECLOSED, err ? why : "the server ended its event stream");
    return;
  }
  struct ln_http_channel *c = p->c;
  bool streamed = p->mode == LN_MODE_SSE;
  if (streamed) leave(p);
  if (p->kind == LN_POST_LISTEN) {
    listening_over(p, err ? why : "it ended");
  } else if (!p->last_id.len) {
    ln_http_post_fail(p, LN_ECLOSED, 0, "the stream ended without the response");
  } else if (p->tries >= LN_CHANNEL_TRIES) {
    char words[400];
    snprintf(words, sizeof words, "the stream ended and could not be resumed%s%s", err ? ": " : "",
             err ? why : "");
    ln_http_post_fail(p, LN_ECLOSED, 0, words);
  } else {
    bool disconnected = streamed && !err && p->retry_ms >= 0 && c->base.events->disconnected;
    get_later(p);
    if (disconnected) c->base.events->disconnected(c->base.arg, p->tag, (uint64_t)p->retry_ms);
  }
}

static bool may_pass(int status) {
  return status == 408 || status == 409 || status == 425 || status == 429 ||
         (status >= 500 && status != 501 && status != 505);
}

/* The GET was answered with something else than a stream. */
void ln_http_stream_refused(struct ln_http_post *p) {
  char why[512], words[LN_HTTP_WHY];
  struct ln_http_channel *c = p->c;
  int status = p->status;
  bool listening = p->kind == LN_POST_LISTEN;
  int err = ln_http_post_explain(p, why, sizeof why);
  size_t own = ln_http_post_quote(p, why, words);
  if (p->kind == LN_POST_STREAM) {
    ln_sse_lost(p, err, why);
    return;
  }
  bool again = may_pass(status) && (p->opened || status >= 500);
  if (again && listening) {
    listening_over(p, words);
  } else if (again && p->tries < LN_CHANNEL_TRIES) {
    get_later(p);
  } else if (!listening) {
    /* Not LN_ENOTFOUND, that is to say "nothing was done": the server had begun with it. */
    c->lost |= err == LN_ENOTFOUND;
    ln_http_post_fail(p, LN_ECLOSED, status, why);
  } else if (err == LN_ENOTFOUND && p->opened) {
    /* What was a stream and is unknown now: the session ended, and no request may tell. */
    stop_listening(p, words);
    c->lost = true;
    c->base.own = own;
    if (!c->closing) c->base.events->failed(c->base.arg, 0, err, status, words);
  } else {
    stop_listening(p, words);
  }
}
