/* Fuzzes wire/http. However the bytes are cut, the events are the same; after an error nothing
 * more comes; what is accepted was strict: the same message, read by a simple second reader
 * (CRLF lines, one length), has the same body and the same end, and a head written again from
 * its parts is read as the same head.
 *
 * The first byte's bits: 1 responses, 2 they answer HEAD, 4 small limits. The second chooses the
 * cuts. The rest is what a connection carries. */
#include "wire/http.h"
#include "cuts.h"

struct setup {
  enum ln_http_kind kind;
  bool head_only;
  size_t max_head;
  uint64_t max_body;
};

static void start(struct ln_http *h, const struct setup *s) {
  ln_http_init(h, s->kind, s->max_head, s->max_body);
  h->head_only = s->head_only;
}

static void record_head(struct record *out, const struct ln_http_head *head) {
  record_str(out, 'm', head->method);
  record_str(out, 't', head->target);
  record_str(out, 'a', head->authority);
  const int64_t facts[] = {head->status,    head->minor,          head->keep_alive,
                           head->chunked,   head->until_close,    head->content_length,
                           head->n_headers, head->expect_continue};
  record_entry(out, 'f', facts, sizeof facts);
  for (unsigned i = 0; i < head->n_headers; i++) {
    record_str(out, 'n', head->headers[i].name);
    record_str(out, 'v', head->headers[i].value);
  }
}

/* --- what holds of every head --- */

static bool has_any(struct ln_str s, const char *bytes) {
  for (size_t i = 0; i < s.n; i++)
    if ((s.p[i] & 0x80) == 0 && strchr(bytes, s.p[i])) return true; /* NUL too */
  return false;
}

static bool inside(const struct ln_http *h, struct ln_str s) {
  const char *p = h->held.data;
  return s.p >= p && s.p + s.n <= p + h->held.len;
}

static void judge_fields(const struct ln_http *h) {
  for (unsigned i = 0; i < h->head.n_headers; i++) {
    struct ln_str name = h->head.headers[i].name, value = h->head.headers[i].value;
    MUST(inside(h, name) && inside(h, value));
    MUST(name.n && !has_any(name, "\r\n\t :(),/;<=>?@[\\]{}\""));
    MUST(!has_any(value, "\r\n"));
    MUST(!value.n || !strchr(" \t", value.p[0]));
    MUST(!value.n || !strchr(" \t", value.p[value.n - 1]));
    MUST(ln_http_value_ok(value));
  }
}

static void judge_head(const struct ln_http *h) {
  const struct ln_http_head *head = &h->head;
  unsigned lengths, codings, hosts;
  struct ln_str length = ln_http_header(head, "content-length", &lengths);
  struct ln_str host = ln_http_header(head, "HOST", &hosts);
  ln_http_header(head, "Transfer-Encoding", &codings);
  judge_fields(h);
  MUST(h->held.len <= h->max_head);
  MUST(lengths + codings <= 1 && (head->content_length >= 0) == (lengths == 1));
  MUST(head->chunked == (codings == 1));
  if (lengths) {
    char digits[32];
    MUST(snprintf(digits, sizeof digits, "%lld", (long long)head->content_length) == (int)length.n);
    MUST(memcmp(digits, length.p, length.n) == 0);
  }
  MUST(!head->until_close || (!head->keep_alive && !lengths && !codings));
  if (h->kind == LN_HTTP_RESPONSE) {
    MUST(head->status >= 200 && head->status <= 999 && !head->method.p);
    return;
  }
  MUST(head->method.n && head->target.n && !head->until_close && head->status == 0);
  MUST(!has_any(head->target, "\r\n\t #\177"));
  MUST(hosts <= 1 && (hosts || head->minor == 0));
  if (hosts) MUST(ln_str_ieq(host, head->authority));
  if (ln_str_is(head->method, "CONNECT"))
    MUST(ln_str_eq(head->target, head->authority) && !head->keep_alive);
  else
    MUST(head->target.p[0] == '/' || ln_str_is(head->target, "*"));
}

static void put(struct ln_buf *b, struct ln_str s) {
  MUST(ln_buf_append_str(b, s) == LN_OK);
}

