/* See fetch.h.
 *
 * Invariants
 * - A fetch under way has an origin and counts as one of its users; one that ended has none.
 * - An origin without users is kept, up to KEPT of them, for the connections it may have; the one
 *   that was used last comes first.
 * - After ops were called nothing here is touched any more: they may have freed the fetch. */
#include "transport/fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "transport/http_pool.h"

enum { KEPT = 32, HEAD_MAX = 64 * 1024 };

/* What a header is to a redirect. */
enum line_class {
  LINE_PRIVATE, /* for the origin it was meant for */
  LINE_PLAIN,   /* for all */
  LINE_CONTENT, /* describes the body, and goes with it */
  LINE_CLASSES
};

struct origin {
  struct ln_list link;
  struct ln_fetcher *fetcher;
  struct ln_http_conf conf;
  struct ln_http_pool *pool;
  unsigned users;
  char text[]; /* "https://host:443", a URL of its own */
};

struct ln_fetcher {
  struct ln_loop *loop;
  void (*asked)(void *arg, unsigned id, struct ln_str head, struct ln_str body); /* diverted */
  void *asked_arg;
  struct ln_list diverted; /* fetches */
  unsigned last_id;
  struct ln_list origins;
  size_t n_unused;
  size_t n_open; /* origins, with those that are being closed */
  bool closing;
  struct ln_task task;
  void (*closed)(void *arg);
  void *closed_arg;
};

struct ln_fetch {
  struct ln_fetcher *fetcher;
  const struct ln_fetch_ops *ops;
  void *arg;
  struct ln_http_call call;
  struct origin *origin; /* NULL: over, or diverted */
  struct ln_list link;   /* in fetcher->diverted */
  unsigned id;           /* there; 0: it isn't */
  struct ln_url url;
  const char *method; /* own, or "GET" after a redirect */
  char *own_method;
  struct ln_buf lines[LINE_CLASSES];
  struct ln_bytes *body; /* counted; NULL: none */
  struct ln_buf head;    /* of the request */
  struct ln_iov parts[2];
  struct ln_timer deadline;
  uint64_t timeout_ms;
  unsigned redirects, left;
  char why[160];
};

/* --- origins --- */

static void fetcher_gone(struct ln_task *t) {
  struct ln_fetcher *f = LN_CONTAINER(t, struct ln_fetcher, task);
  void (*closed)(void *) = f->closed;
  void *arg = f->closed_arg;
  free(f);
  closed(arg);
}

static void origin_closed(void *arg) {
  struct origin *o = arg;
  struct ln_fetcher *f = o->fetcher;
  free(o);
  if (--f->n_open == 0 && f->closing) ln_task_post(f->loop, &f->task, fetcher_gone);
}

static void origin_close(struct origin *o) {
  ln_list_remove(&o->link);
  o->fetcher->n_unused--;
  ln_http_pool_close(o->pool, origin_closed, o);
}

static void origin_leave(struct origin *o) {
  struct ln_fetcher *f = o->fetcher;
  if (--o->users) return;
  if (++f->n_unused <= KEPT) return;
  struct origin *oldest = NULL;
  LN_LIST_EACH(l, &f->origins) {
    struct origin *it = LN_CONTAINER(l, struct origin, link);
    if (!it->users) oldest = it;
  }
  if (oldest) origin_close(oldest);
}

static struct origin *origin_new(struct ln_fetcher *f, struct ln_str text, const char **why) {
  struct origin *o = calloc(1, sizeof *o + text.n + 1);
  *why = "out of memory";
  if (!o) return NULL;
  memcpy(o->text, text.p, text.n);
  o->fetcher = f;
  o->conf = (struct ln_http_conf){.name = "lunette.http", .url = o->text};
  o->pool = ln_http_pool_new(f->loop, &o->conf, why);
  if (!o->pool) {
    free(o);
    return NULL;
  }
  ln_list_init(&o->link);
  f->n_open++;
  f->n_unused++;
  return o;
}

/* Finds or makes the origin of the fetch's URL; the fetch becomes one of its users. */
static int origin_enter(struct ln_fetch *x, const char **why) {
  struct ln_fetcher *f = x->fetcher;
  struct origin *o = NULL;
  struct ln_buf text;
  ln_buf_init(&text, LN_URL_MAX);
  int rc = ln_url_origin(&x->url, &text);
  *why = "out of memory";
  if (!rc) {
    LN_LIST_EACH(l, &f->origins) {
      struct origin *it = LN_CONTAINER(l, struct origin, link);
      if (ln_str_is(ln_buf_str(&text), it->text)) o = it;
    }
    if (!o) o = origin_new(f, ln_buf_str(&text), why);
  }
  ln_buf_deinit(&text);
  if (!o) return LN_EINVALID;
  ln_list_remove(&o->link);
  ln_list_push(f->origins.next, &o->link);
  if (o->users++ == 0) f->n_unused--;
  x->origin = o;
  return LN_OK;
}

