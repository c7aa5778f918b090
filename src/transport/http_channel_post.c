/* What a response means: a message, a stream of them, an acknowledgement, a redirect or an
 * error; see http_channel.h. */
#include <stdio.h>
#include <stdlib.h>

#include "transport/http_channel.h"

enum { ERROR_TEXT_MAX = 300 }; /* of an error's body, at most */

static struct ln_http_post *of(struct ln_http_call *x) {
  return LN_CONTAINER(x, struct ln_http_post, call);
}

static bool is_message(const struct ln_http_post *p) {
  return p->kind <= LN_POST_RESPONSE;
}

static size_t max_message(const struct ln_http_post *p) {
  return p->c->pool->max_message;
}

/* --- the ends --- */

void ln_http_post_fail(struct ln_http_post *p, int err, int status, const char *why) {
  struct ln_http_channel *c = p->c;
  if (p->kind == LN_POST_STREAM) {
    ln_sse_lost(p, err, why);
    return;
  }
  uint64_t tag = p->kind == LN_POST_REQUEST ? p->tag : 0;
  bool tell = is_message(p) && !p->abandoned && !p->dead;
  if (err == LN_ENOTFOUND && status == 404) c->lost = true;
  char words[LN_HTTP_WHY];
  size_t own = ln_http_post_quote(p, why, words);
  ln_http_post_done(p, false);
  if (err == LN_EPROTOCOL && status < 300) ln_http_pool_close_idle(c->pool);
  c->base.own = own;
  if (tell && !c->closing) c->base.events->failed(c->base.arg, tag, err, status, words);
}

/* The beginning of an error's body, as far as it is fit to be shown. */
static void quote(const struct ln_http_post *p, char out[ERROR_TEXT_MAX + 1]) {
  size_t n = 0;
  bool space = true;
  for (size_t i = 0; i < p->text.len && i < ERROR_TEXT_MAX; i++) {
    char ch = p->text.data[i];
    bool blank = ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
    if (blank && space) continue;
    space = blank;
    out[n++] = blank ? ' ' : ch > 0x20 && ch < 0x7f ? ch : '?';
  }
  if (n && out[n - 1] == ' ') n--;
  out[n] = 0;
}

size_t ln_http_post_quote(const struct ln_http_post *p, const char *why, char out[LN_HTTP_WHY]) {
  char body[ERROR_TEXT_MAX + 1] = "";
  struct ln_str reason = ln_buf_str(&p->text);
  if (p->mode == LN_MODE_ERROR_TEXT)
    quote(p, body);
  else if (p->outcome == LN_OUTCOME_FAILED && p->own < reason.n)
    snprintf(body, sizeof body, "%.*s", (int)(reason.n - p->own), reason.p + p->own);
  snprintf(out, LN_HTTP_WHY, "%.*s%s%s", LN_HTTP_WHY - ERROR_TEXT_MAX - 3, why, *body ? ": " : "",
           body);
  return strnlen(why, LN_HTTP_WHY - ERROR_TEXT_MAX - 3);
}

/* err and a sentence for p->status, which is no success. */
static int status_err(const struct ln_http_post *p, char *why, size_t size) {
  static const struct {
    int status;
    int err;
    const char *text;
  } known[] = {
      {401, LN_EREFUSED, "the server wants authorization (401): give it an Authorization header"},
      {403, LN_EREFUSED, "the server forbids this (403)"},
      {404, LN_EPROTOCOL, "the server has nothing at this URL (404)"},
      {405, LN_EPROTOCOL, "the server takes no such request at this URL (405)"},
      {408, LN_ETIMEOUT, "the server waited too long for the request (408)"},
      {413, LN_ELIMIT, "the message is too large for the server (413)"},
      {429, LN_EBUSY, "the server has had too many requests (429)"},
      {503, LN_EBUSY, "the server is not available now (503)"},
      {504, LN_ETIMEOUT, "the server's gateway got no answer in time (504)"},
  };
  int err = LN_EPROTOCOL, status = p->status;
  snprintf(why, size, "the server answered %d %s", status, ln_http_status_text(status));
  if (status == 404 && p->had_session) {
    snprintf(why, size, "the server knows this session no more (404)");
    err = LN_ENOTFOUND;
  } else {
    for (size_t i = 0; i < LN_COUNT(known); i++) {
      if (known[i].status != status) continue;
      snprintf(why, size, "%s", known[i].text);
      err = known[i].err;
    }
  }
  return err;
}

