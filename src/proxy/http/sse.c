/* HTTP+SSE; see sse.h. */
#include "proxy/http/sse.h"

#include <stdio.h>

#include "proxy/entry/batch.h"
#include "proxy/http/check.h"
#include "proxy/http/incoming.h"
#include "proxy/http/respond.h"
#include "proxy/route/from_client.h"
#include "proxy/route/session_end.h"

enum { PREFIX_MAX = 256 };

/* The path under which a reverse proxy serves us: X-Forwarded-Prefix, if it is a valid path. */
static struct ln_str mount_of(const struct ln_http_head *head) {
  unsigned count;
  struct ln_str prefix = ln_http_header(head, "x-forwarded-prefix", &count);
  if (count != 1 || prefix.n > PREFIX_MAX || prefix.n < 2 || prefix.p[0] != '/' ||
      prefix.p[1] == '/')
    return LN_STR_LIT("");
  for (size_t i = 0; i < prefix.n; i++) {
    char c = prefix.p[i];
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && !strchr("/-._~", c)) return LN_STR_LIT("");
  }
  if (prefix.p[prefix.n - 1] == '/') prefix.n--;
  return prefix;
}

/* A path without a host: the client knows under which host it reaches us. */
static int send_endpoint(struct ln_client_stream *st, const struct ln_http_head *head,
                         struct ln_str id) {
  char data[PREFIX_MAX + 80];
  int n = snprintf(data, sizeof data, "%.*s/messages?sessionId=%.*s", LN_STR_ARG(mount_of(head)),
                   LN_STR_ARG(id));
  struct ln_iov part = {data, (size_t)n, NULL};
  return ln_http_sse_event(st->request, LN_STR_LIT("endpoint"), LN_STR_NONE, &part, 1);
}

void ln_sse_front_open(struct ln_session_table *t, struct ln_http_request *r) {
  struct ln_refusal refusal = ln_check_sse(r->head);
  struct ln_http_session *hs = NULL;
  if (!refusal.status)
    hs = ln_session_table_add(t, r, LN_HTTP_SESSION_SSE, LN_STR_NONE, NULL, &refusal);
  if (refusal.status) {
    ln_respond_refusal(t->host->log, r, refusal);
    return;
  }
  struct ln_session *s = hs->session;
  struct ln_client_stream *st = ln_client_stream_new(&hs->streams, r, LN_CLIENT_STREAM_SSE);
  if (!st || ln_client_stream_begin(st) || send_endpoint(st, r->head, hs->id)) {
    ln_http_request_abort(r); /* if there is a stream, its end ends the session */
    if (!st) ln_session_end(s);
    return;
  }
  ln_client_stream_listen(st);
  ln_outbox_set_general(&s->outbox, &st->sink);
}

/* --- POST --- */

/* The value of sessionId in the query. */
static struct ln_str query_id(struct ln_str target) {
  static const char key[] = "sessionId=";
  const char *at = memchr(target.p, '?', target.n), *end = target.p + target.n;
  while (at && (size_t)(end - at) > sizeof key - 1) {
    at++;
    const char *amp = memchr(at, '&', (size_t)(end - at)), *stop = amp ? amp : end;
    size_t n = (size_t)(stop - at);
    if (n >= sizeof key - 1 && memcmp(at, key, sizeof key - 1) == 0)
      return (struct ln_str){at + sizeof key - 1, n - (sizeof key - 1)};
    at = amp;
  }
  return LN_STR_NONE;
}

static void post_batch(struct ln_http_request *r, struct ln_http_session *hs, struct ln_str text,
                       struct ln_bytes *headers) {
  struct ln_msg_fault fault;
  size_t requests;
  if (ln_batch_take(hs->session, r->body, text, &hs->streams.listening->sink, headers, &requests,
                    &fault))
    ln_respond_fault(r, 400, &fault);
  else
    ln_respond_status(r, 202);
}

static void post_message(struct ln_session_table *t, struct ln_http_request *r,
                         struct ln_http_session *hs, struct ln_msg *m, struct ln_bytes *headers) {
  char why[LN_INITIALIZE_WHY];
  struct ln_refusal refusal = ln_check_routing(r->head, m);
  if (!refusal.status) refusal = ln_incoming_check_size(t->host, m, why);
  if (!refusal.status) refusal = ln_incoming_check_id(hs->session, m);
  if (refusal.status) {
    ln_respond_refusal(t->host->log, r, refusal);
    return;
  }
  /* First, so that the client gets 202 before the response. */
  ln_respond_status(r, 202);
  ln_from_client(hs->session, m, &hs->streams.listening->sink, headers);
}

void ln_sse_front_post(struct ln_session_table *t, struct ln_http_request *r) {
  struct ln_refusal refusal = ln_check_messages(r->head);
  struct ln_str id = query_id(r->head->target);
  struct ln_http_session *hs = NULL;
  if (!refusal.status && !id.p)
    refusal = (struct ln_refusal){400, -32600, "The query needs a sessionId", NULL};
  else if (!refusal.status && !(hs = ln_session_table_find(t, id, LN_HTTP_SESSION_SSE)))
    refusal = (struct ln_refusal){404, -32600, "There is no such session", NULL};
  if (refusal.status) {
    ln_respond_refusal(t->host->log, r, refusal);
    return;
  }
  struct ln_str text = ln_incoming_text(r);
  struct ln_bytes *headers = ln_incoming_headers(t->host, r);
  if (text.n && text.p[0] == '[') {
    post_batch(r, hs, text, headers);
  } else {
    struct ln_msg *m = ln_incoming_message(t->host, r, text);
    if (m) post_message(t, r, hs, m, headers);
    ln_msg_unref(m);
  }
  ln_bytes_unref(headers);
}
