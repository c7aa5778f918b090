/* One MCP session over HTTP: what is sent, in which order, and how it ends; see
 * http_channel.h. A message costs one allocation here: the post, with the parts of its request
 * and a copy of whatever bytes have no owner. */
#include "transport/http_channel.h"

#include <stdio.h>
#include <stdlib.h>

static const struct ln_channel_ops channel_ops;

static void on_task(struct ln_task *t);
static void close_step(struct ln_http_channel *c);

struct ln_channel *ln_channel_http(struct ln_http_pool *pool,
                                   const struct ln_channel_events *events, void *arg) {
  struct ln_http_channel *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->base = (struct ln_channel){.ops = &channel_ops, .events = events, .arg = arg};
  c->pool = pool;
  ln_list_init(&c->posts);
  ln_list_init(&c->held);
  ln_task_init(&c->task);
  ln_timer_init(&c->timer);
  ln_http_pool_hold(pool);
  c->base.streams = !pool->conf->sse;
  c->sse = c->open_due = pool->conf->sse;
  c->ready_due = !pool->conf->sse;
  ln_task_post(pool->loop, &c->task, on_task);
  return &c->base;
}

static struct ln_http_channel *of(struct ln_channel *base) {
  return LN_CONTAINER(base, struct ln_http_channel, base);
}

/* --- heads --- */

static void append_header(struct ln_buf *b, const char *name, struct ln_str value) {
  if (!value.n) return;
  ln_buf_append_c(b, name);
  ln_buf_append_str(b, value);
  ln_buf_append_c(b, "\r\n");
}

static void append_session(struct ln_http_channel *c, struct ln_buf *b) {
  append_header(b, "Mcp-Session-Id: ", ln_bytes_str(c->session));
  append_header(b, "MCP-Protocol-Version: ", ln_str_c(c->version));
}

const struct ln_url *ln_http_channel_url(const struct ln_http_channel *c) {
  return c->endpoint ? c->endpoint : &c->pool->route.url;
}

static int build_post_head(struct ln_http_channel *c) {
  struct ln_buf b;
  ln_buf_init(&b, 2 * LN_POOL_HEAD);
  ln_http_route_line(&c->pool->route, "POST", ln_http_channel_url(c), &b);
  c->line = b.len;
  ln_buf_append_str(&b, ln_buf_str(&c->pool->common));
  ln_buf_append_c(&b,
                  "Content-Type: application/json\r\n"
                  "Accept: application/json, text/event-stream\r\n");
  append_session(c, &b);
  ln_buf_append_c(&b, "Content-Length: ");
  c->head = ln_buf_finish(&b);
  return c->head ? LN_OK : LN_ENOMEM;
}

struct ln_bytes *ln_http_channel_head(struct ln_http_channel *c, const char *method,
                                      const struct ln_url *url, struct ln_str last_id) {
  struct ln_buf b;
  ln_buf_init(&b, 2 * LN_POOL_HEAD);
  ln_http_route_line(&c->pool->route, method, url, &b);
  ln_buf_append_str(&b, ln_buf_str(&c->pool->common));
  if (strcmp(method, "GET") == 0) ln_buf_append_c(&b, "Accept: text/event-stream\r\n");
  append_session(c, &b);
  append_header(&b, "Last-Event-ID: ", last_id);
  ln_buf_append_c(&b, "\r\n");
  return ln_buf_finish(&b);
}

struct ln_bytes *ln_http_channel_line(struct ln_http_channel *c, const struct ln_url *url) {
  struct ln_buf b;
  ln_buf_init(&b, 2 * LN_POOL_HEAD);
  ln_http_route_line(&c->pool->route, "POST", url, &b);
  return ln_buf_finish(&b);
}

void ln_http_channel_stale(struct ln_http_channel *c) {
  ln_bytes_unref(c->head);
  c->head = NULL;
}

void ln_http_channel_forget(struct ln_http_channel *c) {
  ln_bytes_unref(c->session);
  c->session = NULL;
  ln_http_channel_stale(c);
}

/* --- posts --- */

/* The others' responses are read on while the channel is paused: their senders' queue moves. */
static bool brings_messages(const struct ln_http_post *p) {
  if (p->kind == LN_POST_REQUEST) return !p->c->sse;
  return p->kind == LN_POST_LISTEN || p->kind == LN_POST_STREAM;
}

struct ln_http_post *ln_http_post_new(struct ln_http_channel *c, enum ln_http_post_kind kind,
                                      size_t n_parts, size_t extra) {
  struct ln_http_post *p = ln_zalloc(sizeof *p + n_parts * sizeof p->parts[0] + extra);
  if (!p) return NULL;
  p->c = c;
  p->kind = kind;
  p->n_parts = n_parts;
  p->retry_ms = -1;
  p->call.ops = &ln_http_post_ops;
  p->call.paused = c->paused && brings_messages(p);
  p->call.pool = c->pool;
  ln_list_init(&p->call.link);
  ln_timer_init(&p->timer);
  ln_buf_init(&p->text, c->pool->max_message);
  ln_buf_init(&p->last_id, LN_CHANNEL_ID_MAX);
  ln_sse_init(&p->sse, c->pool->max_message);
  ln_list_push(&c->posts, &p->link);
  return p;
}

