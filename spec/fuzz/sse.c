/* Fuzzes wire/sse: the events are those of a plain reading of the whole stream by the words of
 * the format, however it is cut; after a limit nothing more comes; and what is written of an
 * event with ln_sse_head is read back as it was. The first byte chooses the limit, the second
 * the cuts, the rest is the stream. */
#include "wire/sse.h"
#include "cuts.h"

static void record_event(struct record *out, struct ln_str type, struct ln_str id,
                         struct ln_str data) {
  record_str(out, 't', type);
  record_str(out, 'i', id);
  record_str(out, 'd', data);
}

/* The state an owner reads for a later reconnect. */
static void record_state(struct record *out, struct ln_str last_id, int64_t retry) {
  record_str(out, 'I', last_id);
  record_entry(out, 'r', &retry, sizeof retry);
}

static bool one_line(struct ln_str s) {
  return !s.n || !(memchr(s.p, '\r', s.n) || memchr(s.p, '\n', s.n) || memchr(s.p, 0, s.n));
}

/* Writes an event as a server would and reads it. Its data goes in as lines. */
static void round_trip(const struct ln_sse_event *event) {
  struct ln_buf out;
  ln_buf_init(&out, 1 << 20);
  /* A NUL may be read in a type, but is never written. */
  MUST(one_line(event->id));
  int rc = ln_sse_head(&out, event->type, event->id);
  MUST(rc == (one_line(event->type) ? LN_OK : LN_EINVALID));
  if (rc) {
    MUST(out.len == 0);
    ln_buf_deinit(&out);
    return;
  }
  for (size_t i = 0; i < event->data->len; i++) {
    char c = event->data->data[i];
    MUST(c != '\r');
    MUST(ln_buf_append(&out, &c, 1) == LN_OK);
    if (c == '\n') MUST(ln_buf_append_c(&out, "data: ") == LN_OK);
  }
  MUST(ln_buf_append_c(&out, "\n\n") == LN_OK);
  struct ln_sse s;
  struct ln_sse_event again;
  struct ln_str data = ln_buf_str(&out);
  ln_sse_init(&s, 1 << 20);
  MUST(ln_sse_next(&s, &data, &again) == LN_OK);
  MUST(ln_str_eq(again.type, event->type) && ln_str_eq(again.id, event->id));
  MUST(again.data->len == event->data->len);
  MUST(memcmp(again.data->data, event->data->data, again.data->len) == 0);
  ln_bytes_unref(again.data);
  MUST(ln_sse_next(&s, &data, &again) == LN_EAGAIN);
  ln_sse_deinit(&s);
  ln_buf_deinit(&out);
}

static int run(const uint8_t *p, size_t n, size_t max, struct cuts cuts, struct record *out) {
  struct ln_sse s;
  int failed = 0;
  ln_sse_init(&s, max);
  for (size_t at = 0; at < n;) {
    size_t len = cuts_next(&cuts, n - at);
    char *copy = piece(p + at, len);
    struct ln_str data = {copy, len};
    struct ln_sse_event event;
    int rc;
    while ((rc = ln_sse_next(&s, &data, &event)) == LN_OK) {
      MUST(!failed);
      MUST(event.data->len <= max);
      record_event(out, event.type, event.id, (struct ln_str){event.data->data, event.data->len});
      if (cuts.how == 0) round_trip(&event);
      ln_bytes_unref(event.data);
    }
    MUST(!failed || rc == failed);
    if (rc == LN_EAGAIN) MUST(data.n == 0);
    if (rc != LN_EAGAIN) MUST(rc == LN_ELIMIT);
    if (rc != LN_EAGAIN) failed = rc;
    free(copy);
    at += len;
  }
  if (!failed) record_state(out, ln_buf_str(&s.last_id), s.retry_ms);
  ln_sse_deinit(&s);
  return failed;
}

/* The format's own words, on the whole stream at once; for streams within the limit. */
struct reader {
  struct record data, type, id, last_id;
  int64_t retry;
};

