/* HTTP+SSE, the transport of 2024-11-05, for clients: GET /sse opens a session and its one stream,
 * whose first event says where to POST; everything for the client comes on that stream, responses
 * too, as `message` events. The session lives as long as the stream. */
#include <stdio.h>

#include "proxy/front_http.h"
#include "proxy/router.h"

enum { PREFIX_MAX = 256 };

/* Where a reverse proxy has mounted us, when it says so in a way that can be a path. */
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

/* A path of our own origin, whatever host the client reached us by. */
static int send_endpoint(struct ln_pipe *p, const struct ln_http_head *head) {
  char data[PREFIX_MAX + 80];
  int n = snprintf(data, sizeof data, "%.*s/messages?sessionId=%s", LN_STR_ARG(mount_of(head)),
                   p->session->id);
  struct ln_iov part = {data, (size_t)n, NULL};
  return ln_http_sse_event(p->request, LN_STR_LIT("endpoint"), LN_STR_NONE, &part, 1);
}

void ln_front_sse(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_gate gate = ln_gate_sse(r->head);
  struct ln_front_session *fs =
      gate.status ? NULL : ln_front_session_new(f, true, LN_STR_NONE, NULL, &gate);
  if (gate.status) {
    ln_front_refuse(f, r, gate);
    return;
  }
  struct ln_session *s = fs->session;
  struct ln_pipe *p = ln_pipe_new(fs, r, LN_PIPE_SSE);
  if (!p || ln_pipe_begin(p) || send_endpoint(p, r->head)) {
    ln_http_request_abort(r); /* with a pipe, its end is the session's */
    if (!p) ln_session_end(s);
    return;
  }
  fs->get = p;
  ln_sink_ref(&p->sink);
  ln_session_set_general(s, &p->sink);
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

static void post_batch(struct ln_http_request *r, struct ln_front_session *fs, struct ln_str text,
                       struct ln_bytes *headers) {
  struct ln_msg_fault fault;
  size_t requests;
  if (ln_batch_take(fs->session, r->body, text, &fs->get->sink, headers, &requests, &fault))
    ln_front_reply_fault(r, 400, &fault);
  else
    ln_front_reply(r, 202, NULL, NULL, LN_STR_NONE);
}

static void post_message(struct ln_front_http *f, struct ln_http_request *r,
                         struct ln_front_session *fs, struct ln_msg *m, struct ln_bytes *headers) {
  struct ln_gate gate = ln_gate_routing(r->head, m);
  if (!gate.status) gate = ln_gate_id(fs->session, m);
  if (gate.status) {
    ln_front_refuse(f, r, gate);
    return;
  }
  /* First, so that a client sees its message accepted before it sees the answer. */
  ln_front_reply(r, 202, NULL, NULL, LN_STR_NONE);
  ln_router_from_client(fs->session, m, &fs->get->sink, headers);
}

void ln_front_messages(struct ln_front_http *f, struct ln_http_request *r) {
  struct ln_gate gate = ln_gate_messages(r->head);
  struct ln_str id = query_id(r->head->target);
  struct ln_front_session *fs = NULL;
  if (!gate.status && !id.p)
    gate = (struct ln_gate){400, -32600, "The query needs a sessionId", NULL};
  else if (!gate.status && !(fs = ln_front_session_find(f, id, true)))
    gate = (struct ln_gate){404, -32600, "There is no such session", NULL};
  if (gate.status) {
    ln_front_refuse(f, r, gate);
    return;
  }
  struct ln_str text = ln_front_body(r);
  struct ln_bytes *headers = ln_front_headers(f, r);
  if (text.n && text.p[0] == '[') {
    post_batch(r, fs, text, headers);
  } else {
    struct ln_msg *m = ln_front_message(f, r, text);
    if (m) post_message(f, r, fs, m, headers);
    ln_msg_unref(m);
  }
  ln_bytes_unref(headers);
}