static void forget_unsent(struct ln_http_post *p) {
  struct ln_http_channel *c = p->c;
  if (!p->unsent) return;
  p->unsent = false;
  c->unsent--;
  c->unsent_bytes -= p->bytes;
  if (c->full && c->unsent <= LN_CHANNEL_LOW && c->unsent_bytes <= LN_CHANNEL_LOW_BYTES) {
    c->full = false;
    c->drain_due = true;
    ln_task_post(c->pool->loop, &c->task, on_task);
  }
}

static void on_unacknowledged(struct ln_timer *t) {
  struct ln_http_post *p = LN_CONTAINER(t, struct ln_http_post, timer);
  ln_http_post_fail(p, LN_ETIMEOUT, 0, "the server didn't say in time that it has the message");
}

/* Few answers are under way at once: a server that doesn't acknowledge them may not hold up the
 * rest for ever. It gets thrice the time that a connection may take. */
void ln_http_channel_sent(struct ln_http_post *p) {
  struct ln_http_channel *c = p->c;
  forget_unsent(p);
  if (p->call.lane != LN_LANE_ANSWER || p->kind == LN_POST_DELETE) return;
  uint64_t ms = c->pool->conf->connect_timeout_ms;
  if (!ms) ms = LN_POOL_CONNECT_MS;
  ln_timer_start(c->pool->loop, &p->timer, 3 * ms, on_unacknowledged);
}

void ln_http_post_free(struct ln_http_post *p) {
  ln_http_call_cancel(&p->call);
  ln_list_remove(&p->call.link); /* held ones; the others are in no list now */
  p->held = false;
  ln_timer_stop(&p->timer);
  forget_unsent(p);
  if (p->c->opening == p) p->c->opening = NULL;
  if (p->c->undecided == p) p->c->undecided = NULL;
  if (p->busy) {
    p->dead = true;
    return;
  }
  for (size_t i = 0; i < p->n_parts; i++) ln_bytes_unref(p->parts[i].owner);
  if (p->url) ln_url_deinit(p->url);
  free(p->url);
  ln_bytes_unref(p->whole);
  ln_buf_deinit(&p->text);
  ln_buf_deinit(&p->last_id);
  ln_sse_deinit(&p->sse);
  if (p->c->stream == p) p->c->stream = NULL;
  ln_list_remove(&p->link);
  free(p);
}

/* What waited for the session to be open goes out in its order. */
static void release_held(struct ln_http_channel *c) {
  LN_LIST_DRAIN(it, &c->held) {
    struct ln_http_call *x = LN_CONTAINER(it, struct ln_http_call, link);
    LN_CONTAINER(x, struct ln_http_post, call)->held = false;
    ln_http_pool_submit(c->pool, x);
  }
}

void ln_http_post_done(struct ln_http_post *p, bool accepted) {
  struct ln_http_channel *c = p->c;
  bool opens = p->opens;
  ln_http_post_free(p);
  if (opens) {
    bool listen = accepted && c->listens && !c->closing;
    c->listens = false;
    if (!listen || !ln_http_channel_listen(c)) release_held(c);
  }
  if (c->closing) close_step(c);
}

void ln_http_post_opened(struct ln_http_post *p) {
  struct ln_http_channel *c = p->c;
  if (!p->opens) return;
  p->opens = false;
  if (c->opening == p) c->opening = NULL;
  release_held(c);
}

/* Frees those of the posts; what waited for one of them to open the session waits no more. */
static void drop_posts(struct ln_http_channel *c, bool (*which)(const struct ln_http_post *)) {
  bool opening = c->opening != NULL;
  LN_LIST_EACH(it, &c->posts) {
    struct ln_http_post *p = LN_CONTAINER(it, struct ln_http_post, link);
    if (which(p)) ln_http_post_free(p);
  }
  if (opening && !c->opening) release_held(c);
}

/* --- sending --- */

/* The bytes between head and end, and what of them has no owner to keep it. */
static size_t measure(const struct ln_iov *parts, size_t n, size_t *unowned) {
  size_t total = 0;
  *unowned = 0;
  for (size_t i = 0; i < n; i++) {
    total += parts[i].n;
    if (!parts[i].owner) *unowned += parts[i].n;
  }
  return total;
}

static void set_head(struct ln_http_post *p) {
  struct ln_bytes *head = p->c->head;
  p->parts[1] = (struct ln_iov){head->data, head->len, ln_bytes_ref(head)};
  p->call.parts = &p->parts[1];
  p->call.n_parts = p->n_parts - 1;
}

