/* Heads of HTTP messages: found in the stream, checked, taken apart.
 *
 * Two passes. The first runs over the input as it comes, each byte once: it knows line ends
 * and control bytes, keeps the head in `held` and the place of every field line in
 * head.headers as offsets (the store may move while it grows). The start line is judged as
 * soon as it is whole, since a peer that speaks something else may never send a second one.
 * The second runs once, when the empty line was met, and makes slices of the offsets. */
#include "wire/http_head.h"

#include <endian.h>

/* An upstream that sends these without end would keep us busy for nothing. */
enum { MAX_INFORMATIONAL = 16 };

/* What the framing hangs on, picked up on the way through the fields. */
struct facts {
  struct ln_str host, length, coding, expect;
  unsigned n_host, n_length, n_coding;
  bool tab; /* before or after the value of a framing field */
  bool close, keep;
};

static enum ln_http_event malformed(struct ln_http *h, const char *why) {
  return ln_http_fail(h, LN_ESYNTAX, 400, why);
}

/* How many bytes from p on are no control bytes, eight at a time. Of the two tests one byte
 * may be found wrongly only above one that was found rightly, so the lowest is right. */
static size_t plain(const char *p, size_t n) {
  const uint64_t ones = 0x0101010101010101, highs = ones * 0x80;
  size_t i = 0;
  for (; n - i >= 8; i += 8) {
    uint64_t x, del;
    memcpy(&x, p + i, 8);
    x = le64toh(x);
    del = x ^ ones * 0x7f;
    uint64_t hit = (((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & highs;
    if (hit) return i + (size_t)__builtin_ctzll(hit) / 8;
  }
  while (i < n && (unsigned char)p[i] >= 0x20 && p[i] != 0x7f) i++;
  return i;
}

/* --- the start line --- */

/* 0: as it should be; else the status that says what is wrong. */
static int version(struct ln_str s, int *minor) {
  if (s.n != 8 || !ln_str_starts(s, "HTTP/") || s.p[6] != '.' ||
      !ln_http_is(s.p[5], LN_HTTP_DIGIT) || !ln_http_is(s.p[7], LN_HTTP_DIGIT))
    return 400;
  *minor = s.p[7] - '0';
  return s.p[5] == '1' && *minor <= 1 ? 0 : 505;
}

/* Sets the lengths of method and target; where they begin follows from these. */
static enum ln_http_event request_line(struct ln_http *h, struct ln_str s) {
  const char *end = s.p + s.n, *sp = memchr(s.p, ' ', s.n);
  struct ln_str method = {s.p, sp ? (size_t)(sp - s.p) : s.n};
  if (!ln_http_all(method, LN_HTTP_TCHAR)) return malformed(h, "a malformed method");
  if (!sp) return malformed(h, "a request line without a target");
  const char *target = sp + 1;
  sp = memchr(target, ' ', (size_t)(end - target));
  if (!sp) return malformed(h, "a request line without a version");
  h->head.method.n = method.n;
  h->head.target.n = (size_t)(sp - target);
  if (!ln_http_all((struct ln_str){target, h->head.target.n}, LN_HTTP_TARGET))
    return malformed(h, "a malformed target");
  sp++;
  switch (version((struct ln_str){sp, (size_t)(end - sp)}, &h->head.minor)) {
    case 0: return LN_HTTP_MORE;
    case 505: return ln_http_fail(h, LN_EPROTOCOL, 505, "not HTTP/1.1 or HTTP/1.0");
    default: return malformed(h, "a malformed version");
  }
}

/* The space after the status is left out by many when there is no reason to follow. */
static enum ln_http_event status_line(struct ln_http *h, struct ln_str s) {
  struct ln_str v = {s.p, LN_MIN(s.n, 8)};
  if (version(v, &h->head.minor)) return malformed(h, "not an HTTP/1.1 or HTTP/1.0 response");
  struct ln_str code = {s.p + 9, 3};
  if (s.n < 12 || s.p[8] != ' ' || !ln_http_all(code, LN_HTTP_DIGIT) || code.p[0] == '0' ||
      (s.n > 12 && s.p[12] != ' '))
    return malformed(h, "a malformed status line");
  h->head.status = (code.p[0] - '0') * 100 + (code.p[1] - '0') * 10 + (code.p[2] - '0');
  if (h->head.status == 101) return malformed(h, "a switch of protocols nobody asked for");
  return LN_HTTP_MORE;
}

/* --- the fields --- */

static const char *bad_name(const char *p, const char *stop, const char *end) {
  if (*p == ' ' || *p == '\t') return "white space at a line's start";
  if (stop == end) return "a header line without a colon";
  if (stop == p) return "a header without a name";
  if (*stop == ' ' || *stop == '\t') return "white space before a colon";
  return "a byte that no header name may have";
}

static void note(struct facts *f, const struct ln_http_header *header, const char *raw,
                 const char *end) {
  struct ln_str name = header->name, value = header->value;
  switch (name.n) {
    case 4:
      if (!ln_str_iis(name, "host")) return;
      f->host = value;
      f->n_host++;
      return;
    case 6:
      if (ln_str_iis(name, "expect")) f->expect = value;
      return;
    case 10:
      if (!ln_str_iis(name, "connection")) return;
      if (ln_str_iis(value, "keep-alive")) {
        f->keep = true; /* as nearly everyone says it */
      } else {
        f->close = f->close || ln_http_token(value, "close");
        f->keep = f->keep || ln_http_token(value, "keep-alive");
      }
      return;
    case 14:
      if (!ln_str_iis(name, "content-length")) return;
      f->length = value;
      f->n_length++;
      break;
    case 17:
      if (!ln_str_iis(name, "transfer-encoding")) return;
      f->coding = value;
      f->n_coding++;
      break;
    default: return;
  }
  f->tab = f->tab || memchr(raw, '\t', (size_t)(end - raw));
}

/* Where a token that begins at p ends. By fours: this loop sees half the bytes of a head. */
static const char *token_end(const char *p, const char *end) {
  const uint8_t *is = ln_http_class;
  while (end - p >= 4) {
    const unsigned char *c = (const unsigned char *)p;
    if (!(is[c[0]] & is[c[1]] & is[c[2]] & is[c[3]] & LN_HTTP_TCHAR)) break;
    p += 4;
  }
  while (p < end && ln_http_is(*p, LN_HTTP_TCHAR)) p++;
  return p;
}

/* The second pass over the fields: offsets become slices. */
static enum ln_http_event fields(struct ln_http *h, struct facts *f) {
  for (unsigned i = 0; i < h->head.n_headers; i++) {
    struct ln_http_header *header = &h->head.headers[i];
    size_t ends = header->value.n;
    const char *p = h->held.data + header->name.n, *end = h->held.data + ends;
    const char *c = token_end(p, end);
    if (c == p || c == end || *c != ':') return malformed(h, bad_name(p, c, end));
    header->name = (struct ln_str){p, (size_t)(c - p)};
    const char *raw = ++c;
    while (c < end && (*c == ' ' || *c == '\t')) c++;
    while (c < end && (end[-1] == ' ' || end[-1] == '\t')) end--;
    header->value = (struct ln_str){c, (size_t)(end - c)};
    note(f, header, raw, h->held.data + ends);
  }
  return LN_HTTP_HEAD;
}

/* --- what the fields say of the message --- */

/* -1 when it is no length. A leading zero makes it octal to some. */
static int64_t length(struct ln_str s) {
  if (!ln_http_all(s, LN_HTTP_DIGIT) || s.n > 18 || (s.n > 1 && s.p[0] == '0')) return -1;
  int64_t n = 0;
  for (size_t i = 0; i < s.n; i++) n = n * 10 + (s.p[i] - '0');
  return n;
}

static enum ln_http_event framing(struct ln_http *h, const struct facts *f) {
  struct ln_http_head *head = &h->head;
  if (f->tab) return malformed(h, "a tab in a framing header");
  if (f->n_length > 1) return malformed(h, "Content-Length twice");
  if (f->n_coding > 1) return malformed(h, "Transfer-Encoding twice");
  if (f->n_length && f->n_coding)
    return malformed(h, "Content-Length together with Transfer-Encoding");
  if (f->n_length) {
    head->content_length = length(f->length);
    if (head->content_length < 0) return malformed(h, "a malformed Content-Length");
  }
  if (f->n_coding) {
    if (head->minor == 0) return malformed(h, "Transfer-Encoding in HTTP/1.0");
    if (!ln_str_iis(f->coding, "chunked"))
      return ln_http_fail(h, LN_EPROTOCOL, 501, "a transfer coding other than chunked");
    head->chunked = true;
  }
  head->keep_alive = !f->close && (head->minor == 1 || f->keep);
  return LN_HTTP_HEAD;
}

static enum ln_http_event finish_request(struct ln_http *h, const struct facts *f) {
  struct ln_http_head *head = &h->head;
  head->method.p = h->held.data;
  head->target.p = head->method.p + head->method.n + 1;
  if (f->n_host > 1) return malformed(h, "Host twice");
  if (!f->n_host && head->minor == 1) return malformed(h, "no Host");
  head->authority = f->host;
  const char *why = ln_http_target_resolve(head);
  if (why) return malformed(h, why);
  bool body = head->chunked || head->content_length > 0;
  head->expect_continue =
      body && head->minor == 1 && f->expect.n && ln_str_iis(f->expect, "100-continue");
  if (ln_str_is(head->method, "CONNECT")) {
    /* What would follow is a tunnel to some, a body or a request to others. */
    if (body) return malformed(h, "CONNECT with a body");
    head->keep_alive = false;
  }
  return LN_HTTP_HEAD;
}

/* MORE: informational, to be skipped. */
static enum ln_http_event finish_response(struct ln_http *h) {
  struct ln_http_head *head = &h->head;
  bool body = head->chunked || head->content_length > 0;
  if (head->status < 200) {
    if (body) return malformed(h, "an informational response with a body");
    if (++h->skipped > MAX_INFORMATIONAL)
      return ln_http_fail(h, LN_ELIMIT, 0, "too many informational responses");
    h->state = LN_HTTP_AT_START;
    return LN_HTTP_MORE;
  }
  h->skipped = 0;
  if (head->status == 204) {
    /* It has none, but a peer that announces one may go on to send it. */
    if (body) head->keep_alive = false;
  } else if (!h->head_only && head->status != 304 && !head->chunked && head->content_length < 0) {
    head->until_close = true;
    head->keep_alive = false;
  }
  return LN_HTTP_HEAD;
}

static enum ln_http_event finish(struct ln_http *h) {
  struct facts f = {.close = false};
  enum ln_http_event e = fields(h, &f);
  if (e == LN_HTTP_HEAD) e = framing(h, &f);
  if (e != LN_HTTP_HEAD) return e;
  return h->kind == LN_HTTP_REQUEST ? finish_request(h, &f) : finish_response(h);
}

/* --- the first pass --- */

static enum ln_http_event keep(struct ln_http *h, struct ln_str *data, size_t n) {
  int rc = ln_buf_append(&h->held, data->p, n);
  if (rc) return ln_http_fail(h, rc, 500, "no memory for a head");
  data->p += n;
  data->n -= n;
  return LN_HTTP_MORE;
}

static const char *control(char c) {
  return c == '\n' ? "a bare LF" : "a control byte";
}

/* The next line of the head: MORE with *line false when the input is used up. On a line the
 * bytes up to its end are `used` bytes at data, which this doesn't advance over. */
static enum ln_http_event next_line(struct ln_http *h, struct ln_str *data, size_t *used,
                                    bool *line) {
  size_t n = LN_MIN(data->n, h->max_head - h->held.len), i = *used;
  while (i < n) {
    char c = data->p[i];
    if (h->cr) {
      if (c != '\n') return malformed(h, "a bare CR");
      h->cr = false;
      *used = i + 1;
      *line = true;
      return LN_HTTP_MORE;
    }
    if (c == '\r')
      h->cr = true;
    else if (!ln_http_is(c, LN_HTTP_TEXT))
      return malformed(h, control(c));
    i++;
    if (!h->cr) i += plain(data->p + i, n - i);
  }
  if (n < data->n) {
    bool target = h->kind == LN_HTTP_REQUEST && h->state == LN_HTTP_IN_LINE;
    return ln_http_fail(h, LN_ELIMIT, target ? 414 : 431, "the head is too big");
  }
  *line = false;
  return keep(h, data, n);
}

/* The start line is whole. When a part of it was held the rest joins that. */
static enum ln_http_event start_line(struct ln_http *h, struct ln_str *data, size_t *used) {
  struct ln_str s = {data->p, *used - 2};
  if (h->held.len) {
    enum ln_http_event e = keep(h, data, *used);
    if (e != LN_HTTP_MORE) return e;
    *used = 0;
    s = (struct ln_str){h->held.data, h->held.len - 2};
  }
  h->line = h->held.len + *used;
  h->state = LN_HTTP_IN_FIELDS;
  return h->kind == LN_HTTP_REQUEST ? request_line(h, s) : status_line(h, s);
}

/* Anything but MORE ends the reading; so does MORE with data used up. */
static enum ln_http_event lines(struct ln_http *h, struct ln_str *data) {
  size_t used = 0;
  for (;;) {
    bool line = false;
    enum ln_http_event e = next_line(h, data, &used, &line);
    if (e != LN_HTTP_MORE || !line) return e;
    if (h->state == LN_HTTP_IN_LINE) {
      e = start_line(h, data, &used);
      if (e != LN_HTTP_MORE) return e;
      continue;
    }
    size_t end = h->held.len + used;
    if (end - 2 == h->line) {
      e = keep(h, data, used);
      return e == LN_HTTP_MORE ? finish(h) : e;
    }
    if (h->head.n_headers == LN_HTTP_MAX_HEADERS)
      return ln_http_fail(h, LN_ELIMIT, 431, "too many headers");
    struct ln_http_header *header = &h->head.headers[h->head.n_headers++];
    header->name.n = h->line;
    header->value.n = end - 2;
    h->line = end;
  }
}

static void begin(struct ln_http *h) {
  struct ln_http_head *head = &h->head;
  ln_buf_clear(&h->held);
  h->line = 0;
  h->cr = false;
  h->body = LN_STR_NONE;
  head->method = head->target = head->authority = LN_STR_NONE;
  head->status = head->minor = 0;
  head->keep_alive = head->chunked = head->until_close = head->expect_continue = false;
  head->content_length = -1;
  head->n_headers = 0;
  h->state = LN_HTTP_IN_LINE;
}

/* One empty line before a request is tolerated, as RFC 9112, 2.2 asks: the CR and LF of it
 * are counted in `skipped`. */
static enum ln_http_event before(struct ln_http *h, struct ln_str *data) {
  char c = *data->p;
  if (h->state == LN_HTTP_AT_EMPTY) {
    if (c != '\n') return malformed(h, "a bare CR");
    h->state = LN_HTTP_AT_START;
    h->skipped = 1;
  } else if (c == '\r' && h->kind == LN_HTTP_REQUEST && !h->skipped) {
    h->state = LN_HTTP_AT_EMPTY;
  } else {
    begin(h);
    if (h->kind == LN_HTTP_REQUEST) h->skipped = 0;
    return LN_HTTP_MORE;
  }
  data->p++;
  data->n--;
  return LN_HTTP_MORE;
}

enum ln_http_event ln_http_head_read(struct ln_http *h, struct ln_str *data) {
  enum ln_http_event e = LN_HTTP_MORE;
  while (data->n && e == LN_HTTP_MORE)
    e = h->state < LN_HTTP_IN_LINE ? before(h, data) : lines(h, data);
  return e;
}
