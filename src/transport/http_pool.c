/* Which call goes on which connection; see http_pool.h.
 *
 * `dispatch` is the one place where calls start and connections are opened: everything that
 * changes what is free or wanted ends there. */
#include "transport/http_pool.h"

#include <stdio.h>
#include <stdlib.h>

enum { SWEEP_MS = 1000 };

#ifndef LN_VERSION
#define LN_VERSION "0"
#endif

static void dispatch(struct ln_http_pool *p);
static void on_task(struct ln_task *t);
static void on_sweep(struct ln_timer *t);

/* --- making --- */

/* What is Lunette's to say: what would change the framing, and towards servers what MCP uses. */
static bool is_ours(struct ln_str name, bool mcp) {
  static const char *const framing[] = {"host",
                                        "content-length",
                                        "transfer-encoding",
                                        "connection",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "keep-alive",
                                        "expect",
                                        "proxy-connection",
                                        "proxy-authorization"};
  static const char *const ours[] = {"content-type",         "accept",        "mcp-session-id",
                                     "mcp-protocol-version", "last-event-id", "accept-encoding"};
  for (size_t i = 0; i < LN_COUNT(framing); i++)
    if (ln_str_iis(name, framing[i])) return true;
  for (size_t i = 0; i < LN_COUNT(ours) && mcp; i++)
    if (ln_str_iis(name, ours[i])) return true;
  return false;
}

bool ln_http_is_token(struct ln_str s) {
  for (size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!alnum && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c))) return false;
  }
  return s.n > 0;
}

int ln_http_append_line(struct ln_buf *out, struct ln_str line, bool mcp, const char **why) {
  const char *colon = memchr(line.p, ':', line.n);
  struct ln_str name = {line.p, colon ? (size_t)(colon - line.p) : 0};
  *why = NULL;
  if (!colon || !ln_http_is_token(name)) {
    *why = "a header is not of the form 'Name: value'";
  } else if (is_ours(name, mcp)) {
    *why = "a header is one of those that Lunette sets itself";
  } else if (!ln_http_value_ok((struct ln_str){colon + 1, line.n - name.n - 1})) {
    *why = "a header's value holds a control character";
  }
  if (*why) return ln_buf_fail(out, LN_EINVALID);
  struct ln_str value = ln_str_trim((struct ln_str){colon + 1, line.n - name.n - 1});
  ln_buf_append_str(out, name);
  ln_buf_append_c(out, ": ");
  ln_buf_append_str(out, value);
  int rc = ln_buf_append_c(out, "\r\n");
  if (rc) *why = "the headers are too long";
  return rc;
}

/* Host first, as the RFC would have it. */
static int build_common(struct ln_http_pool *p, const char **why) {
  const char *const *h = p->conf->headers;
  bool agent = false;
  ln_buf_append_c(&p->common, "Host: ");
  ln_url_authority(&p->route.url, false, &p->common);
  ln_buf_append_c(&p->common, "\r\nAccept-Encoding: identity\r\n");
  ln_buf_append_str(&p->common, ln_buf_str(&p->route.proxy_auth));
  for (; h && *h; h++) {
    struct ln_str line = ln_str_c(*h);
    agent = agent || ln_str_iis((struct ln_str){line.p, LN_MIN(line.n, 11)}, "user-agent:");
    int rc = ln_http_append_line(&p->common, line, true, why);
    if (rc) return rc;
  }
  if (!agent) ln_buf_append_c(&p->common, "User-Agent: lunette/" LN_VERSION "\r\n");
  *why = "the headers are too long";
  return ln_buf_error(&p->common);
}

