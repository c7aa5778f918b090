/* Editing proven text: whatever is cut, replaced or put in, the result is the JSON that was
 * meant. The first byte picks what to do, the rest is the text. */
#include "json_fuzz.h"

enum { MAX_ITEMS = 64 };

/* source with the edits carried out, joined. */
static struct ln_str joined(struct ln_str source, const struct ln_edit *edits, size_t n) {
  static char out[FUZZ_MAX];
  struct ln_iov parts[2 * MAX_ITEMS + 1];
  struct ln_bytes *owner = ln_bytes_new(0);
  if (!owner) abort();
  int count = ln_json_splice(source, owner, edits, n, parts, 2 * n + 1);
  MUST(count >= 0 && (size_t)count <= 2 * n + 1);
  MUST(owner->refs == 1);
  size_t len = 0;
  for (int i = 0; i < count; i++) {
    bool of_source = parts[i].p >= source.p && parts[i].p < source.p + source.n;
    MUST(parts[i].n > 0 && parts[i].owner == (of_source ? owner : NULL));
    MUST(parts[i].n <= sizeof out - len);
    memcpy(out + len, parts[i].p, parts[i].n);
    len += parts[i].n;
  }
  if (count) MUST(ln_json_splice(source, owner, edits, n, parts, (size_t)count - 1) == LN_EFULL);
  ln_bytes_unref(owner);
  return (struct ln_str){out, len};
}

static size_t items_of(struct ln_str container, struct ln_json_item *items) {
  struct ln_json_cur cur = ln_json_enter(container);
  size_t n = 0;
  while (n < MAX_ITEMS && ln_json_next(&cur, &items[n])) n++;
  return n;
}

static void same_item(const struct ln_json_item *a, const struct ln_json_item *b) {
  MUST((a->key.p == NULL) == (b->key.p == NULL));
  MUST(ln_str_eq(a->key, b->key) && ln_str_eq(a->value, b->value) && a->type == b->type);
}

static void cut(struct ln_str text, const struct ln_json_item *items, size_t n, unsigned pick) {
  struct ln_json_item out[MAX_ITEMS], left[MAX_ITEMS];
  struct ln_edit edits[MAX_ITEMS];
  size_t n_out = 0, kept = 0, n_left;
  for (size_t i = 0; i < n; i++)
    if (pick >> (i % 8) & 1) out[n_out++] = items[i];
  size_t n_edits = ln_json_cut_all(text, out, n_out, edits);
  MUST(n_edits <= n_out);
  struct ln_str result = copy_of(joined(text, edits, n_edits));
  enum ln_json_type type;
  MUST(proven(result, &type) && type == ln_json_type_of(text));
  n_left = items_of(result, left);
  for (size_t i = 0; i < n; i++)
    if (!(pick >> (i % 8) & 1)) same_item(&items[i], &left[kept++]);
  MUST(kept == n_left);
  free((void *)result.p);

  /* One by one must come to the same as the single cut. */
  if (!n) return;
  size_t at = pick % n;
  struct ln_edit one = ln_json_cut(text, &items[at]);
  result = copy_of(joined(text, &one, 1));
  MUST(proven(result, &type) && items_of(result, left) == n - 1);
  for (size_t i = 0; i + 1 < n; i++) same_item(&items[i + (i >= at)], &left[i]);
  free((void *)result.p);
}

static void replace(struct ln_str text, const struct ln_json_item *items, size_t n, unsigned pick) {
  static const char *const with[] = {"0", "\"x\"", "[1,{}]", "null"};
  struct ln_json_item after[MAX_ITEMS];
  struct ln_edit edits[MAX_ITEMS];
  size_t n_edits = 0;
  for (size_t i = 0; i < n; i++)
    if (pick >> (i % 8) & 1)
      edits[n_edits++] = (struct ln_edit){items[i].value, ln_str_c(with[i % LN_COUNT(with)])};
  struct ln_str result = copy_of(joined(text, edits, n_edits));
  enum ln_json_type type;
  MUST(proven(result, &type) && items_of(result, after) == n);
  for (size_t i = 0; i < n; i++) {
    struct ln_str expected =
        pick >> (i % 8) & 1 ? ln_str_c(with[i % LN_COUNT(with)]) : items[i].value;
    MUST(ln_str_eq(after[i].value, expected) && ln_str_eq(after[i].key, items[i].key));
  }
  free((void *)result.p);
}

static void one_line(struct ln_str text) {
  struct ln_buf b;
  ln_buf_init(&b, FUZZ_MAX);
  MUST(ln_json_one_line(text, &b) == LN_OK);
  struct ln_str line = ln_buf_str(&b);
  enum ln_json_type type;
  struct ln_json_info info;
  MUST(proven(line, &type) && type == ln_json_type_of(text));
  MUST(ln_json_scan(line, &fuzz_limits, &info) == LN_OK && !info.newlines);
  size_t k = 0;
  for (size_t i = 0; i < text.n; i++)
    if (text.p[i] != '\n' && text.p[i] != '\r') MUST(k < line.n && line.p[k++] == text.p[i]);
  MUST(k == line.n);
  MUST(ln_json_count(line) == ln_json_count(text));
  ln_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  enum ln_json_type type;
  if (size < 2) return 0;
  struct ln_str text = copy_of((struct ln_str){(const char *)data + 1, size - 1});
  size_t live = ln_bytes_live();
  if (proven(text, &type)) {
    struct ln_json_item items[MAX_ITEMS];
    one_line(text);
    size_t n = items_of(text, items);
    if (n == ln_json_count(text)) {
      cut(text, items, n, data[0]);
      replace(text, items, n, data[0]);
    }
  }
  MUST(ln_bytes_live() == live);
  free((void *)text.p);
  return 0;
}