static void fill_parts(struct ln_http_post *p, const struct ln_iov *parts, size_t n) {
  char *copy = (char *)&p->parts[p->n_parts];
  size_t len = ln_digits(p->length, p->bytes, 10);
  memcpy(p->length + len, "\r\n\r\n", 4);
  set_head(p);
  p->parts[2] = (struct ln_iov){p->length, len + 4, NULL};
  for (size_t i = 0; i < n; i++) {
    struct ln_iov *to = &p->parts[3 + i];
    *to = parts[i];
    if (to->owner) {
      ln_bytes_ref(to->owner);
    } else if (to->n) {
      memcpy(copy, to->p, to->n);
      to->p = copy;
      copy += to->n;
    }
  }
}

void ln_http_channel_resend(struct ln_http_post *p) {
  struct ln_http_channel *c = p->c;
  if (!c->head && build_post_head(c)) {
    ln_http_post_fail(p, LN_ENOMEM, 0, ln_err_text(LN_ENOMEM));
    return;
  }
  ln_bytes_unref(p->whole);
  p->whole = NULL;
  p->got = p->skipped = 0;
  ln_buf_clear(&p->text);
  if (p->url) ln_url_deinit(p->url);
  free(p->url);
  p->url = NULL;
  p->status = p->redirects = 0;
  p->mode = LN_MODE_NONE;
  p->outcome = LN_OUTCOME_FINE;
  p->had_session = c->session || c->sse;
  ln_bytes_unref(p->parts[1].owner);
  set_head(p);
  ln_http_pool_submit(c->pool, &p->call);
}

static bool listens(const struct ln_http_post *p) {
  return p->kind == LN_POST_LISTEN;
}

/* A new session on the same channel. */
static void start_over(struct ln_http_channel *c) {
  drop_posts(c, listens);
  ln_http_channel_forget(c);
  c->version[0] = 0;
  c->lost = c->expects = c->listens = false;
}

static int channel_send(struct ln_channel *base, const struct ln_iov *parts, size_t n,
                        const struct ln_channel_note *note) {
  struct ln_http_channel *c = of(base);
  if (c->closing) return LN_ECLOSED;
  size_t unowned, bytes = measure(parts, n, &unowned);
  if (c->unsent >= LN_CHANNEL_HARD || bytes > LN_CHANNEL_HARD_BYTES ||
      c->unsent_bytes > LN_CHANNEL_HARD_BYTES - bytes) {
    return LN_ELIMIT;
  }
  bool initialize = note->kind == LN_NOTE_REQUEST && note->initialize;
  if (initialize) start_over(c);
  if (!c->head && build_post_head(c)) return LN_ENOMEM;
  struct ln_http_post *p = ln_http_post_new(c, (enum ln_http_post_kind)note->kind, 3 + n, unowned);
  if (!p) return LN_ENOMEM;
  p->tag = note->tag;
  p->bytes = bytes;
  p->initialize = initialize;
  p->had_session = c->session || c->sse;
  p->call.lane = note->kind == LN_NOTE_REQUEST ? LN_LANE_REQUEST : LN_LANE_ANSWER;
  fill_parts(p, parts, n);
  p->unsent = true;
  c->unsent++;
  c->unsent_bytes += bytes;
  if ((c->opening || c->undecided) && !initialize) {
    p->held = true;
    ln_list_push(&c->held, &p->call.link);
  } else {
    if (note->kind == LN_NOTE_NOTIFICATION && c->expects) {
      c->expects = false;
      p->opens = true;
      c->opening = p;
    }
    ln_http_pool_submit(c->pool, &p->call);
  }
  if (c->unsent < LN_CHANNEL_HIGH && c->unsent_bytes < LN_CHANNEL_HIGH_BYTES) return LN_OK;
  c->full = true;
  return LN_EFULL;
}

static void channel_initialized(struct ln_channel *base, const char *version, bool listen) {
  struct ln_http_channel *c = of(base);
  size_t n = strlen(version);
  bool ok = n > 0 && n < sizeof c->version;
  for (size_t i = 0; ok && i < n; i++) ok = version[i] > 0x20 && version[i] < 0x7f;
  snprintf(c->version, sizeof c->version, "%s", ok ? version : "");
  ln_http_channel_stale(c);
  c->expects = true;
  c->listens = listen && !c->sse;
  c->base.deaf = !c->session && !c->sse;
}

/* The rest of a response is read for a moment: it is mostly just the end, and a connection that
 * can be kept is worth more than one closed at once. */