struct ln_fetcher *ln_fetcher_new(struct ln_loop *l) {
  struct ln_fetcher *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->loop = l;
  ln_list_init(&f->origins);
  ln_list_init(&f->diverted);
  ln_task_init(&f->task);
  return f;
}

void ln_fetcher_divert(struct ln_fetcher *f,
                       void (*asked)(void *arg, unsigned id, struct ln_str head,
                                     struct ln_str body),
                       void *arg) {
  f->asked = asked;
  f->asked_arg = arg;
}

void ln_fetcher_close(struct ln_fetcher *f, void (*closed)(void *arg), void *arg) {
  LN_ASSERT(f->n_open >= f->n_unused);
  f->closing = true;
  f->closed = closed;
  f->closed_arg = arg;
  if (!f->n_open) ln_task_post(f->loop, &f->task, fetcher_gone);
  LN_LIST_EACH(l, &f->origins) {
    struct origin *o = LN_CONTAINER(l, struct origin, link);
    LN_ASSERT(o->users == 0);
    origin_close(o);
  }
}

/* --- what is asked --- */

static enum line_class class_of(struct ln_str line) {
  static const struct {
    const char *name;
    enum line_class class;
  } known[] = {{"accept", LINE_PLAIN},
               {"accept-language", LINE_PLAIN},
               {"accept-encoding", LINE_PLAIN},
               {"user-agent", LINE_PLAIN},
               {"content-type", LINE_CONTENT},
               {"content-encoding", LINE_CONTENT},
               {"content-language", LINE_CONTENT}};
  const char *colon = memchr(line.p, ':', line.n);
  struct ln_str name = {line.p, colon ? (size_t)(colon - line.p) : 0};
  for (size_t i = 0; i < LN_COUNT(known); i++)
    if (ln_str_iis(name, known[i].name)) return known[i].class;
  return LINE_PRIVATE;
}

static bool has_line(const struct ln_buf *lines, const char *name) {
  struct ln_str s = ln_buf_str(lines);
  size_t n = strlen(name);
  for (size_t i = 0; i + n < s.n; i++) {
    if (ln_str_iis((struct ln_str){s.p + i, n}, name) && s.p[i + n] == ':') return true;
    const char *end = memchr(s.p + i, '\n', s.n - i);
    if (!end) break;
    i = (size_t)(end - s.p);
  }
  return false;
}

static int append_lines(struct ln_fetch *x, const char *const *headers, const char **why) {
  for (; headers && *headers; headers++) {
    struct ln_str line = ln_str_c(*headers);
    int rc = ln_http_append_line(&x->lines[class_of(line)], line, false, why);
    if (rc) return rc;
  }
  return LN_OK;
}

static void append_defaults(const struct ln_fetch *x, struct ln_buf *out) {
  static const char *const defaults[][2] = {
      {"Accept", "*/*"}, {"Accept-Encoding", "identity"}, {"User-Agent", "lunette/" LN_VERSION}};
  for (size_t i = 0; i < LN_COUNT(defaults); i++) {
    if (has_line(&x->lines[LINE_PLAIN], defaults[i][0])) continue;
    ln_buf_printf(out, "%s: %s\r\n", defaults[i][0], defaults[i][1]);
  }
}

static void append_given(const struct ln_fetch *x, struct ln_buf *out) {
  for (size_t i = 0; i < LINE_CLASSES; i++) ln_buf_append_str(out, ln_buf_str(&x->lines[i]));
}

static int build_head(struct ln_fetch *x) {
  struct ln_buf *out = &x->head;
  const struct ln_http_route *route = &x->origin->pool->route;
  ln_buf_clear(out);
  ln_http_route_line(route, x->method, &x->url, out);
  ln_buf_append_c(out, "Host: ");
  ln_url_authority(&x->url, false, out);
  ln_buf_append_c(out, "\r\n");
  ln_buf_append_str(out, ln_buf_str(&route->proxy_auth));
  append_defaults(x, out);
  append_given(x, out);
  bool expected = strcmp(x->method, "POST") == 0 || strcmp(x->method, "PUT") == 0 ||
                  strcmp(x->method, "PATCH") == 0;
  if (x->body || expected) ln_buf_printf(out, "Content-Length: %zu\r\n", ln_bytes_str(x->body).n);
  return ln_buf_append_c(out, "\r\n");
}

/* --- on its way --- */

static const struct ln_http_call_ops call_ops;