/* Writes the head from what was read, reads that, and wants to see the same. */
static void round_trip(const struct ln_http *h, const struct setup *s) {
  const struct ln_http_head *head = &h->head;
  struct ln_buf out;
  ln_buf_init(&out, 1 << 20);
  if (h->kind == LN_HTTP_REQUEST) {
    put(&out, head->method);
    put(&out, LN_STR_LIT(" "));
    put(&out, head->target);
    MUST(ln_buf_printf(&out, " HTTP/1.%d\r\n", head->minor) == LN_OK);
  } else {
    MUST(ln_buf_printf(&out, "HTTP/1.%d %d \r\n", head->minor, head->status) == LN_OK);
  }
  for (unsigned i = 0; i < head->n_headers; i++) {
    put(&out, head->headers[i].name);
    put(&out, LN_STR_LIT(": "));
    put(&out, head->headers[i].value);
    put(&out, LN_STR_LIT("\r\n"));
  }
  put(&out, LN_STR_LIT("\r\n"));
  struct setup wide = *s;
  wide.max_head = out.len;
  struct ln_http again;
  struct ln_str data = ln_buf_str(&out);
  struct record a = {0}, b = {0};
  start(&again, &wide);
  MUST(ln_http_next(&again, &data) == LN_HTTP_HEAD);
  MUST(data.n == 0);
  /* An absolute target's authority is gone when there was no Host to repeat it. */
  if (!again.head.authority.p) again.head.authority = head->authority;
  record_head(&a, head);
  record_head(&b, &again.head);
  MUST(record_same(&a, &b));
  record_free(&a);
  record_free(&b);
  ln_http_deinit(&again);
  ln_buf_deinit(&out);
}

/* --- the second reader --- */

/* The offset behind the next CRLF; there must be one. */
static size_t after_line(const uint8_t *p, size_t n, size_t at) {
  const uint8_t *end = memmem(p + at, n - at, "\r\n", 2);
  MUST(end);
  return (size_t)(end - p) + 2;
}

/* Where a chunked body that begins at `at` ends; its content is added to body. */
static size_t read_chunked(const uint8_t *p, size_t n, size_t at, struct record *body) {
  for (;;) {
    size_t next = after_line(p, n, at);
    char digits[20] = "", *end;
    MUST(next - at > 2);
    memcpy(digits, p + at, LN_MIN(next - at - 2, sizeof digits - 1));
    unsigned long long size = strtoull(digits, &end, 16);
    MUST(end > digits && (*end == 0 || *end == ';'));
    MUST(strspn(digits, "0123456789abcdefABCDEF") == (size_t)(end - digits));
    at = next;
    if (!size) break;
    MUST(size <= n - at);
    record_add(body, p + at, size);
    at += size;
    MUST(after_line(p, n, at) == at + 2);
    at += 2;
  }
  for (;;) {
    size_t next = after_line(p, n, at);
    bool last = next == at + 2;
    at = next;
    if (last) return at;
  }
}

/* The message's body began at `at`, ended at `end`, and was `body`: is that so? */
static void judge_body(const struct ln_http *h, const struct setup *s, const uint8_t *p, size_t n,
                       size_t at, size_t end, const struct record *body) {
  const struct ln_http_head *head = &h->head;
  struct record mine = {0};
  bool none =
      h->kind == LN_HTTP_RESPONSE && (s->head_only || head->status == 204 || head->status == 304);
  MUST(h->body_seen == body->n);
  MUST(!s->max_body || body->n <= s->max_body);
  if (none) {
    MUST(end == at);
  } else if (head->chunked) {
    MUST(read_chunked(p, n, at, &mine) == end);
  } else if (head->until_close) {
    MUST(end == n);
    record_add(&mine, p + at, n - at);
  } else {
    size_t length = head->content_length > 0 ? (size_t)head->content_length : 0;
    MUST(end - at == length);
    record_add(&mine, p + at, length);
  }
  MUST(record_same(&mine, body));
  record_free(&mine);
}

/* --- a run over all the input --- */