struct ln_http_pool *ln_http_pool_new(struct ln_loop *l, const struct ln_http_conf *conf,
                                      const char **why) {
  struct ln_http_pool *p = calloc(1, sizeof *p);
  *why = "out of memory";
  if (!p) return NULL;
  struct ln_tls_conf tls = {.no_verify = conf->tls_no_verify, .ca_file = conf->tls_ca_file};
  if (ln_http_route_init(&p->route, conf->url, &tls, why)) {
    free(p);
    return NULL;
  }
  p->loop = l;
  p->conf = conf;
  p->max_message = conf->max_message ? conf->max_message : LN_POOL_MESSAGE;
  p->limits[LN_LANE_REQUEST] = conf->max_open ? conf->max_open : LN_POOL_OPEN;
  p->limits[LN_LANE_ANSWER] = LN_POOL_ANSWERS;
  p->limits[LN_LANE_STREAM] = UINT32_MAX;
  for (int i = 0; i < LN_LANES; i++) ln_list_init(&p->waiting[i]);
  ln_list_init(&p->failed);
  ln_list_init(&p->clients);
  ln_list_init(&p->idle);
  ln_task_init(&p->task);
  ln_timer_init(&p->sweep);
  ln_buf_init(&p->common, LN_POOL_HEAD);
  snprintf(p->topic, sizeof p->topic, "upstream %s", conf->name);
  if (build_common(p, why)) {
    ln_buf_deinit(&p->common);
    ln_http_route_deinit(&p->route);
    free(p);
    return NULL;
  }
  return p;
}

/* --- the end --- */

/* A connection that has no call and is in no count but n_clients. */
static void shut(struct ln_http_pool *p, struct ln_http_client *c) {
  p->n_closing++;
  ln_http_client_close(c);
}

void ln_http_pool_lost(struct ln_http_pool *p, struct ln_http_client *c) {
  ln_list_remove(&c->idle);
  p->n_idle--;
  shut(p, c);
}

void ln_http_pool_close_idle(struct ln_http_pool *p) {
  LN_LIST_EACH(it, &p->idle) {
    ln_http_pool_lost(p, LN_CONTAINER(it, struct ln_http_client, idle));
  }
}

/* No channel is left that could need a connection. */
static void wind_up(struct ln_http_pool *p) {
  if (!p->closing || p->n_channels) return;
  ln_http_pool_close_idle(p);
  LN_LIST_EACH(it, &p->clients) {
    struct ln_http_client *c = LN_CONTAINER(it, struct ln_http_client, all);
    if (c->state < LN_CLIENT_IDLE) {
      p->n_connecting--;
      shut(p, c);
    }
  }
  if (!p->n_clients) ln_task_post(p->loop, &p->task, on_task);
}

void ln_http_pool_close(struct ln_http_pool *p, void (*closed)(void *arg), void *arg) {
  p->closing = true;
  p->closed = closed;
  p->closed_arg = arg;
  ln_http_pool_close_idle(p);
  wind_up(p);
}

void ln_http_pool_hold(struct ln_http_pool *p) {
  p->n_channels++;
}

void ln_http_pool_drop(struct ln_http_pool *p) {
  p->n_channels--;
  wind_up(p);
}

void ln_http_pool_gone(struct ln_http_pool *p, struct ln_http_client *c) {
  ln_list_remove(&c->all);
  p->n_clients--;
  p->n_closing--;
  wind_up(p);
}

static void free_pool(struct ln_http_pool *p) {
  void (*closed)(void *arg) = p->closed;
  void *arg = p->closed_arg;
  ln_task_cancel(&p->task);
  ln_timer_stop(&p->sweep);
  ln_buf_deinit(&p->common);
  ln_http_route_deinit(&p->route);
  free(p);
  if (closed) closed(arg);
}

/* What can't happen inside a call: ends that were known at once, and the pool's own. */
static void on_task(struct ln_task *t) {
  struct ln_http_pool *p = LN_CONTAINER(t, struct ln_http_pool, task);
  struct ln_list now; /* what is submitted again and fails again waits for the next turn */
  ln_list_init(&now);
  ln_list_move(&now, &p->failed);
  LN_LIST_DRAIN(it, &now) {
    struct ln_http_call *x = LN_CONTAINER(it, struct ln_http_call, link);
    x->state = LN_CALL_NONE;
    x->ops->end(x, x->err, ln_err_text(x->err));
  }
  dispatch(p);
  if (p->closing && !p->n_channels && !p->n_clients) free_pool(p);
}

/* --- idle connections --- */

static void put_idle(struct ln_http_pool *p, struct ln_http_client *c) {
  if (p->n_idle >= p->limits[LN_LANE_REQUEST] || c->idle_ms == 0) {
    shut(p, c);
    return;
  }
  c->state = LN_CLIENT_IDLE;
  c->idle_until = ln_loop_now(p->loop) + c->idle_ms;
  ln_list_push(&p->idle, &c->idle);
  p->n_idle++;
  if (!ln_timer_running(&p->sweep)) ln_timer_start(p->loop, &p->sweep, SWEEP_MS, on_sweep);
}

