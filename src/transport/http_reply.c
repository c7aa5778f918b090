/* Replies of the HTTP server: heads put together on the stack, one vectored write each, SSE
 * events as one chunk each. Everything here runs inside a call of the owner's or of
 * http_connection.c; done is never called from here. */
#include <stdlib.h>

#include "transport/http_connection.h"
#include "wire/sse.h"

enum {
  MAX_TYPE = 256, /* a Content-Type; with it a head fits its place on the stack */
  HEAD_ROOM = 512 + MAX_TYPE,
  MAX_EXTRA = 6, /* parts that are ours in one write */
  FEW_PARTS = 12 /* the owner's parts that need no allocation */
};

/* A head under construction. What it is given is bounded above, so overflow is a bug. */
struct head {
  size_t n;
  char p[HEAD_ROOM];
};

/* One vectored write under construction. */
struct parts {
  struct ln_iov *v;
  size_t n;
  struct ln_iov few[MAX_EXTRA + FEW_PARTS];
};

static struct ln_http_connection *connection_of(struct ln_http_request *r);
static void start_head(struct ln_http_connection *c, struct head *h, int status);
static void put(struct head *h, const char *p, size_t n);
static void put_c(struct head *h, const char *s);
static void put_number(struct head *h, uint64_t n, unsigned base);
static void put_connection(struct ln_http_connection *c, struct head *h);
static int parts_init(struct parts *w, size_t n);
static void parts_add(struct parts *w, const char *p, size_t n, struct ln_bytes *owner);
static void parts_add_all(struct parts *w, const struct ln_iov *parts, size_t n);
static int parts_write(struct parts *w, struct ln_http_connection *c);
static int send_event(struct ln_http_connection *c, struct ln_str fields,
                      const struct ln_iov *parts, size_t n, struct ln_str tail);

int ln_http_reply(struct ln_http_request *r, int status, const char *type, const char *headers,
                  const struct ln_iov *parts, size_t n) {
  struct ln_http_connection *c = connection_of(r);
  if (!c || c->complete) return LN_ECLOSED;
  if (c->sse || status < 200 || status > 999) return LN_EINVALID;
  size_t type_n = type ? strlen(type) : 0;
  if (type_n > MAX_TYPE || !ln_http_value_ok((struct ln_str){type, type_n})) return LN_EINVALID;

  uint64_t total = 0;
  for (size_t i = 0; i < n; i++) total += parts[i].n;
  bool bodyless = status == 204 || status == 304;
  struct head h;
  start_head(c, &h, status);
  if (type) {
    put_c(&h, "Content-Type: ");
    put(&h, type, type_n);
    put_c(&h, "\r\n");
  }
  if (!bodyless) {
    put_c(&h, "Content-Length: ");
    put_number(&h, total, 10);
    put_c(&h, "\r\n");
  }
  put_connection(c, &h);
  if (!headers && !c->lines) put_c(&h, "\r\n");

  struct parts w;
  int rc = parts_init(&w, n);
  if (rc) return rc;
  parts_add(&w, h.p, h.n, NULL);
  if (c->lines) parts_add(&w, c->lines, strlen(c->lines), NULL);
  if (headers) parts_add(&w, headers, strlen(headers), NULL);
  if (headers || c->lines) parts_add(&w, "\r\n", 2, NULL);
  if (!bodyless && !c->head_only) parts_add_all(&w, parts, n);
  rc = parts_write(&w, c);
  if (rc && rc != LN_EFULL) return rc;
  ln_http_connection_complete(c, rc);
  return LN_OK;
}

int ln_http_reply_lines(struct ln_http_request *r, struct ln_str lines) {
  struct ln_http_connection *c = connection_of(r);
  if (!c) return LN_ECLOSED;
  ln_http_reply_forget(c);
  c->lines = strndup(lines.p, lines.n);
  return c->lines ? LN_OK : LN_ENOMEM;
}

int ln_http_sse_start(struct ln_http_request *r, const char *headers) {
  struct ln_http_connection *c = connection_of(r);
  if (!c || c->complete) return LN_ECLOSED;
  if (c->sse) return LN_EINVALID;
  struct head h;
  /* Without chunks the end of the connection is the end of the reply. */
  if (c->minor == 0) c->keep = false;
  start_head(c, &h, 200);
  put_c(&h,
        "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
        "X-Accel-Buffering: no\r\n");
  if (c->minor) put_c(&h, "Transfer-Encoding: chunked\r\n");
  put_connection(c, &h);

  /* The first event usually follows at once, and goes out in one write with the head. */
  ln_buf_append(&c->cork, h.p, h.n);
  if (c->lines) ln_buf_append_c(&c->cork, c->lines);
  if (headers) ln_buf_append_c(&c->cork, headers);
  int rc = ln_buf_append(&c->cork, "\r\n", 2);
  if (rc) {
    ln_buf_deinit(&c->cork);
    return rc;
  }
  c->sse = true;
  ln_http_connection_cork(c);
  return LN_OK;
}

