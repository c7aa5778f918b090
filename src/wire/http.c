/* HTTP/1.1 messages: the walk from head through body to end; see http.h. Heads are read in
 * http_head.c, targets in http_target.c, values taken apart in http_value.c.
 *
 * Invariants: what comes out depends on the bytes alone, never on how they were cut; after an
 * error nothing more comes out; nothing but the head is ever stored. */
#include "wire/http_head.h"

enum {
  DONE = LN_HTTP_BODY_STATES, /* only END is due */
  LENGTH,                     /* `left` bytes of body follow */
  CLOSE,                      /* all bytes are body */
  CHUNK_SIZE,                 /* `left` is the size so far, `line` its digits */
  CHUNK_EXTENSION,            /* `line` is its bytes */
  CHUNK_SIZE_LF,
  CHUNK_DATA, /* `left` bytes of the chunk follow */
  CHUNK_CR,
  CHUNK_LF,
  TRAILER, /* the start of a line; `line` is the bytes of all trailers */
  TRAILER_NAME,
  TRAILER_VALUE,
  TRAILER_LF,
  LAST_LF,
  FAILED
};

/* 16 digits hold every size there can be, padding included. */
enum { MAX_SIZE_DIGITS = 16, MAX_EXTENSION = 256 };

static const char too_big[] = "the body is too big";

void ln_http_init(struct ln_http *h, enum ln_http_kind kind, size_t max_head, uint64_t max_body) {
  *h = (struct ln_http){.kind = kind, .max_head = max_head, .max_body = max_body};
  ln_buf_init(&h->held, max_head);
}

void ln_http_deinit(struct ln_http *h) {
  ln_buf_deinit(&h->held);
}

void ln_http_release(struct ln_http *h) {
  if (h->state == LN_HTTP_AT_START) ln_buf_deinit(&h->held);
}

enum ln_http_event ln_http_fail(struct ln_http *h, int err, int status, const char *why) {
  if (h->state < LN_HTTP_BODY_STATES) {
    /* Half read, its parts are offsets still. */
    h->head.n_headers = 0;
    h->head.method = h->head.target = h->head.authority = LN_STR_NONE;
  }
  h->state = FAILED;
  h->error = err;
  h->status = h->kind == LN_HTTP_REQUEST ? status : 0;
  h->why = why;
  h->body = LN_STR_NONE;
  return LN_HTTP_ERROR;
}

static enum ln_http_event malformed(struct ln_http *h, const char *why) {
  return ln_http_fail(h, LN_ESYNTAX, 400, why);
}

/* The head is complete: which kind of body follows? */
static enum ln_http_event begin_body(struct ln_http *h) {
  const struct ln_http_head *head = &h->head;
  bool none =
      h->kind == LN_HTTP_RESPONSE && (h->head_only || head->status == 204 || head->status == 304);
  h->body_seen = 0;
  h->left = 0;
  h->line = 0;
  h->state = DONE;
  if (none) return LN_HTTP_HEAD;
  if (head->chunked) {
    h->state = CHUNK_SIZE;
  } else if (head->until_close) {
    h->state = CLOSE;
  } else if (head->content_length > 0) {
    h->left = (uint64_t)head->content_length;
    h->state = LENGTH;
    if (h->max_body && h->left > h->max_body) return ln_http_fail(h, LN_ELIMIT, 413, too_big);
  }
  return LN_HTTP_HEAD;
}

/* The next piece of body, at most `limit` bytes of it. */
static enum ln_http_event give(struct ln_http *h, struct ln_str *data, uint64_t limit) {
  size_t n = data->n < limit ? data->n : (size_t)limit;
  h->body = (struct ln_str){data->p, n};
  h->body_seen += n;
  data->p += n;
  data->n -= n;
  return LN_HTTP_BODY;
}

static enum ln_http_event give_counted(struct ln_http *h, struct ln_str *data, unsigned then) {
  give(h, data, h->left);
  h->left -= h->body.n;
  if (!h->left) h->state = then;
  return LN_HTTP_BODY;
}