/* The one that was used last: the others time out. */
static struct ln_http_client *take_idle(struct ln_http_pool *p) {
  while (!ln_list_empty(&p->idle)) {
    struct ln_http_client *c = LN_CONTAINER(p->idle.prev, struct ln_http_client, idle);
    /* What the server has sent since its last response would be taken for the next one. */
    bool spoilt = c->answered && ln_stream_pending(c->stream);
    if (!spoilt && ln_loop_now(p->loop) < c->idle_until) {
      ln_list_remove(&c->idle);
      p->n_idle--;
      return c;
    }
    ln_http_pool_lost(p, c);
  }
  return NULL;
}

static void on_sweep(struct ln_timer *t) {
  struct ln_http_pool *p = LN_CONTAINER(t, struct ln_http_pool, sweep);
  LN_LIST_EACH(it, &p->idle) {
    struct ln_http_client *c = LN_CONTAINER(it, struct ln_http_client, idle);
    if (ln_loop_now(p->loop) >= c->idle_until) ln_http_pool_lost(p, c);
  }
  if (p->n_idle) ln_timer_start(p->loop, t, SWEEP_MS, on_sweep);
}

/* --- calls --- */

static void wait_turn(struct ln_http_pool *p, struct ln_http_call *x, bool first) {
  struct ln_list *list = &p->waiting[x->lane];
  x->state = LN_CALL_WAITING;
  ln_list_push(first ? list->next : list, &x->link);
  p->n_waiting[x->lane]++;
}

static void stop_waiting(struct ln_http_pool *p, struct ln_http_call *x) {
  ln_list_remove(&x->link);
  p->n_waiting[x->lane]--;
  x->state = LN_CALL_NONE;
}

/* Reports the end from the loop. */
static void fail_later(struct ln_http_pool *p, struct ln_http_call *x, int err) {
  x->state = LN_CALL_FAILED;
  x->err = err;
  ln_list_push(&p->failed, &x->link);
  ln_task_post(p->loop, &p->task, on_task);
}

static void start(struct ln_http_pool *p, struct ln_http_client *c, struct ln_http_call *x) {
  stop_waiting(p, x);
  int rc = ln_http_client_start(c, x);
  if (rc == LN_OK) {
    x->state = LN_CALL_ACTIVE;
    x->client = c;
    p->active[x->lane]++;
    x->ops->sent(x);
    return;
  }
  shut(p, c);
  if (rc == LN_ECLOSED && (c->reused || !x->retried)) { /* nothing of it was sent */
    if (!c->reused) x->retried = true;
    wait_turn(p, x, true);
  } else {
    fail_later(p, x, rc);
  }
}

static void dispatch(struct ln_http_pool *p) {
  static const enum ln_http_lane order[] = {LN_LANE_ANSWER, LN_LANE_STREAM, LN_LANE_REQUEST};
  unsigned wanted = 0;
  for (size_t i = 0; i < LN_COUNT(order); i++) {
    enum ln_http_lane lane = order[i];
    struct ln_http_client *c;
    while (p->n_waiting[lane] && p->active[lane] < p->limits[lane] && (c = take_idle(p))) {
      start(p, c, LN_CONTAINER(p->waiting[lane].next, struct ln_http_call, link));
    }
    wanted += LN_MIN(p->n_waiting[lane], p->limits[lane] - p->active[lane]);
  }
  while (p->n_connecting < wanted) {
    struct ln_http_client *c = ln_http_client_open(p);
    if (!c) break;
    ln_list_push(&p->clients, &c->all);
    p->n_clients++;
    p->n_connecting++;
  }
  if (p->n_connecting || !wanted || p->n_clients > p->n_closing + p->active[LN_LANE_STREAM]) return;
  /* Not one connection could be opened, and none is there that will be free one day: a stream's
   * need not end. */
  for (int i = 0; i < LN_LANES; i++) {
    while (p->n_waiting[i]) {
      struct ln_http_call *x = LN_CONTAINER(p->waiting[i].next, struct ln_http_call, link);
      stop_waiting(p, x);
      fail_later(p, x, LN_ENOMEM);
    }
  }
}