int ln_http_post_explain(const struct ln_http_post *p, char *why, size_t size) {
  if (p->outcome != LN_OUTCOME_FAILED) return status_err(p, why, size);
  snprintf(why, size, "%.*s", (int)p->own, ln_buf_str(&p->text).p);
  return LN_EPROTOCOL;
}

/* --- redirects --- */

static void build_redirected(struct ln_http_post *p) {
  p->redirects++;
  if (p->getting) {
    ln_http_stream_get(p);
    return;
  }
  struct ln_bytes *line = ln_http_channel_line(p->c, p->url);
  if (!line) {
    ln_http_post_fail(p, LN_ENOMEM, 0, ln_err_text(LN_ENOMEM));
    return;
  }
  if (!p->parts[0].p) { /* the head still begins with a line of its own */
    p->parts[1].p += p->c->line;
    p->parts[1].n -= p->c->line;
  }
  ln_bytes_unref(p->parts[0].owner);
  p->parts[0] = (struct ln_iov){line->data, line->len, line};
  p->call.parts = p->parts;
  p->call.n_parts = p->n_parts;
  ln_http_pool_submit(p->c->pool, &p->call);
}

/* Writes where a redirect leads, without the query, which may hold a credential. */
static void tell_target(const struct ln_url *to, bool origin, char *out, size_t size) {
  struct ln_buf text;
  ln_buf_init(&text, size);
  bool told = !origin || ln_url_origin(to, &text) == LN_OK;
  size_t path = strcspn(to->target.p, "?");
  snprintf(out, size, "%.*s%.*s", LN_STR_ARG(ln_buf_str(&text)), told ? (int)path : 0,
           to->target.p);
  ln_buf_deinit(&text);
}

/* The sentence why a redirect isn't followed, and in where the place that the server named; or NULL
 * and p->url is where it leads. */
static const char *follow(struct ln_http_post *p, const struct ln_http_head *head, char *where,
                          size_t size) {
  const struct ln_url *usual = p->getting ? &p->c->pool->route.url : ln_http_channel_url(p->c);
  const struct ln_url *base = p->url ? p->url : usual;
  struct ln_str location = ln_http_header(head, "location", NULL);
  struct ln_url to;
  const char *bad;
  if (!location.p || ln_url_resolve(&to, base, location, &bad)) {
    return "the server redirects without saying where to";
  }
  const char *result;
  if (!ln_url_same_origin(&to, base)) {
    result = "the server redirects to another origin, which is not followed";
    tell_target(&to, true, where, size);
  } else if (!p->getting && p->status < 307) {
    result =
        "the server redirects in a way that would make a GET of the POST; its URL may have to be "
        "another";
    tell_target(&to, false, where, size);
  } else if (p->redirects >= LN_CHANNEL_REDIRECTS) {
    result = "the server redirects again and again";
  } else {
    struct ln_url *url = p->url ? p->url : malloc(sizeof *url);
    if (url) {
      if (p->url) ln_url_deinit(p->url);
      *url = to;
      p->url = url;
      return NULL;
    }
    result = ln_err_text(LN_ENOMEM);
  }
  ln_url_deinit(&to);
  return result;
}

static bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* --- a response is over --- */

/* Nothing of its body was wanted but perhaps words. */
static void settle(struct ln_http_post *p) {
  char why[512];
  if (p->abandoned || p->dead || p->kind == LN_POST_DELETE) {
    ln_http_post_done(p, false);
  } else if (p->outcome == LN_OUTCOME_REDIRECT) {
    p->mode = LN_MODE_NONE;
    p->outcome = LN_OUTCOME_FINE;
    p->skipped = 0;
    build_redirected(p);
  } else if (p->mode != LN_MODE_ERROR_TEXT && p->outcome == LN_OUTCOME_FINE) {
    ln_http_post_done(p, true);
  } else if (p->getting) {
    ln_http_stream_refused(p);
  } else if (!ln_sse_detect(p)) {
    int err = ln_http_post_explain(p, why, sizeof why);
    ln_http_post_fail(p, err, p->status, why);
  }
}

static void on_skip_timeout(struct ln_timer *t) {
  struct ln_http_post *p = LN_CONTAINER(t, struct ln_http_post, timer);
  ln_http_call_cancel(&p->call);
  settle(p);
}

void ln_http_post_skip_rest(struct ln_http_post *p) {
  ln_timer_start(p->c->pool->loop, &p->timer, LN_CHANNEL_SKIP_MS, on_skip_timeout);
}

