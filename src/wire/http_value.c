/* Header values taken apart: lists, media types, the classes bytes belong to, status texts.
 *
 * Lists are cut at commas outside quoted strings; a string without its end lasts to the end
 * of the value. Everything is one pass over the value. */
#include "wire/http_head.h"

#include <stdlib.h>

/* The bits of http_head.h, sixteen bytes a row. */
// clang-format off
const uint8_t ln_http_class[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0,  8,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     8, 13, 12,  9, 13, 13, 13, 13, 12, 12, 13, 13, 12, 15, 15, 12,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 12, 12, 12, 12, 12, 12,
    12, 47, 47, 47, 47, 47, 47, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 12, 12, 12, 13, 15,
    13, 47, 47, 47, 47, 47, 47, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 12, 13, 12, 15,  0,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
     8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,  8,
};
// clang-format on

bool ln_http_all(struct ln_str s, uint8_t classes) {
  for (size_t i = 0; i < s.n; i++)
    if (!ln_http_is(s.p[i], classes)) return false;
  return s.n > 0;
}

bool ln_http_value_ok(struct ln_str s) {
  return !s.n || ln_http_all(s, LN_HTTP_TEXT);
}

/* The slice, with its bytes at *to, which moves on. */
static struct ln_str moved(struct ln_str s, char **to) {
  if (!s.n) return s;
  char *at = memcpy(*to, s.p, s.n);
  *to += s.n;
  return (struct ln_str){at, s.n};
}

struct ln_http_head *ln_http_head_copy(const struct ln_http_head *head) {
  size_t n = head->method.n + head->target.n + head->authority.n;
  for (unsigned i = 0; i < head->n_headers; i++)
    n += head->headers[i].name.n + head->headers[i].value.n;
  struct ln_http_head *copy = malloc(sizeof *copy + n);
  if (!copy) return NULL;
  char *to = (char *)(copy + 1);
  *copy = *head;
  copy->method = moved(head->method, &to);
  copy->target = moved(head->target, &to);
  copy->authority = moved(head->authority, &to);
  for (unsigned i = 0; i < head->n_headers; i++) {
    copy->headers[i].name = moved(head->headers[i].name, &to);
    copy->headers[i].value = moved(head->headers[i].value, &to);
  }
  return copy;
}

struct ln_str ln_http_header(const struct ln_http_head *head, const char *name, unsigned *count) {
  struct ln_str want = ln_str_c(name), found = LN_STR_NONE;
  unsigned n = 0;
  for (unsigned i = 0; i < head->n_headers; i++) {
    const struct ln_http_header *at = &head->headers[i];
    /* A request is asked for a dozen headers, and of most the length says that they are others. */
    if (at->name.n != want.n || !ln_str_ieq(at->name, want)) continue;
    if (!n++) found = at->value;
  }
  if (count) *count = n;
  return found;
}

/* Cuts the next part off *list, up to a separator that is outside quotes; false at its end. */
static bool next_part(struct ln_str *list, char separator, struct ln_str *part) {
  if (!list->p) return false;
  bool quoted = false;
  size_t i = 0;
  for (; i < list->n && (quoted || list->p[i] != separator); i++) {
    if (list->p[i] == '"')
      quoted = !quoted;
    else if (quoted && list->p[i] == '\\' && i + 1 < list->n)
      i++;
  }
  *part = ln_str_trim((struct ln_str){list->p, i});
  if (i == list->n)
    *list = LN_STR_NONE;
  else
    *list = (struct ln_str){list->p + i + 1, list->n - i - 1};
  return true;
}

bool ln_http_token(struct ln_str value, const char *token) {
  struct ln_str element, name;
  while (next_part(&value, ',', &element))
    if (next_part(&element, ';', &name) && name.n && ln_str_iis(name, token)) return true;
  return false;
}

int ln_http_tokens_copy(struct ln_str value, struct ln_buf *out) {
  struct ln_str element;
  int rc = LN_OK;
  bool any = false;
  while (!rc && next_part(&value, ',', &element)) {
    if (!ln_http_all(element, LN_HTTP_TCHAR)) continue;
    if (any) rc = ln_buf_append_c(out, ", ");
    if (!rc) rc = ln_buf_append_str(out, element);
    any = true;
  }
  return rc;
}

struct ln_str ln_http_media_type(struct ln_str content_type) {
  struct ln_str type = LN_STR_NONE;
  if (!next_part(&content_type, ';', &type)) return LN_STR_NONE;
  return type;
}

struct ln_str ln_http_parameter(struct ln_str content_type, const char *name, unsigned *count) {
  struct ln_str part, found = LN_STR_NONE;
  size_t n = strlen(name);
  *count = 0;
  if (!next_part(&content_type, ';', &part)) return found;
  while (next_part(&content_type, ';', &part)) {
    if (part.n <= n || part.p[n] != '=' || !ln_str_iis((struct ln_str){part.p, n}, name)) continue;
    struct ln_str value = {part.p + n + 1, part.n - n - 1};
    if (value.n > 1 && value.p[0] == '"' && value.p[value.n - 1] == '"')
      value = (struct ln_str){value.p + 1, value.n - 2};
    if (!(*count)++) found = value;
  }
  return found;
}