struct run {
  struct ln_http h;
  const struct setup *s;
  const uint8_t *p;
  size_t n, began; /* where the body began */
  struct record *out, body;
  bool judge, failed;
};

/* One event that came when `at` bytes were used. */
static void event(struct run *r, enum ln_http_event e, size_t at) {
  MUST(!r->failed);
  switch (e) {
    case LN_HTTP_HEAD:
      record_head(r->out, &r->h.head);
      r->began = at;
      r->body.n = 0;
      if (!r->judge) return;
      judge_head(&r->h);
      round_trip(&r->h, r->s);
      return;
    case LN_HTTP_BODY:
      MUST(r->h.body.n > 0);
      record_add(&r->body, r->h.body.p, r->h.body.n);
      return;
    case LN_HTTP_END:
      record_entry(r->out, 'b', r->body.p, r->body.n);
      record_entry(r->out, 'e', &at, sizeof at);
      if (r->judge) judge_body(&r->h, r->s, r->p, r->n, r->began, at, &r->body);
      r->body.n = 0;
      return;
    default: break;
  }
  const int facts[] = {r->h.error, r->h.status};
  MUST(facts[0] < 0 && r->h.why);
  MUST((facts[1] != 0) == (r->s->kind == LN_HTTP_REQUEST));
  record_entry(r->out, 'b', r->body.p, r->body.n);
  record_entry(r->out, '!', facts, sizeof facts);
  record_entry(r->out, 'w', r->h.why, strlen(r->h.why));
  r->failed = true;
}

static void feed(struct run *r, struct cuts cuts) {
  for (size_t at = 0; at < r->n;) {
    size_t len = cuts_next(&cuts, r->n - at);
    char *copy = piece(r->p + at, len);
    struct ln_str data = {copy, len};
    enum ln_http_event e;
    while ((e = ln_http_next(&r->h, &data)) != LN_HTTP_MORE) {
      if (e == LN_HTTP_ERROR && r->failed) break;
      event(r, e, at + len - data.n);
      if (e == LN_HTTP_END && cuts.how & 4) ln_http_release(&r->h);
      if (e == LN_HTTP_ERROR) break;
    }
    if (r->failed) MUST(e == LN_HTTP_ERROR);
    if (!r->failed) MUST(data.n == 0);
    free(copy);
    at += len;
  }
  enum ln_http_event e = ln_http_eof(&r->h);
  if (r->failed)
    MUST(e == LN_HTTP_ERROR);
  else if (e != LN_HTTP_MORE)
    event(r, e, r->n);
}

static void run(const uint8_t *p, size_t n, const struct setup *s, uint64_t how,
                struct record *out) {
  struct run r = {.s = s, .p = p, .n = n, .out = out, .judge = how == 0};
  start(&r.h, s);
  feed(&r, (struct cuts){how});
  record_free(&r.body);
  ln_http_deinit(&r.h);
}

/* Header helpers take any bytes. */
static void values(const uint8_t *p, size_t n) {
  char *copy = piece(p, n);
  struct ln_str s = {copy, n}, type = ln_http_media_type(s);
  MUST(type.n <= n);
  bool token = ln_http_token(s, "close");
  if (n == 5) MUST(token == ln_str_iis(s, "close"));
  (void)ln_http_accepts(s, "application/json");
  free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  size_t n = size - 2, live = ln_bytes_live();
  bool small = data[0] & 4;
  const struct setup s = {
      .kind = data[0] & 1 ? LN_HTTP_RESPONSE : LN_HTTP_REQUEST,
      .head_only = data[0] & 1 && data[0] & 2,
      .max_head = small ? 64 : 4096,
      .max_body = small ? 8 : 0,
  };
  const uint64_t hows[] = {1, 2 + (uint64_t)data[1]};
  struct record whole = {0};
  run(data + 2, n, &s, 0, &whole);
  for (size_t i = 0; i < LN_COUNT(hows); i++) {
    struct record got = {0};
    run(data + 2, n, &s, hows[i], &got);
    MUST(record_same(&got, &whole));
    record_free(&got);
  }
  record_free(&whole);
  values(data + 2, n);
  MUST(ln_bytes_live() == live);
  return 0;
}