void ln_http_pool_submit(struct ln_http_pool *p, struct ln_http_call *x) {
  x->pool = p;
  x->client = NULL;
  x->retried = false;
  ln_list_init(&x->link);
  wait_turn(p, x, false);
  dispatch(p);
}

void ln_http_call_cancel(struct ln_http_call *x) {
  struct ln_http_pool *p = x->pool;
  if (x->state == LN_CALL_WAITING) {
    stop_waiting(p, x);
  } else if (x->state == LN_CALL_FAILED) {
    ln_list_remove(&x->link);
  } else if (x->state == LN_CALL_ACTIVE) {
    p->active[x->lane]--;
    x->client->call = NULL;
    shut(p, x->client);
    ln_task_post(p->loop, &p->task, on_task); /* there may be room for another */
  }
  x->state = LN_CALL_NONE;
  x->client = NULL;
}

void ln_http_call_stream(struct ln_http_call *x) {
  if (x->state != LN_CALL_ACTIVE || x->lane == LN_LANE_STREAM) return;
  x->pool->active[x->lane]--;
  x->lane = LN_LANE_STREAM;
  x->pool->active[LN_LANE_STREAM]++;
  if (x->pool->n_waiting[LN_LANE_REQUEST]) ln_task_post(x->pool->loop, &x->pool->task, on_task);
}

void ln_http_call_pause(struct ln_http_call *x, bool paused) {
  x->paused = paused;
  if (x->state != LN_CALL_ACTIVE) return;
  if (paused) {
    ln_stream_read_stop(x->client->stream);
  } else {
    ln_stream_read_start(x->client->stream);
  }
}

/* --- from connections --- */

void ln_http_pool_connected(struct ln_http_pool *p, struct ln_http_client *c) {
  p->n_connecting--;
  put_idle(p, c);
  dispatch(p);
}

/* One attempt failed. With no connection open the server counts as unreachable, and all
 * waiting calls fail; else only the next in turn, which keeps attempts as many as calls. */
void ln_http_pool_unreachable(struct ln_http_pool *p, struct ln_http_client *c, int err,
                              const char *why) {
  static const enum ln_http_lane order[] = {LN_LANE_REQUEST, LN_LANE_STREAM, LN_LANE_ANSWER};
  char text[512];
  struct ln_list ends;
  snprintf(text, sizeof text, "can't reach %s: %s", p->route.name, why);
  p->n_connecting--;
  shut(p, c);
  bool all = p->n_clients == p->n_connecting + p->n_closing;
  ln_list_init(&ends);
  for (size_t i = 0; i < LN_COUNT(order) && (all || ln_list_empty(&ends)); i++) {
    while (p->n_waiting[order[i]]) {
      struct ln_http_call *x = LN_CONTAINER(p->waiting[order[i]].next, struct ln_http_call, link);
      stop_waiting(p, x);
      x->state = LN_CALL_FAILED; /* so that a cancel from inside finds it */
      ln_list_push(&ends, &x->link);
      if (!all) break;
    }
  }
  LN_LIST_DRAIN(it, &ends) {
    struct ln_http_call *x = LN_CONTAINER(it, struct ln_http_call, link);
    x->state = LN_CALL_NONE;
    x->ops->end(x, err, text);
  }
  ln_task_post(p->loop, &p->task, on_task);
}

void ln_http_pool_finished(struct ln_http_pool *p, struct ln_http_client *c, int err,
                           const char *why, bool reusable) {
  struct ln_http_call *x = c->call;
  bool unread = x->idempotent || ln_stream_queued(c->stream) > 0;
  bool again = err == LN_ECLOSED && !c->answered && c->reused && unread && !x->retried;
  c->call = NULL;
  x->client = NULL;
  x->state = LN_CALL_NONE;
  p->active[x->lane]--;
  c->reused = true;
  if (again) {
    ln_http_pool_close_idle(
        p); /* they are of the same age, and the call must not meet another dead one */
    x->retried = true;
    wait_turn(p, x, true);
  }
  if (reusable) {
    put_idle(p, c);
  } else {
    shut(p, c);
  }
  dispatch(p);
  if (!again) x->ops->end(x, err, why);
}
