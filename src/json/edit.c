/* Editing without rewriting: an edited message is the received bytes with parts left out and
 * parts put in, handed to a vectored write. */
#include "json/bytes.h"
#include "json/json.h"

struct parts {
  struct ln_iov *list;
  size_t n;
  size_t max;
};

static bool put(struct parts *parts, const char *p, size_t n, struct ln_bytes *owner) {
  if (n == 0) return true;
  if (parts->n == parts->max) return false;
  parts->list[parts->n++] = (struct ln_iov){p, n, owner};
  return true;
}

int ln_json_splice(struct ln_str source, struct ln_bytes *owner, const struct ln_edit *edits,
                   size_t n_edits, struct ln_iov *parts, size_t max_parts) {
  struct parts out = {parts, 0, LN_MIN(max_parts, (size_t)INT32_MAX)};
  const char *p = source.p, *end = p + source.n;
  for (size_t i = 0; i < n_edits; i++) {
    const struct ln_edit *e = &edits[i];
    /* Out of order or outside, the parts would lie about memory. */
    LN_ASSERT(e->at.p >= p && e->at.p <= end && e->at.n <= (size_t)(end - e->at.p));
    if (!put(&out, p, (size_t)(e->at.p - p), owner)) return LN_EFULL;
    if (!put(&out, e->with.p, e->with.n, NULL)) return LN_EFULL;
    p = e->at.p + e->at.n;
  }
  if (!put(&out, p, (size_t)(end - p), owner)) return LN_EFULL;
  return (int)out.n;
}

static const char *item_start(const struct ln_json_item *item) {
  return item->key.p ? item->key.p - 1 : item->value.p;
}

static const char *item_end(const struct ln_json_item *item) {
  return item->value.p + item->value.n;
}

/* The comma before from, or NULL. */
static const char *comma_before(struct ln_str container, const char *from) {
  while (from > container.p && ln_json_is_space(from[-1])) from--;
  return from > container.p && from[-1] == ',' ? from - 1 : NULL;
}

/* Where the item after to starts, or NULL when there is none. */
static const char *item_after(struct ln_str container, const char *to) {
  const char *end = container.p + container.n;
  to = ln_json_skip_space(to, end);
  return to < end && *to == ',' ? ln_json_skip_space(to + 1, end) : NULL;
}

size_t ln_json_cut_all(struct ln_str container, const struct ln_json_item *items, size_t n,
                       struct ln_edit *edits) {
  size_t n_edits = 0;
  for (size_t i = 0; i < n;) {
    const char *from = item_start(&items[i]), *to, *next;
    do {
      to = item_end(&items[i]);
      next = item_after(container, to);
      i++;
    } while (i < n && next == item_start(&items[i]));
    if (next) {
      to = next;
    } else {
      const char *comma = comma_before(container, from);
      if (comma) from = comma;
    }
    edits[n_edits++] = (struct ln_edit){{from, (size_t)(to - from)}, {"", 0}};
  }
  return n_edits;
}

struct ln_edit ln_json_cut(struct ln_str container, const struct ln_json_item *item) {
  struct ln_edit edit;
  ln_json_cut_all(container, item, 1, &edit);
  return edit;
}

int ln_json_one_line(struct ln_str text, struct ln_buf *out) {
  /* No string holds a raw line break, so all of them are between tokens. */
  const char *p = text.p, *end = p + text.n;
  while (p < end) {
    const char *stop = ln_json_run_until(p, end, '\n', '\r');
    ln_buf_append(out, p, (size_t)(stop - p));
    p = stop < end ? stop + 1 : end;
  }
  return ln_buf_error(out);
}

int ln_json_put_member(struct ln_buf *object, const char *name, struct ln_str value) {
  struct ln_str old = ln_buf_str(object);
  struct ln_json_item it;
  bool there = ln_json_get(old, name, &it);
  struct ln_str at = there ? it.value : (struct ln_str){old.p + old.n - 1, 0};
  const char *rest = at.p + at.n;
  struct ln_buf b;
  ln_buf_init(&b, object->max);
  ln_buf_append(&b, old.p, (size_t)(at.p - old.p));
  if (!there) ln_buf_printf(&b, "%s\"%s\":", ln_json_count(old) ? "," : "", name);
  ln_buf_append_str(&b, value);
  ln_buf_append(&b, rest, (size_t)(old.p + old.n - rest));
  int rc = ln_buf_error(&b);
  if (!rc) {
    struct ln_buf gone = *object;
    *object = b;
    b = gone;
  }
  ln_buf_deinit(&b);
  return ln_buf_fail(object, rc);
}
