/* Server-sent events; see sse.h.
 *
 * Bytes of a data field go straight into the event's data, however the input is cut, so a big
 * event is copied once; only names (at most five bytes matter) and the short fields pass
 * through `line`. Comments and unknown fields are not kept at all.
 * Invariant: between calls `line` holds the unfinished name (phase NAME) or the unfinished
 * value of event, id or retry (phase VALUE), else it is empty. */
#include "wire/sse.h"

/* BOM to BOM_2: so many bytes of a byte order mark were read, at the very start. */
enum phase { BOM, BOM_1, BOM_2, NAME, SPACE, VALUE };
enum field { UNKNOWN, DATA, EVENT, ID, RETRY };

enum { LONGEST_NAME = 5 };

void ln_sse_init(struct ln_sse *s, size_t max_event) {
  /* A cut name goes through `line`, and whether it is cut must make no difference. */
  if (max_event < LONGEST_NAME) max_event = LONGEST_NAME;
  *s = (struct ln_sse){.retry_ms = -1, .phase = BOM};
  ln_buf_init(&s->line, max_event);
  ln_buf_init(&s->data, max_event);
  ln_buf_init(&s->event, max_event);
  ln_buf_init(&s->next_id, max_event);
  ln_buf_init(&s->last_id, max_event);
}

void ln_sse_deinit(struct ln_sse *s) {
  ln_buf_deinit(&s->line);
  ln_buf_deinit(&s->data);
  ln_buf_deinit(&s->event);
  ln_buf_deinit(&s->next_id);
  ln_buf_deinit(&s->last_id);
}

static void advance(struct ln_str *data, size_t n) {
  data->p += n;
  data->n -= n;
}

static void swap(struct ln_buf *a, struct ln_buf *b) {
  struct ln_buf t = *a;
  *a = *b;
  *b = t;
}

/* Where the first CR or LF is, n without one. Two memchr over windows that double: one over all
 * would read the rest of the input again for every line when only the other kind is there. */
static size_t line_end(const char *p, size_t n) {
  size_t at = 0, window = 64;
  while (at < n) {
    size_t w = LN_MIN(window, n - at);
    const char *lf = memchr(p + at, '\n', w);
    if (lf) w = (size_t)(lf - (p + at));
    const char *cr = memchr(p + at, '\r', w);
    if (cr) return (size_t)(cr - p);
    if (lf) return (size_t)(lf - p);
    at += w;
    window *= 2;
  }
  return n;
}

static enum field field_of(struct ln_str name) {
  if (ln_str_is(name, "data")) return DATA;
  if (ln_str_is(name, "event")) return EVENT;
  if (ln_str_is(name, "id")) return ID;
  if (ln_str_is(name, "retry")) return RETRY;
  return UNKNOWN;
}

/* The name is complete; a second data field of an event starts a new line in its data. */
static int begin_value(struct ln_sse *s, struct ln_str name) {
  s->field = (uint8_t)field_of(name);
  ln_buf_clear(&s->line);
  if (s->field != DATA) return LN_OK;
  bool more = s->has_data;
  s->has_data = true;
  return more ? ln_buf_append(&s->data, "\n", 1) : LN_OK;
}

/* A part of a line's name, which a colon may end. */
static int take_name(struct ln_sse *s, struct ln_str *part) {
  size_t room = LONGEST_NAME - s->line.len;
  const char *colon = memchr(part->p, ':', LN_MIN(part->n, room + 1));
  if (!colon && part->n > room) {
    s->phase = VALUE;
    return begin_value(s, LN_STR_NONE);
  }
  size_t n = colon ? (size_t)(colon - part->p) : part->n;
  struct ln_str name = {part->p, n};
  if (!colon || s->line.len) {
    int rc = ln_buf_append(&s->line, part->p, n);
    if (rc) return rc;
    name = ln_buf_str(&s->line);
  }
  advance(part, colon ? n + 1 : n);
  if (!colon) return LN_OK;
  s->phase = SPACE;
  return begin_value(s, name);
}

/* A part of a line, without its end. */
static int take(struct ln_sse *s, struct ln_str part) {
  if (s->phase == NAME && part.n) {
    int rc = take_name(s, &part);
    if (rc) return rc;
  }
  if (s->phase == SPACE && part.n) {
    if (*part.p == ' ') advance(&part, 1);
    s->phase = VALUE;
  }
  if (!part.n || s->phase != VALUE || s->field == UNKNOWN) return LN_OK;
  return ln_buf_append_str(s->field == DATA ? &s->data : &s->line, part);
}