static void channel_abandon(struct ln_channel *base, uint64_t tag) {
  struct ln_http_channel *c = of(base);
  struct ln_http_post *p = c->delivering;
  if (!tag) return;
  if (!p || p->tag != tag) {
    p = NULL;
    LN_LIST_EACH(it, &c->posts) {
      struct ln_http_post *each = LN_CONTAINER(it, struct ln_http_post, link);
      if (each->tag == tag) p = each;
    }
  }
  if (!p || p->abandoned) return;
  p->abandoned = true;
  p->mode = LN_MODE_SKIP;
  if (p->call.state == LN_CALL_ACTIVE) {
    ln_http_post_skip_rest(p);
  } else if (!p->busy) {
    ln_http_post_done(p, false); /* it was never sent, or waits to be resumed */
  }
}

static void set_paused(struct ln_http_channel *c, bool paused) {
  c->paused = paused;
  LN_LIST_EACH(it, &c->posts) {
    struct ln_http_post *p = LN_CONTAINER(it, struct ln_http_post, link);
    if (brings_messages(p)) ln_http_call_pause(&p->call, paused);
  }
}

static void channel_pause(struct ln_channel *base) {
  set_paused(of(base), true);
}

static void channel_resume(struct ln_channel *base) {
  set_paused(of(base), false);
}

/* --- the end --- */

static void finish(struct ln_http_channel *c) {
  LN_LIST_EACH(it, &c->posts) ln_http_post_free(LN_CONTAINER(it, struct ln_http_post, link));
  ln_timer_stop(&c->timer);
  c->finished = true;
  ln_task_post(c->pool->loop, &c->task, on_task);
}

static void on_close_timeout(struct ln_timer *t) {
  finish(LN_CONTAINER(t, struct ln_http_channel, timer));
}

static bool send_delete(struct ln_http_channel *c) {
  struct ln_http_post *p = ln_http_post_new(c, LN_POST_DELETE, 2, 0);
  struct ln_bytes *head =
      p ? ln_http_channel_head(c, "DELETE", &c->pool->route.url, LN_STR_NONE) : NULL;
  c->deleted = true;
  if (!head) return false;
  p->parts[1] = (struct ln_iov){head->data, head->len, head};
  p->call.parts = &p->parts[1];
  p->call.n_parts = 1;
  p->call.lane = LN_LANE_ANSWER;
  p->call.idempotent = true;
  ln_http_pool_submit(c->pool, &p->call);
  return true;
}

/* Once the last answers are out, DELETE or the end of the stream; once that is answered, the end.
 */
static void close_step(struct ln_http_channel *c) {
  LN_LIST_EACH(it, &c->posts) {
    if (LN_CONTAINER(it, struct ln_http_post, link) != c->stream) return;
  }
  if (c->finished) return;
  if (c->session && !c->lost && !c->deleted && send_delete(c)) return;
  finish(c);
}

void ln_http_channel_fail(struct ln_http_channel *c, int err, const char *why, size_t own) {
  if (c->closing) return;
  c->closing = true;
  c->end_err = err;
  c->end_own = own;
  snprintf(c->end_why, sizeof c->end_why, "%s", why);
  finish(c);
}

static bool is_in_the_way(const struct ln_http_post *p) {
  bool last_words = p->kind == LN_POST_NOTIFICATION || p->kind == LN_POST_RESPONSE;
  return !last_words && p != p->c->stream;
}

static void channel_close(struct ln_channel *base) {
  struct ln_http_channel *c = of(base);
  if (c->closing) return;
  c->closing = true;
  drop_posts(c, is_in_the_way);
  ln_timer_start(c->pool->loop, &c->timer, LN_CHANNEL_CLOSE_MS, on_close_timeout);
  close_step(c);
}

/* Events that may not come from inside a call. */
static void on_task(struct ln_task *t) {
  struct ln_http_channel *c = LN_CONTAINER(t, struct ln_http_channel, task);
  const struct ln_channel_events *events = c->base.events;
  if (c->open_due && !c->closing) {
    c->open_due = false;
    ln_sse_open(c);
  }
  if (c->ready_due && !c->closing) {
    c->ready_due = false;
    c->readied = true;
    events->ready(c->base.arg);
  }
  if (c->drain_due && !c->closing) {
    c->drain_due = false;
    events->drain(c->base.arg);
  }
  if (!c->finished) return;
  struct ln_http_pool *pool = c->pool;
  ln_http_channel_forget(c);
  ln_task_cancel(&c->task);
  c->base.own = c->end_own;
  events->closed(c->base.arg, c->end_err, c->end_err ? c->end_why : "closed");
  if (c->endpoint) ln_url_deinit(c->endpoint);
  free(c->endpoint);
  free(c);
  ln_http_pool_drop(pool);
}

static const struct ln_channel_ops channel_ops = {
    .send = channel_send,
    .initialized = channel_initialized,
    .abandon = channel_abandon,
    .pause = channel_pause,
    .resume = channel_resume,
    .close = channel_close,
};