/* How closely a media range fits: 3 the type itself, 2 any of its kind, 1 anything, 0 not at all.
 */
static int fit(struct ln_str range, struct ln_str type) {
  if (ln_str_is(range, "*/*")) return 1;
  if (ln_str_ieq(range, type)) return 3;
  const char *slash = memchr(type.p, '/', type.n);
  size_t n = slash ? (size_t)(slash - type.p) + 1 : 0;
  if (!n || range.n != n + 1 || range.p[n] != '*') return 0;
  return ln_str_ieq((struct ln_str){range.p, n}, (struct ln_str){type.p, n}) ? 2 : 0;
}

/* "q=0.25" in thousandths; -1 for another parameter. What is no weight counts as the full one. */
static int weight_of(struct ln_str parameter) {
  if (parameter.n < 3 || (parameter.p[0] | 0x20) != 'q' || parameter.p[1] != '=') return -1;
  int weight = 0, unit = 100;
  if (parameter.p[2] != '0' || (parameter.n > 3 && parameter.p[3] != '.')) return 1000;
  for (size_t i = 4; i < parameter.n; i++, unit /= 10) {
    if (!ln_http_is(parameter.p[i], LN_HTTP_DIGIT)) return 1000;
    weight += (parameter.p[i] - '0') * unit;
  }
  return weight;
}

/* What Accept says of a type: the range that fits most closely decides; of equal ones the one that
 * weighs most. weight 0: not acceptable. */
struct opinion {
  int weight;
  unsigned place; /* among the ranges */
};

static struct opinion opinion_of(struct ln_str accept, const char *media_type) {
  struct ln_str type = ln_str_c(media_type), element, part;
  /* What nearly all of MCP's clients send, to the letter. */
  if (ln_str_is(accept, "application/json, text/event-stream")) {
    if (ln_str_is(type, "application/json")) return (struct opinion){1000, 0};
    if (ln_str_is(type, "text/event-stream")) return (struct opinion){1000, 1};
  }
  struct opinion opinion = {0};
  int best = 0;
  for (unsigned place = 0; next_part(&accept, ',', &element); place++) {
    if (!next_part(&element, ';', &part)) continue;
    int f = fit(part, type), weight = 1000;
    if (!f || f < best) continue;
    while (next_part(&element, ';', &part)) {
      int w = weight_of(part);
      if (w >= 0) weight = w;
    }
    if (f > best || weight > opinion.weight) opinion = (struct opinion){weight, place};
    best = f;
  }
  return opinion;
}

bool ln_http_accepts(struct ln_str accept, const char *media_type) {
  return opinion_of(accept, media_type).weight > 0;
}

bool ln_http_prefers(struct ln_str accept, const char *media_type, const char *other) {
  struct opinion a = opinion_of(accept, media_type), b = opinion_of(accept, other);
  return a.weight > b.weight || (a.weight && a.weight == b.weight && a.place < b.place);
}

// clang-format off
#define STATUSES(X)                    \
  X(100, "Continue")                   \
  X(200, "OK")                         \
  X(201, "Created")                    \
  X(202, "Accepted")                   \
  X(204, "No Content")                 \
  X(301, "Moved Permanently")          \
  X(302, "Found")                      \
  X(303, "See Other")                  \
  X(304, "Not Modified")               \
  X(307, "Temporary Redirect")         \
  X(308, "Permanent Redirect")         \
  X(400, "Bad Request")                \
  X(401, "Unauthorized")               \
  X(403, "Forbidden")                  \
  X(404, "Not Found")                  \
  X(405, "Method Not Allowed")         \
  X(406, "Not Acceptable")             \
  X(408, "Request Timeout")            \
  X(409, "Conflict")                   \
  X(410, "Gone")                       \
  X(411, "Length Required")            \
  X(413, "Content Too Large")          \
  X(414, "URI Too Long")               \
  X(415, "Unsupported Media Type")     \
  X(417, "Expectation Failed")         \
  X(421, "Misdirected Request")        \
  X(422, "Unprocessable Content")      \
  X(426, "Upgrade Required")           \
  X(429, "Too Many Requests")          \
  X(431, "Request Header Fields Too Large") \
  X(500, "Internal Server Error")      \
  X(501, "Not Implemented")            \
  X(502, "Bad Gateway")                \
  X(503, "Service Unavailable")        \
  X(504, "Gateway Timeout")            \
  X(505, "HTTP Version Not Supported")
// clang-format on

const char *ln_http_status_text(int status) {
  switch (status) {
#define STATUS(code, text) \
  case code: return text;
    STATUSES(STATUS)
#undef STATUS
    default: return "Unknown";
  }
}