static bool harmless_twice(const char *method) {
  static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
  for (size_t i = 0; i < LN_COUNT(methods); i++)
    if (strcmp(method, methods[i]) == 0) return true;
  return false;
}

static int divert(struct ln_fetch *x, const char **why) {
  struct ln_fetcher *f = x->fetcher;
  ln_buf_clear(&x->head);
  ln_buf_printf(&x->head, "%s ", x->method);
  ln_url_origin(&x->url, &x->head);
  ln_buf_append_str(&x->head, x->url.target);
  ln_buf_append_c(&x->head, "\r\n");
  append_given(x, &x->head);
  int rc = ln_buf_error(&x->head);
  *why = "out of memory";
  if (rc) return rc;
  x->id = ++f->last_id;
  ln_list_push(&f->diverted, &x->link);
  f->asked(f->asked_arg, x->id, ln_buf_str(&x->head), ln_bytes_str(x->body));
  return LN_OK;
}

/* To where x->url says. */
static int go(struct ln_fetch *x, const char **why) {
  if (x->fetcher->asked) return divert(x, why);
  int rc = origin_enter(x, why);
  if (rc) return rc;
  rc = build_head(x);
  if (rc) {
    *why = rc == LN_ELIMIT ? "the headers are too long" : "out of memory";
    origin_leave(x->origin);
    x->origin = NULL;
    return rc;
  }
  x->parts[0] = (struct ln_iov){.p = x->head.data, .n = x->head.len};
  if (x->body) x->parts[1] = (struct ln_iov){x->body->data, x->body->len, x->body};
  bool paused = x->call.paused;
  x->call = (struct ln_http_call){.ops = &call_ops,
                                  .parts = x->parts,
                                  .n_parts = x->body && x->body->len ? 2 : 1,
                                  .lane = LN_LANE_REQUEST,
                                  .idempotent = harmless_twice(x->method),
                                  .head_only = strcmp(x->method, "HEAD") == 0,
                                  .paused = paused};
  ln_http_pool_submit(x->origin->pool, &x->call);
  return LN_OK;
}

static void leave(struct ln_fetch *x) {
  if (x->id) ln_list_remove(&x->link);
  x->id = 0;
  if (!x->origin) return;
  ln_http_call_cancel(&x->call);
  origin_leave(x->origin);
  x->origin = NULL;
}

static void over(struct ln_fetch *x, int err, const char *why) {
  leave(x);
  ln_timer_stop(&x->deadline);
  x->ops->end(x->arg, err, why);
}

static void on_deadline(struct ln_timer *t) {
  struct ln_fetch *x = LN_CONTAINER(t, struct ln_fetch, deadline);
  snprintf(x->why, sizeof x->why, "no whole response within %g s", (double)x->timeout_ms / 1000);
  over(x, LN_ETIMEOUT, x->why);
}

static void on_sent(struct ln_http_call *call) {
  (void)call;
}

static bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where the head's Location leads; LN_OK: x->url is that now. */
static int turn(struct ln_fetch *x, int status, struct ln_str location, const char **why) {
  struct ln_url url;
  int rc = ln_url_resolve(&url, &x->url, location, why);
  if (rc) {
    snprintf(x->why, sizeof x->why, "the redirect's Location is not usable: %s", *why);
    *why = x->why;
    return rc;
  }
  if (x->url.tls && !url.tls) {
    ln_url_deinit(&url);
    *why = "the redirect leads from https to http, and is not followed";
    return LN_EINVALID;
  }
  if (!ln_url_same_origin(&x->url, &url)) ln_buf_clear(&x->lines[LINE_PRIVATE]);
  ln_url_deinit(&x->url);
  x->url = url;
  bool post = strcmp(x->method, "POST") == 0, head = strcmp(x->method, "HEAD") == 0;
  if ((status == 303 && !head) || (status < 303 && post)) {
    x->method = "GET";
    ln_bytes_unref(x->body);
    x->body = NULL;
    ln_buf_clear(&x->lines[LINE_CONTENT]);
  }
  return LN_OK;
}

static void redirect(struct ln_fetch *x, int status, struct ln_str location) {
  const char *why = x->why;
  int rc = LN_ELIMIT;
  if (x->left == 0) {
    snprintf(x->why, sizeof x->why, "more than %u redirects", x->redirects);
  } else {
    x->left--;
    rc = turn(x, status, location, &why);
    leave(x);
    if (!rc) rc = go(x, &why);
  }
  if (rc) over(x, rc, why);
}

static void take_head(struct ln_fetch *x, const struct ln_http_head *head) {
  unsigned count = 0;
  struct ln_str location = ln_http_header(head, "location", &count);
  if (x->redirects && is_redirect(head->status) && count == 1) {
    redirect(x, head->status, location);
    return;
  }
  if (x->origin) ln_http_call_stream(&x->call); /* others need not wait for the end of a long one */
  x->ops->head(x->arg, head, &x->url);
}