static enum ln_http_event give_until_close(struct ln_http *h, struct ln_str *data) {
  uint64_t limit = h->max_body ? h->max_body - h->body_seen : UINT64_MAX;
  if (!limit) return ln_http_fail(h, LN_ELIMIT, 413, too_big);
  return give(h, data, limit);
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* One byte of a chunk's size. MORE stands for "go on" in this and the next two. */
static enum ln_http_event chunk_size(struct ln_http *h, char c) {
  int digit = hex(c);
  if (digit >= 0) {
    if (h->line++ == MAX_SIZE_DIGITS || h->left > INT64_MAX >> 4)
      return malformed(h, "a chunk size that is too long");
    h->left = h->left << 4 | (unsigned)digit;
    return LN_HTTP_MORE;
  }
  if (!h->line) return malformed(h, "a chunk without a size");
  if (c != '\r' && c != ';') return malformed(h, "junk in a chunk size");
  h->line = 0;
  h->state = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
  return LN_HTTP_MORE;
}

static enum ln_http_event chunk_begin(struct ln_http *h) {
  h->line = 0;
  if (!h->left) {
    h->state = TRAILER;
    return LN_HTTP_MORE;
  }
  if (h->max_body && h->left > h->max_body - h->body_seen)
    return ln_http_fail(h, LN_ELIMIT, 413, too_big);
  h->state = CHUNK_DATA;
  return LN_HTTP_MORE;
}

/* Trailers are checked like fields and dropped; chunk_byte bounds them like a head. */
static enum ln_http_event trailer(struct ln_http *h, char c) {
  switch (h->state) {
    case TRAILER:
      if (c == '\r') {
        h->state = LAST_LF;
        return LN_HTTP_MORE;
      }
      if (!ln_http_is(c, LN_HTTP_TCHAR)) break;
      h->state = TRAILER_NAME;
      return LN_HTTP_MORE;
    case TRAILER_NAME:
      if (c == ':')
        h->state = TRAILER_VALUE;
      else if (!ln_http_is(c, LN_HTTP_TCHAR))
        break;
      return LN_HTTP_MORE;
    default:
      if (c == '\r')
        h->state = TRAILER_LF;
      else if (!ln_http_is(c, LN_HTTP_TEXT))
        break;
      return LN_HTTP_MORE;
  }
  return malformed(h, "a malformed trailer");
}

/* One byte between the data of chunks. */
static enum ln_http_event chunk_byte(struct ln_http *h, char c) {
  unsigned then;
  if (h->state >= TRAILER && h->line++ == h->max_head)
    return ln_http_fail(h, LN_ELIMIT, 431, "too many trailers");
  switch (h->state) {
    case CHUNK_SIZE: return chunk_size(h, c);
    case CHUNK_EXTENSION:
      if (c == '\r')
        h->state = CHUNK_SIZE_LF;
      else if (!ln_http_is(c, LN_HTTP_TEXT) || (unsigned char)c > 0x7e)
        return malformed(h, "junk in a chunk extension");
      else if (++h->line > MAX_EXTENSION)
        return ln_http_fail(h, LN_ELIMIT, 400, "a chunk extension that is too long");
      return LN_HTTP_MORE;
    case CHUNK_SIZE_LF:
      if (c != '\n') return malformed(h, "a bare CR after a chunk size");
      return chunk_begin(h);
    case CHUNK_CR:
      if (c != '\r') return malformed(h, "a chunk that is longer than its size");
      h->state = CHUNK_LF;
      return LN_HTTP_MORE;
    case CHUNK_LF: then = CHUNK_SIZE; break;
    case TRAILER_LF: then = TRAILER; break;
    case LAST_LF: then = DONE; break;
    default: return trailer(h, c);
  }
  if (c != '\n') return malformed(h, "a bare CR in a chunked body");
  h->state = then;
  return LN_HTTP_MORE;
}

static enum ln_http_event chunk_frame(struct ln_http *h, struct ln_str *data) {
  enum ln_http_event e = LN_HTTP_MORE;
  while (data->n && e == LN_HTTP_MORE && h->state != DONE && h->state != CHUNK_DATA) {
    e = chunk_byte(h, *data->p);
    data->p++;
    data->n--;
  }
  return e;
}

static enum ln_http_event body_step(struct ln_http *h, struct ln_str *data) {
  if (!data->n) return LN_HTTP_MORE;
  switch (h->state) {
    case LENGTH: return give_counted(h, data, DONE);
    case CLOSE: return give_until_close(h, data);
    case CHUNK_DATA: return give_counted(h, data, CHUNK_CR);
    default: return chunk_frame(h, data);
  }
}

enum ln_http_event ln_http_next(struct ln_http *h, struct ln_str *data) {
  for (;;) {
    if (h->state == FAILED) return LN_HTTP_ERROR;
    if (h->state == DONE) {
      h->state = LN_HTTP_AT_START;
      return LN_HTTP_END;
    }
    if (h->state < LN_HTTP_BODY_STATES) {
      enum ln_http_event e = ln_http_head_read(h, data);
      return e == LN_HTTP_HEAD ? begin_body(h) : e;
    }
    enum ln_http_event e = body_step(h, data);
    if (e != LN_HTTP_MORE) return e;
    if (!data->n && h->state != DONE) return LN_HTTP_MORE;
  }
}

enum ln_http_event ln_http_eof(struct ln_http *h) {
  switch (h->state) {
    case FAILED: return LN_HTTP_ERROR;
    case LN_HTTP_AT_START: return LN_HTTP_MORE;
    case DONE:
    case CLOSE: h->state = LN_HTTP_AT_START; return LN_HTTP_END;
    default: return ln_http_fail(h, LN_ECLOSED, 400, "the connection was closed inside a message");
  }
}
