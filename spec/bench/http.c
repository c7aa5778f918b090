/* Reads HTTP/1.1 messages out of a buffer that holds them whole. A head that came in pieces is
 * read again from its start each time: on loopback that is rare, and it keeps this stateless. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench.h"

struct framing {
  bool chunked, has_length;
  size_t length;
};

static bool named(const char *line, size_t n, const char *name, struct bench_span *value) {
  size_t length = strlen(name);
  if (n <= length || line[length] != ':' || strncasecmp(line, name, length) != 0) return false;
  const char *p = line + length + 1, *end = line + n;
  while (p < end && (*p == ' ' || *p == '\t')) p++;
  while (end > p && (end[-1] == ' ' || end[-1] == '\t')) end--;
  *value = (struct bench_span){p, (size_t)(end - p)};
  return true;
}

static bool starts(struct bench_span s, const char *text) {
  return s.n >= strlen(text) && strncasecmp(s.p, text, strlen(text)) == 0;
}

static bool decimal(struct bench_span s, size_t *out) {
  size_t value = 0;
  if (s.n == 0 || s.n > 9) return false;
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] < '0' || s.p[i] > '9') return false;
    value = value * 10 + (size_t)(s.p[i] - '0');
  }
  *out = value;
  return true;
}

static bool read_header(const char *line, size_t n, struct bench_http *m, struct framing *f) {
  struct bench_span value;
  if (named(line, n, "content-length", &value)) {
    f->has_length = true;
    return decimal(value, &f->length);
  }
  if (named(line, n, "transfer-encoding", &value))
    f->chunked = starts(value, "chunked");
  else if (named(line, n, "content-type", &value))
    m->sse = starts(value, "text/event-stream");
  else if (named(line, n, "mcp-session-id", &value))
    m->session = value;
  return true;
}

/* 1 with m->head, m->line and f set; 0, -1 as bench_http_read. */
static int read_head(const char *p, size_t n, struct bench_http *m, struct framing *f) {
  size_t at = 0;
  for (bool first = true;; first = false) {
    const char *lf = memchr(p + at, '\n', n - at);
    if (lf == NULL) return 0;
    size_t length = (size_t)(lf - (p + at));
    if (length == 0 || p[at + length - 1] != '\r') return -1;
    const char *line = p + at;
    at += length + 1;
    length--;
    if (first)
      m->line = (struct bench_span){line, length};
    else if (length == 0)
      break;
    else if (!read_header(line, length, m, f))
      return -1;
  }
  if (starts(m->line, "HTTP/1.")) {
    size_t status;
    if (m->line.n < 12 || !decimal((struct bench_span){m->line.p + 9, 3}, &status)) return -1;
    m->status = (int)status;
  }
  m->head = at;
  return 1;
}

/* Walks the chunks at p; with `into` also joins them there. 1 with *used and *joined. */
static int read_chunks(char *p, size_t n, char *into, size_t *used, size_t *joined) {
  size_t at = 0, out = 0;
  for (;;) {
    const char *lf = memchr(p + at, '\n', n - at);
    if (lf == NULL) return 0;
    char *end;
    unsigned long size = strtoul(p + at, &end, 16);
    if (end == p + at || size > BENCH_BUF_MAX) return -1;
    at = (size_t)(lf - p) + 1;
    if (n - at < size + 2) return 0;
    if (into != NULL) memmove(into + out, p + at, size);
    out += size;
    at += size + 2; /* for the last one: the empty line, as no trailers come */
    if (size == 0) break;
  }
  *used = at;
  *joined = out;
  return 1;
}

int bench_http_read(char *p, size_t n, struct bench_http *m) {
  struct framing f = {0};
  memset(m, 0, sizeof *m);
  int got = read_head(p, n, m, &f);
  if (got <= 0) return got;
  char *body = p + m->head;
  if (f.chunked) {
    size_t used, joined;
    got = read_chunks(body, n - m->head, NULL, &used, &joined);
    if (got <= 0) return got;
    read_chunks(body, n - m->head, body, &used, &joined);
    m->body = (struct bench_span){body, joined};
    m->total = m->head + used;
    return 1;
  }
  /* A response that ends with its connection would end the load's session: not taken. */
  if (!f.has_length && m->status != 0 && m->status != 202 && m->status != 204) return -1;
  if (n - m->head < f.length) return 0;
  m->body = (struct bench_span){body, f.length};
  m->total = m->head + f.length;
  return 1;
}