static void on_head(struct ln_http_call *call, const struct ln_http_head *head) {
  take_head(LN_CONTAINER(call, struct ln_fetch, call), head);
}

static void on_body(struct ln_http_call *call, struct ln_str piece) {
  struct ln_fetch *x = LN_CONTAINER(call, struct ln_fetch, call);
  x->ops->body(x->arg, piece);
}

static void on_end(struct ln_http_call *call, int err, const char *why) {
  over(LN_CONTAINER(call, struct ln_fetch, call), err, why);
}

static const struct ln_http_call_ops call_ops = {on_sent, on_head, on_body, on_end};

/* --- answers from elsewhere --- */

static struct ln_fetch *find(const struct ln_fetcher *f, unsigned id) {
  LN_LIST_EACH(l, &f->diverted) {
    struct ln_fetch *x = LN_CONTAINER(l, struct ln_fetch, link);
    if (x->id == id) return x;
  }
  return NULL;
}

bool ln_fetcher_answer(struct ln_fetcher *f, unsigned id, struct ln_str response, const char *why) {
  struct ln_fetch *x = find(f, id);
  if (!x) return false;
  if (!response.p) {
    over(x, LN_ECLOSED, why);
    return true;
  }
  struct ln_http h;
  ln_http_init(&h, LN_HTTP_RESPONSE, HEAD_MAX, 0);
  /* The callbacks may end it, or send it elsewhere. */
  for (bool more = true; more && (x = find(f, id));) {
    switch (ln_http_next(&h, &response)) {
      case LN_HTTP_HEAD: take_head(x, &h.head); break;
      case LN_HTTP_BODY: x->ops->body(x->arg, h.body); break;
      case LN_HTTP_ERROR: over(x, h.error, h.why); break;
      case LN_HTTP_MORE: over(x, LN_ECLOSED, "the response is not whole"); break;
      case LN_HTTP_END:
        more = false;
        over(x, LN_OK, NULL);
        break;
    }
  }
  ln_http_deinit(&h);
  return true;
}

/* --- its life --- */

static int prepare(struct ln_fetch *x, const struct ln_fetch_conf *conf, const char **why) {
  *why = "the method is not one";
  if (!ln_http_is_token(ln_str_c(conf->method)) || strcmp(conf->method, "CONNECT") == 0)
    return LN_EINVALID;
  int rc = ln_url_parse(&x->url, ln_str_c(conf->url), LN_URL_DROP_FRAGMENT, why);
  if (!rc) rc = append_lines(x, conf->headers, why);
  if (rc) return rc;
  *why = "out of memory";
  x->method = x->own_method = strdup(conf->method);
  if (conf->body.p) x->body = ln_bytes_copy(conf->body.p, conf->body.n);
  if (!x->own_method || (conf->body.p && !x->body)) return LN_ENOMEM;
  return go(x, why);
}

struct ln_fetch *ln_fetch_new(struct ln_fetcher *f, const struct ln_fetch_conf *conf,
                              const struct ln_fetch_ops *ops, void *arg, const char **why) {
  struct ln_fetch *x = calloc(1, sizeof *x);
  *why = "out of memory";
  if (!x) return NULL;
  x->fetcher = f;
  x->ops = ops;
  x->arg = arg;
  x->redirects = x->left = conf->redirects;
  x->timeout_ms = conf->timeout_ms;
  ln_timer_init(&x->deadline);
  ln_list_init(&x->link);
  for (size_t i = 0; i < LINE_CLASSES; i++) ln_buf_init(&x->lines[i], HEAD_MAX);
  ln_buf_init(&x->head, HEAD_MAX);
  int rc = LN_ECLOSED;
  if (f->closing)
    *why = "Lunette is ending";
  else
    rc = prepare(x, conf, why);
  if (rc) {
    ln_fetch_free(x);
    return NULL;
  }
  ln_timer_start(f->loop, &x->deadline, conf->timeout_ms, on_deadline);
  return x;
}

void ln_fetch_pause(struct ln_fetch *x, bool paused) {
  if (x->origin && x->call.paused != paused) ln_http_call_pause(&x->call, paused);
}

void ln_fetch_free(struct ln_fetch *x) {
  if (!x) return;
  leave(x);
  ln_timer_stop(&x->deadline);
  ln_url_deinit(&x->url);
  for (size_t i = 0; i < LINE_CLASSES; i++) ln_buf_deinit(&x->lines[i]);
  ln_buf_deinit(&x->head);
  ln_bytes_unref(x->body);
  free(x->own_method);
  free(x);
}