/* Digits only, else the field is ignored; what is too big for the type is its biggest. */
static void set_retry(struct ln_sse *s, struct ln_str v) {
  int64_t ms = 0;
  for (size_t i = 0; i < v.n; i++) {
    if (v.p[i] < '0' || v.p[i] > '9') return;
    int digit = v.p[i] - '0';
    ms = ms > (INT64_MAX - digit) / 10 ? INT64_MAX : ms * 10 + digit;
  }
  if (v.n) s->retry_ms = ms;
}

/* A blank line: the event is whole. */
static int dispatch(struct ln_sse *s, struct ln_sse_event *event) {
  if (s->has_id) {
    swap(&s->last_id, &s->next_id);
    ln_buf_clear(&s->next_id);
    s->has_id = false;
  }
  s->delivered = true;
  if (!s->has_data) return LN_EAGAIN;
  s->has_data = false;
  event->data = s->data.len ? ln_buf_take(&s->data) : ln_bytes_new(0);
  if (!event->data) return LN_ENOMEM;
  event->type = s->event.len ? ln_buf_str(&s->event) : LN_STR_LIT("message");
  event->id = ln_buf_str(&s->last_id);
  return LN_OK;
}

/* A line is complete. LN_OK when it made an event whole. */
static int end_line(struct ln_sse *s, struct ln_sse_event *event) {
  if (s->phase == NAME) {
    if (!s->line.len) return dispatch(s, event);
    int rc = begin_value(s, ln_buf_str(&s->line)); /* no colon: the value is empty */
    if (rc) return rc;
  }
  if (s->field == EVENT) {
    swap(&s->event, &s->line);
  } else if (s->field == ID && !(s->line.len && memchr(s->line.data, 0, s->line.len))) {
    swap(&s->next_id, &s->line);
    s->has_id = true;
  } else if (s->field == RETRY) {
    set_retry(s, ln_buf_str(&s->line));
  }
  ln_buf_clear(&s->line);
  s->phase = NAME;
  return LN_EAGAIN;
}

/* One byte where a byte order mark may be. The beginning of one that isn't completed is the
 * beginning of an unknown field name. */
static void take_bom(struct ln_sse *s, struct ln_str *data) {
  static const char mark[3] = {'\xEF', '\xBB', '\xBF'};
  if (*data->p == mark[s->phase]) {
    s->phase++; /* past the last: NAME */
    advance(data, 1);
    return;
  }
  s->field = UNKNOWN;
  s->phase = s->phase == BOM ? NAME : VALUE;
}

int ln_sse_next(struct ln_sse *s, struct ln_str *data, struct ln_sse_event *event) {
  if (s->error) return s->error;
  while (data->n) {
    if (s->delivered) {
      ln_buf_clear(&s->event);
      s->delivered = false;
    }
    if (s->after_cr) {
      s->after_cr = false;
      if (*data->p == '\n') {
        advance(data, 1);
        continue;
      }
    }
    if (s->phase < NAME) {
      take_bom(s, data);
      continue;
    }
    size_t n = line_end(data->p, data->n);
    bool ended = n < data->n;
    int rc = take(s, (struct ln_str){data->p, n});
    s->after_cr = ended && data->p[n] == '\r';
    advance(data, ended ? n + 1 : n);
    if (rc == LN_OK) rc = ended ? end_line(s, event) : LN_EAGAIN;
    if (rc == LN_OK) return LN_OK;
    if (rc != LN_EAGAIN) return s->error = rc;
  }
  return LN_EAGAIN;
}

static bool one_line(struct ln_str s) {
  return !s.n || !(memchr(s.p, '\n', s.n) || memchr(s.p, '\r', s.n) || memchr(s.p, 0, s.n));
}

int ln_sse_head(struct ln_buf *out, struct ln_str type, struct ln_str id) {
  if (!one_line(type) || !one_line(id)) return ln_buf_fail(out, LN_EINVALID);
  size_t before = out->len;
  if (type.p) {
    ln_buf_append_c(out, "event: ");
    ln_buf_append_str(out, type);
    ln_buf_append_c(out, "\n");
  }
  if (id.p) {
    ln_buf_append_c(out, "id: ");
    ln_buf_append_str(out, id);
    ln_buf_append_c(out, "\n");
  }
  int rc = ln_buf_append_c(out, "data: ");
  if (rc) out->len = before;
  return rc;
}
