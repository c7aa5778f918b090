/* Finds members in JSON that is taken to be well formed. What is broken is "not found", and no
 * byte beyond the span is read. */
#include <string.h>

#include "bench.h"

static const char *skip_space(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++;
  return p;
}

/* p is at the opening quote; beyond the closing one, or NULL. */
static const char *skip_string(const char *p, const char *end) {
  for (p++; p < end; p++) {
    if (*p == '\\')
      p++;
    else if (*p == '"')
      return p + 1;
  }
  return NULL;
}

static const char *skip_value(const char *p, const char *end) {
  if (p >= end) return NULL;
  if (*p == '"') return skip_string(p, end);
  if (*p != '{' && *p != '[') {
    while (p < end && strchr(",]} \t\r\n", *p) == NULL) p++;
    return p;
  }
  for (size_t depth = 0; p != NULL && p < end;) {
    if (*p == '"') {
      p = skip_string(p, end);
      continue;
    }
    if (*p == '{' || *p == '[') depth++;
    if ((*p == '}' || *p == ']') && --depth == 0) return p + 1;
    p++;
  }
  return NULL;
}

bool bench_json_member(struct bench_span object, const char *name, struct bench_span *value) {
  const char *end = object.p + object.n;
  const char *p = skip_space(object.p, end);
  size_t length = strlen(name);
  if (p >= end || *p != '{') return false;
  for (p = skip_space(p + 1, end); p < end && *p == '"';) {
    const char *key = p + 1;
    p = skip_string(p, end);
    if (p == NULL) return false;
    bool found = (size_t)(p - 1 - key) == length && memcmp(key, name, length) == 0;
    p = skip_space(p, end);
    if (p >= end || *p != ':') return false;
    const char *start = skip_space(p + 1, end);
    p = skip_value(start, end);
    if (p == NULL) return false;
    if (found) {
      *value = (struct bench_span){start, (size_t)(p - start)};
      return true;
    }
    p = skip_space(p, end);
    if (p >= end || *p != ',') return false;
    p = skip_space(p + 1, end);
  }
  return false;
}

bool bench_span_is(struct bench_span s, const char *text) {
  return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}