/* A whole JSON body. The owner says by abandon whether it was the response. */
static void deliver_body(struct ln_http_post *p) {
  struct ln_http_channel *c = p->c;
  if (ln_sse_detect(p)) return;
  struct ln_bytes *text = p->whole ? p->whole : ln_buf_take(&p->text);
  char why[512];
  p->whole = NULL;
  if (!text) {
    ln_http_post_fail(p, LN_EPROTOCOL, p->status, "the server's response is empty");
    return;
  }
  p->busy = true;
  c->delivering = p;
  c->base.events->message(c->base.arg, text, p->tag);
  c->delivering = NULL;
  p->busy = false;
  if (p->abandoned || p->dead) {
    ln_http_post_done(p, false);
    return;
  }
  int err = LN_EPROTOCOL;
  if (p->status > 299) {
    err = status_err(p, why, sizeof why);
  } else {
    snprintf(why, sizeof why, "the server answered with something that is not the response");
  }
  ln_http_post_fail(p, err, p->status, why);
}

void ln_http_post_conclude(struct ln_http_post *p) {
  if (p->mode == LN_MODE_JSON)
    deliver_body(p);
  else
    settle(p);
}

static void on_end(struct ln_http_call *x, int err, const char *why) {
  struct ln_http_post *p = of(x);
  ln_timer_stop(&p->timer);
  if (p->abandoned || p->dead) {
    ln_http_post_done(p, false);
  } else if (p->mode == LN_MODE_ERROR_TEXT || p->mode == LN_MODE_SKIP) {
    settle(p); /* how its body ended changes nothing */
  } else if (p->mode == LN_MODE_SSE || p->getting) {
    ln_http_stream_over(p, err, why);
  } else if (err == LN_OK) {
    deliver_body(p);
  } else {
    ln_http_post_fail(p, err, p->status, why);
  }
}

/* --- a head --- */

/* The response can't be used; its rest is read to keep the connection, if it is short. */
static void refuse(struct ln_http_post *p, const char *why, const char *where) {
  p->mode = LN_MODE_SKIP;
  p->outcome = LN_OUTCOME_FAILED;
  ln_buf_clear(&p->text);
  if (ln_buf_append_c(&p->text, why)) ln_buf_clear(&p->text);
  p->own = p->text.len;
  if (*where) ln_buf_append_c(&p->text, where);
}

static bool id_ok(struct ln_str id) {
  for (size_t i = 0; i < id.n; i++) {
    if (id.p[i] < 0x21 || id.p[i] > 0x7e) return false;
  }
  return id.n > 0 && id.n <= LN_CHANNEL_ID_MAX;
}

/* NULL, or what is wrong with the session id. */
static const char *take_session(struct ln_http_channel *c, const struct ln_http_head *head) {
  unsigned count;
  struct ln_str id = ln_http_header(head, "mcp-session-id", &count);
  if (!count) return NULL;
  if (count > 1 || !id_ok(id)) return "the server gave a session id that is none";
  struct ln_bytes *session = ln_bytes_copy(id.p, id.n);
  if (!session) return ln_err_text(LN_ENOMEM);
  ln_http_channel_forget(c);
  c->session = session;
  return NULL;
}

static bool is_type(const struct ln_http_head *head, const char *type) {
  struct ln_str value = ln_http_header(head, "content-type", NULL);
  return ln_str_iis(ln_http_media_type(value), type);
}

static bool is_coded(const struct ln_http_head *head) {
  struct ln_str coding = ln_http_header(head, "content-encoding", NULL);
  return coding.n && !ln_str_iis(coding, "identity");
}

static void too_large(struct ln_http_post *p) {
  char why[96];
  snprintf(why, sizeof why, "the response is larger than %zu bytes (max_message_bytes)",
           max_message(p));
  ln_http_post_fail(p, LN_ELIMIT, p->status, why);
}

/* False when the post is gone. */
static bool expect_json(struct ln_http_post *p, const struct ln_http_head *head) {
  p->mode = LN_MODE_JSON;
  if (head->content_length <= 0) return true;
  if ((uint64_t)head->content_length > max_message(p)) {
    too_large(p);
    return false;
  }
  p->whole = ln_bytes_new((size_t)head->content_length);
  if (p->whole) return true;
  ln_http_post_fail(p, LN_ENOMEM, p->status, ln_err_text(LN_ENOMEM));
  return false;
}

