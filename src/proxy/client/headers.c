/* The headers of a request, for policies: kept as "name\0value\0" for each, and made into JSON only
 * when a handler asks. */
#include "proxy/client/headers.h"

#include <ctype.h>

#include "json/json.h"

struct ln_bytes *ln_headers_copy(const struct ln_http_head *head) {
  size_t n = 0;
  for (unsigned i = 0; i < head->n_headers; i++)
    n += head->headers[i].name.n + head->headers[i].value.n + 2;
  struct ln_bytes *b = ln_bytes_new(n);
  if (!b) return NULL;
  char *p = b->data;
  for (unsigned i = 0; i < head->n_headers; i++) {
    const struct ln_http_header *h = &head->headers[i];
    for (size_t k = 0; k < h->name.n; k++) *p++ = (char)tolower((unsigned char)h->name.p[k]);
    *p++ = 0;
    memcpy(p, h->value.p, h->value.n);
    p += h->value.n;
    *p++ = 0;
  }
  return b;
}

/* The next pair; false at the end. */
static bool next_pair(const struct ln_bytes *b, size_t *at, struct ln_str *name,
                      struct ln_str *value) {
  if (*at >= b->len) return false;
  *name = ln_str_c(b->data + *at);
  *value = ln_str_c(name->p + name->n + 1);
  *at += name->n + value->n + 2;
  return true;
}

/* Headers of one name are one header, its values joined. */
static void put_joined(const struct ln_bytes *b, size_t from, struct ln_str name,
                       struct ln_buf *out) {
  struct ln_buf joined;
  ln_buf_init(&joined, b->len * 2 + 16);
  struct ln_str other, value;
  for (size_t at = from; next_pair(b, &at, &other, &value);) {
    if (!ln_str_eq(other, name)) continue;
    if (joined.len) ln_buf_append_c(&joined, ", ");
    ln_buf_append_str(&joined, value);
  }
  ln_json_quote(out, name);
  ln_buf_append_c(out, ":");
  ln_json_quote(out, ln_buf_str(&joined));
  ln_buf_fail(out, ln_buf_error(&joined));
  ln_buf_deinit(&joined);
}

static bool seen_before(const struct ln_bytes *b, size_t before, struct ln_str name) {
  struct ln_str other, value;
  for (size_t at = 0; at < before && next_pair(b, &at, &other, &value);)
    if (at <= before && other.p != name.p && ln_str_eq(other, name)) return true;
  return false;
}

int ln_headers_json(const struct ln_bytes *b, struct ln_buf *out) {
  struct ln_str name, value;
  const char *comma = "";
  ln_buf_append_c(out, "{");
  for (size_t at = 0, from; from = at, next_pair(b, &at, &name, &value);) {
    if (seen_before(b, from, name)) continue;
    ln_buf_append_c(out, comma);
    put_joined(b, from, name, out);
    comma = ",";
  }
  return ln_buf_append_c(out, "}");
}

/* The next value of this name; absent at the end. */
static struct ln_str next_value(const struct ln_bytes *b, size_t *at, struct ln_str name) {
  struct ln_str other, value;
  while (b && next_pair(b, at, &other, &value))
    if (ln_str_eq(other, name)) return value;
  return LN_STR_NONE;
}

int ln_headers_some(struct ln_bytes *headers, const struct ln_bytes *names, size_t max,
                    struct ln_bytes **out) {
  if (!names) {
    if (headers->len > max) return LN_ELIMIT;
    *out = ln_bytes_ref(headers);
    return LN_OK;
  }
  struct ln_buf some;
  ln_buf_init(&some, max);
  const char *end = names->data + names->len;
  for (const char *name = names->data; name < end; name += strlen(name) + 1) {
    struct ln_str value;
    for (size_t at = 0; (value = next_value(headers, &at, ln_str_c(name))).p;) {
      ln_buf_append(&some, name, strlen(name) + 1);
      ln_buf_append(&some, value.p, value.n + 1);
    }
  }
  int rc = ln_buf_error(&some);
  if (!rc && some.len && !(*out = ln_buf_take(&some))) rc = LN_ENOMEM;
  ln_buf_deinit(&some);
  return rc;
}

bool ln_headers_agree(const struct ln_bytes *a, const struct ln_bytes *b, struct ln_str name) {
  struct ln_str x, y;
  size_t in_a = 0, in_b = 0;
  do {
    x = next_value(a, &in_a, name);
    y = next_value(b, &in_b, name);
  } while (x.p && y.p && ln_str_eq(x, y));
  return !x.p && !y.p;
}