static void set(struct record *r, struct ln_str v) {
  r->n = 0;
  record_add(r, v.p, v.n);
}

/* -1: not digits. 19 significant digits fit an unsigned long long. */
static int64_t milliseconds(struct ln_str v) {
  char digits[20] = "";
  size_t n = 0;
  for (size_t i = 0; i < v.n; i++) {
    if (v.p[i] < '0' || v.p[i] > '9') return -1;
    if (n || v.p[i] != '0') n++;
    if (n && n < sizeof digits) digits[n - 1] = v.p[i];
  }
  unsigned long long ms = strtoull(digits, NULL, 10);
  return n >= sizeof digits || ms > INT64_MAX ? INT64_MAX : (int64_t)ms;
}

static void field(struct reader *r, struct ln_str name, struct ln_str value) {
  if (ln_str_is(name, "event")) {
    set(&r->type, value);
  } else if (ln_str_is(name, "data")) {
    record_add(&r->data, value.p, value.n);
    record_add(&r->data, "\n", 1);
  } else if (ln_str_is(name, "id")) {
    if (!value.n || !memchr(value.p, 0, value.n)) set(&r->id, value);
  } else if (ln_str_is(name, "retry") && value.n) {
    int64_t ms = milliseconds(value);
    if (ms >= 0) r->retry = ms;
  }
}

static void line(struct reader *r, struct ln_str l, struct record *out) {
  if (!l.n) {
    set(&r->last_id, (struct ln_str){r->id.p, r->id.n});
    if (r->data.n)
      record_event(out, r->type.n ? (struct ln_str){r->type.p, r->type.n} : LN_STR_LIT("message"),
                   (struct ln_str){r->last_id.p ? r->last_id.p : "", r->last_id.n},
                   (struct ln_str){r->data.p, r->data.n - 1});
    r->data.n = r->type.n = 0;
    return;
  }
  const char *colon = memchr(l.p, ':', l.n);
  if (colon == l.p) return;
  size_t n = colon ? (size_t)(colon - l.p) : l.n;
  struct ln_str value = {l.p + n, l.n - n};
  if (colon) value = (struct ln_str){colon + 1, value.n - 1};
  if (value.n && value.p[0] == ' ') value = (struct ln_str){value.p + 1, value.n - 1};
  field(r, (struct ln_str){l.p, n}, value);
}

static void reference(const uint8_t *bytes, size_t n, struct record *out) {
  struct reader r = {.retry = -1};
  const char *p = (const char *)bytes;
  size_t at = n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
  while (at < n) {
    size_t end = at;
    while (end < n && p[end] != '\n' && p[end] != '\r') end++;
    if (end == n) break; /* nothing of an unfinished line counts */
    line(&r, (struct ln_str){p + at, end - at}, out);
    at = end + (p[end] == '\r' && end + 1 < n && p[end + 1] == '\n' ? 2 : 1);
  }
  record_state(out, (struct ln_str){r.last_id.p ? r.last_id.p : "", r.last_id.n}, r.retry);
  record_free(&r.data);
  record_free(&r.type);
  record_free(&r.id);
  record_free(&r.last_id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  size_t n = size - 2, live = ln_bytes_live();
  /* Half of the time no limit can be met. */
  size_t max = data[0] & 1 ? size : 5 + data[0] % 64;
  struct record expected = {0};
  int failed = run(data + 2, n, max, (struct cuts){0}, &expected);
  const uint64_t hows[] = {1, 2 + (uint64_t)data[1]};
  for (size_t i = 0; i < LN_COUNT(hows); i++) {
    struct record got = {0};
    MUST(run(data + 2, n, max, (struct cuts){hows[i]}, &got) == failed);
    MUST(record_same(&got, &expected));
    record_free(&got);
  }
  if (!failed) {
    struct record words = {0};
    reference(data + 2, n, &words);
    MUST(record_same(&words, &expected));
    record_free(&words);
  }
  MUST(!(failed && max == size));
  record_free(&expected);
  MUST(ln_bytes_live() == live);
  return 0;
}
