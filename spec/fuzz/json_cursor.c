/* Cursors over proven text: what they give must account for every byte of the container, be
 * valid JSON each by itself, and be found again by name. Over text that was never proven they
 * must stay inside it and come to an end. */
#include "json_fuzz.h"

static const char *blank(const char *p, const char *end) {
  while (p < end && strchr(" \t\r\n", *p) && *p) p++;
  return p;
}

/* s alone, in memory of its own: nothing may depend on what follows it. */
static void stands_alone(struct ln_str s, enum ln_json_type type) {
  struct ln_str copy = copy_of(s);
  enum ln_json_type scanned;
  MUST(proven(copy, &scanned));
  MUST(scanned == type && ln_json_type_of(copy) == type);
  struct ln_str trimmed = ln_json_trim(copy);
  MUST(trimmed.p == copy.p && trimmed.n == copy.n);
  free((void *)copy.p);
}

static void finds(struct ln_str object, struct ln_str key) {
  static char plain[FUZZ_MAX];
  struct ln_buf b;
  ln_buf_init(&b, sizeof plain - 1);
  int rc = ln_json_unescape(key, false, &b);
  if (rc == LN_OK && !(b.len && memchr(b.data, 0, b.len))) {
    if (b.len) memcpy(plain, b.data, b.len);
    plain[b.len] = '\0';
    MUST(ln_json_str_is(key, plain));
    struct ln_json_item found, each, last = {0};
    MUST(ln_json_get(object, plain, &found));
    struct ln_json_cur cur = ln_json_enter(object);
    while (ln_json_next(&cur, &each))
      if (ln_json_str_eq(each.key, key)) last = each;
    MUST(found.value.p == last.value.p && found.value.n == last.value.n);
    MUST(found.key.p == last.key.p && found.type == last.type);
  }
  ln_buf_deinit(&b);
}

static void walk(struct ln_str container, int depth) {
  const char *end = container.p + container.n, *p = container.p + 1;
  bool object = container.p[0] == '{';
  struct ln_json_cur cur = ln_json_enter(container);
  struct ln_json_item item;
  size_t n = 0;
  for (; ln_json_next(&cur, &item); n++) {
    if (n) {
      p = blank(p, end);
      MUST(*p == ',');
      p++;
    }
    p = blank(p, end);
    MUST((item.key.p != NULL) == object);
    if (object) {
      struct ln_str quoted = {item.key.p - 1, item.key.n + 2};
      MUST(p == quoted.p);
      if (depth < 4) stands_alone(quoted, LN_JSON_STRING);
      MUST(ln_json_inside(quoted).p == item.key.p && ln_json_inside(quoted).n == item.key.n);
      if (depth < 2 && n < 20) finds(container, item.key);
      p = blank(quoted.p + quoted.n, end);
      MUST(*p == ':');
      p = blank(p + 1, end);
    }
    MUST(p == item.value.p);
    if (depth < 4) stands_alone(item.value, item.type);
    if (item.type == LN_JSON_OBJECT || item.type == LN_JSON_ARRAY)
      walk(item.value, depth + 1);
    else
      MUST(ln_json_count(item.value) == 0);
    p = item.value.p + item.value.n;
  }
  p = blank(p, end);
  MUST(p + 1 == end && *p == (object ? '}' : ']'));
  MUST(!ln_json_next(&cur, &item));
  MUST(ln_json_count(container) == n);
}

static void stays_inside(struct ln_str text) {
  struct ln_json_cur cur = ln_json_enter(text);
  struct ln_json_item item;
  const char *last = text.p, *end = text.p + text.n;
  while (ln_json_next(&cur, &item)) {
    MUST(item.value.p >= last && item.value.p <= end);
    MUST(item.value.n <= (size_t)(end - item.value.p));
    last = item.value.p;
  }
  (void)ln_json_get(text, "a", &item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct ln_str text = {(const char *)data, size};
  enum ln_json_type type;
  stays_inside(text);
  if (!proven(text, &type)) return 0;
  struct ln_str root = ln_json_trim(text);
  stands_alone(root, type);
  if (type == LN_JSON_OBJECT || type == LN_JSON_ARRAY) {
    walk(root, 0);
    MUST(ln_json_count(text) == ln_json_count(root));
  }
  return 0;
}