int ln_http_sse_send(struct ln_http_request *r, struct ln_str id, const struct ln_iov *parts,
                     size_t n) {
  return ln_http_sse_event(r, LN_STR_NONE, id, parts, n);
}

int ln_http_sse_event(struct ln_http_request *r, struct ln_str type, struct ln_str id,
                      const struct ln_iov *parts, size_t n) {
  struct ln_http_connection *c = connection_of(r);
  if (!c || c->complete) return LN_ECLOSED;
  if (!c->sse) return LN_EINVALID;
  struct ln_buf *fields = &c->server->scratch;
  ln_buf_clear(fields);
  int rc = ln_sse_head(fields, type, id);
  if (rc) return rc;
  return send_event(c, ln_buf_str(fields), parts, n, LN_STR_LIT("\n\n"));
}

int ln_http_sse_retry(struct ln_http_request *r, uint64_t ms) {
  struct ln_http_connection *c = connection_of(r);
  if (!c || c->complete) return LN_ECLOSED;
  if (!c->sse) return LN_EINVALID;
  struct head h;
  h.n = 0;
  put_c(&h, "retry: ");
  put_number(&h, ms, 10);
  return send_event(c, (struct ln_str){h.p, h.n}, NULL, 0, LN_STR_LIT("\n\n"));
}

int ln_http_sse_comment(struct ln_http_request *r) {
  struct ln_http_connection *c = connection_of(r);
  if (!c || c->complete) return LN_ECLOSED;
  if (!c->sse) return LN_EINVALID;
  /* A peer that has not taken what there is needs no sign of life, and must not pile them up. */
  if (ln_stream_queued(c->stream)) return c->full ? LN_EFULL : LN_OK;
  return send_event(c, LN_STR_LIT(":"), NULL, 0, LN_STR_LIT("\n\n"));
}

void ln_http_sse_end(struct ln_http_request *r) {
  struct ln_http_connection *c = connection_of(r);
  if (!c || c->complete || !c->sse) return;
  struct parts w;
  int rc = parts_init(&w, 0);
  if (rc) return;
  if (c->minor && !c->head_only) parts_add(&w, "0\r\n\r\n", 5, NULL);
  rc = parts_write(&w, c);
  if (rc == LN_OK || rc == LN_EFULL) {
    ln_http_connection_complete(c, rc);
  } else {
    ln_http_connection_close(c);
  }
}

void ln_http_request_abort(struct ln_http_request *r) {
  struct ln_http_connection *c = connection_of(r);
  if (c) ln_http_connection_close(c);
}

/* --- for http_connection.c --- */

void ln_http_reply_forget(struct ln_http_connection *c) {
  free(c->lines);
  c->lines = NULL;
}

int ln_http_reply_uncork(struct ln_http_connection *c) {
  if (!c->cork.len) return LN_OK;
  struct parts w;
  int rc = parts_init(&w, 0);
  return rc ? rc : parts_write(&w, c);
}

int ln_http_reply_continue(struct ln_http_connection *c) {
  static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
  struct ln_iov part = {line, sizeof line - 1, NULL};
  return ln_stream_write(c->stream, &part, 1);
}

int ln_http_reply_refusal(struct ln_http_connection *c, int status, const char *why) {
  static const char wrong[] = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"";
  static const char full[] = "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32603,\"message\":\"";
  _Static_assert(sizeof wrong == sizeof full, "one length");
  const char *before = status == 503 ? full : wrong;
  static const char after[] = "\"}}";
  /* The sentences are ours and plain; should one ever not be, the JSON must still be JSON. */
  size_t why_n = 0;
  while (why[why_n] >= ' ' && why[why_n] != '"' && why[why_n] != '\\') why_n++;

  struct head h;
  c->keep = false;
  start_head(c, &h, status);
  put_c(&h, "Content-Type: application/json\r\nContent-Length: ");
  put_number(&h, sizeof wrong - 1 + why_n + sizeof after - 1, 10);
  put_c(&h, "\r\n");
  if (status == 503) put_c(&h, "Retry-After: 1\r\n");
  put_connection(c, &h);
  put_c(&h, "\r\n");
  const struct ln_iov parts[] = {{h.p, h.n, NULL},
                                 {before, sizeof wrong - 1, NULL},
                                 {why, why_n, NULL},
                                 {after, sizeof after - 1, NULL}};
  return ln_stream_write(c->stream, parts, LN_COUNT(parts));
}