/* 2xx to a message or to a GET. False when the post is gone. */
static bool accept(struct ln_http_post *p, const struct ln_http_head *head) {
  const char *bad = p->initialize && !p->c->sse ? take_session(p->c, head) : NULL;
  bool empty = p->status == 202 || p->status == 204 || head->content_length == 0;
  if (bad) {
    refuse(p, bad, "");
  } else if (!p->getting && (p->kind != LN_POST_REQUEST || p->c->sse)) {
    p->mode = LN_MODE_SKIP;
  } else if (empty) {
    refuse(p, "the server took the request but gave no response", "");
  } else if (is_coded(head)) {
    refuse(p, "the server's response is compressed, which was not asked for", "");
  } else if (is_type(head, "text/event-stream")) {
    ln_http_stream_begin(p);
  } else if (!p->getting && is_type(head, "application/json")) {
    return expect_json(p, head);
  } else {
    refuse(p,
           p->getting ? "the server's answer is not an event stream"
                      : "the server's response is neither JSON nor an event stream",
           "");
  }
  return true;
}

/* An error that may be a JSON-RPC one is the owner's to read. Not so where the status says more
 * than any body: authorization, a lost session, a broken server. */
static bool may_be_response(const struct ln_http_post *p, const struct ln_http_head *head) {
  if (p->c->sse) return false;
  if (p->kind != LN_POST_REQUEST || p->getting || p->status < 400 || p->status > 499) return false;
  if (p->status == 401 || p->status == 403 || (p->status == 404 && p->had_session)) return false;
  return head->content_length != 0 && !is_coded(head) && is_type(head, "application/json");
}

/* What was sent isn't needed again once a response to it is here. */
static void drop_request(struct ln_http_post *p) {
  for (size_t i = 3; i < p->n_parts; i++) {
    ln_bytes_unref(p->parts[i].owner);
    p->parts[i] = (struct ln_iov){0};
  }
}

static void on_head(struct ln_http_call *x, const struct ln_http_head *head) {
  struct ln_http_post *p = of(x);
  char where[256] = "";
  p->status = head->status;
  p->mode = LN_MODE_SKIP;
  p->outcome = LN_OUTCOME_FINE;
  if (p->abandoned) return;
  if (is_redirect(p->status) && p->kind != LN_POST_DELETE) {
    const char *bad = follow(p, head, where, sizeof where);
    if (bad)
      refuse(p, bad, where);
    else
      p->outcome = LN_OUTCOME_REDIRECT;
  } else if (p->kind != LN_POST_DELETE) {
    if (!ln_sse_hint(p)) drop_request(p);
    if (p->status < 300) {
      if (!accept(p, head)) return;
    } else if (may_be_response(p, head)) {
      if (!expect_json(p, head)) return;
    } else {
      p->mode = LN_MODE_ERROR_TEXT;
    }
  }
  if (p->mode == LN_MODE_SKIP || p->mode == LN_MODE_ERROR_TEXT) ln_http_post_skip_rest(p);
}

/* --- a body --- */

static void take_json(struct ln_http_post *p, struct ln_str piece) {
  if (p->whole) {
    LN_ASSERT(piece.n <= p->whole->len - p->got);
    memcpy(p->whole->data + p->got, piece.p, piece.n);
    p->got += piece.n;
    return;
  }
  int rc = ln_buf_append_str(&p->text, piece);
  if (rc == LN_ELIMIT) {
    too_large(p);
  } else if (rc) {
    ln_http_post_fail(p, rc, p->status, ln_err_text(rc));
  }
}

static void skip(struct ln_http_post *p, struct ln_str piece) {
  if (p->mode == LN_MODE_ERROR_TEXT && p->text.len < ERROR_TEXT_MAX) {
    size_t n = LN_MIN(piece.n, ERROR_TEXT_MAX - p->text.len);
    ln_buf_append(&p->text, piece.p, n); /* without memory there is less to quote */
  }
  p->skipped += piece.n;
  if (p->skipped <= LN_CHANNEL_SKIP_BYTES) return;
  ln_timer_stop(&p->timer);
  ln_http_call_cancel(&p->call);
  settle(p);
}

static void on_body(struct ln_http_call *x, struct ln_str piece) {
  struct ln_http_post *p = of(x);
  if (p->mode == LN_MODE_JSON) {
    take_json(p, piece);
  } else if (p->mode == LN_MODE_SSE) {
    ln_http_stream_data(p, piece);
  } else {
    skip(p, piece);
  }
}

static void on_sent(struct ln_http_call *x) {
  ln_http_channel_sent(of(x));
}

const struct ln_http_call_ops ln_http_post_ops = {
    .sent = on_sent,
    .head = on_head,
    .body = on_body,
    .end = on_end,
};