/* --- heads --- */

/* The connection of a request that is still open. */
static struct ln_http_connection *connection_of(struct ln_http_request *r) {
  struct ln_http_connection *c = LN_CONTAINER(r, struct ln_http_connection, request);
  return c->phase == LN_HTTP_OPEN ? c : NULL;
}

static void start_head(struct ln_http_connection *c, struct head *h, int status) {
  h->n = 0;
  put_c(h, "HTTP/1.1 ");
  put_number(h, (uint64_t)status, 10);
  put_c(h, " ");
  put_c(h, ln_http_status_text(status));
  put_c(h, "\r\n");
  put_c(h, ln_http_server_date(c->server));
}

static void put(struct head *h, const char *p, size_t n) {
  LN_ASSERT(n <= sizeof h->p - h->n);
  memcpy(h->p + h->n, p, n);
  h->n += n;
}

static void put_c(struct head *h, const char *s) {
  put(h, s, strlen(s));
}

static void put_number(struct head *h, uint64_t n, unsigned base) {
  char digits[LN_DIGITS];
  put(h, digits, ln_digits(digits, n, base));
}

/* What becomes of the connection after this reply is decided here, and announced to the peer. */
static void put_connection(struct ln_http_connection *c, struct head *h) {
  if (c->eof || c->server->draining) c->keep = false;
  if (!c->keep) {
    put_c(h, "Connection: close\r\n");
  } else if (c->minor == 0) {
    put_c(h, "Connection: keep-alive\r\n");
  }
}

/* --- writes --- */

static int parts_init(struct parts *w, size_t n) {
  w->n = 0;
  w->v = w->few;
  if (n <= FEW_PARTS) return LN_OK;
  if (n > SIZE_MAX / sizeof *w->v - MAX_EXTRA) return LN_ENOMEM;
  w->v = malloc((n + MAX_EXTRA) * sizeof *w->v);
  return w->v ? LN_OK : LN_ENOMEM;
}

static void parts_add(struct parts *w, const char *p, size_t n, struct ln_bytes *owner) {
  if (n) w->v[w->n++] = (struct ln_iov){p, n, owner};
}

static void parts_add_all(struct parts *w, const struct ln_iov *parts, size_t n) {
  for (size_t i = 0; i < n; i++) parts_add(w, parts[i].p, parts[i].n, parts[i].owner);
}

/* Writes a corked head, if any, and then the parts; frees w. Errors that leave the reply torn
 * close the connection; LN_ELIMIT leaves it as it was. */
static int parts_write(struct parts *w, struct ln_http_connection *c) {
  int rc = LN_OK;
  if (c->cork.len) {
    struct ln_iov head = {c->cork.data, c->cork.len, c->cork.block};
    memmove(w->v + 1, w->v, w->n * sizeof *w->v);
    w->v[0] = head;
    w->n++;
  }
  if (w->n) rc = ln_stream_write(c->stream, w->v, w->n);
  if (w->v != w->few) free(w->v);
  if (rc == LN_OK || rc == LN_EFULL) {
    ln_buf_deinit(&c->cork);
  } else if (rc != LN_ELIMIT) {
    ln_http_connection_close(c);
  }
  return rc;
}

/* One event, in one chunk where there are chunks. */
static int send_event(struct ln_http_connection *c, struct ln_str fields,
                      const struct ln_iov *parts, size_t n, struct ln_str tail) {
  if (c->head_only) return LN_OK;
  uint64_t total = fields.n + tail.n;
  for (size_t i = 0; i < n; i++) total += parts[i].n;
  struct parts w;
  int rc = parts_init(&w, n);
  if (rc) return rc;
  struct head size;
  size.n = 0;
  if (c->minor) {
    put_number(&size, total, 16);
    put_c(&size, "\r\n");
  }
  parts_add(&w, size.p, size.n, NULL);
  parts_add(&w, fields.p, fields.n, NULL);
  parts_add_all(&w, parts, n);
  parts_add(&w, tail.p, tail.n, NULL);
  if (c->minor) parts_add(&w, "\r\n", 2, NULL);
  rc = parts_write(&w, c);
  if (rc == LN_EFULL) c->full = true;
  return rc;
}
