/* URIs: forms are stable, never longer than promised, and blind to the ways of spelling that they
 * promise to be blind to. */
#include <stdlib.h>

#include "json_fuzz.h"
#include "mcp/uri.h"

static struct ln_str form(int (*fn)(struct ln_str, struct ln_buf *), struct ln_str uri,
                          struct ln_buf *out) {
  ln_buf_init(out, LN_URI_ROOM(uri.n));
  MUST(fn(uri, out) == LN_OK);
  return ln_buf_str(out);
}

static bool forms_to(int (*fn)(struct ln_str, struct ln_buf *), struct ln_str uri,
                     struct ln_str expected) {
  struct ln_buf out;
  bool same = ln_str_eq(form(fn, uri, &out), expected);
  ln_buf_deinit(&out);
  return same;
}

/* A normal form that is a URI: printable ASCII, escapes in upper case and only where needed, no dot
 * segments. */
static void looks_normal(struct ln_str s) {
  for (size_t i = 0; i < s.n; i++) {
    MUST(s.p[i] > 0x20 && s.p[i] < 0x7f && !strchr("\"<>\\^`{|}", s.p[i]));
    if (s.p[i] != '%') continue;
    MUST(i + 2 < s.n);
    for (size_t k = 1; k < 3; k++)
      MUST((s.p[i + k] >= '0' && s.p[i + k] <= '9') || (s.p[i + k] >= 'A' && s.p[i + k] <= 'F') ||
           (s.p[i + k] >= 'a' && s.p[i + k] <= 'f'));
  }
}

static bool is_uri(struct ln_str s) {
  return s.n && memchr(s.p, ':', s.n) && ((s.p[0] | 32) >= 'a' && (s.p[0] | 32) <= 'z') &&
         strspn(s.p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.") ==
             (size_t)((const char *)memchr(s.p, ':', s.n) - s.p);
}

/* Another spelling: letters of the path escaped, white space around, tabs inside. */
static void respell(struct ln_str uri, struct ln_str normal, uint8_t how) {
  struct ln_buf b;
  ln_buf_init(&b, 8 * uri.n + 16);
  bool in_path = false;
  int rc = ln_buf_append_c(&b, how & 1 ? " \n" : "");
  for (size_t i = 0; i < uri.n && !rc; i++) {
    char c = uri.p[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    bool escaped = (i > 0 && uri.p[i - 1] == '%') || (i > 1 && uri.p[i - 2] == '%');
    if (i % 3 == how % 3 && in_path && letter && !escaped)
      rc = ln_buf_printf(&b, how & 2 ? "%%%02x" : "%%%02X", c);
    else
      rc = ln_buf_append(&b, &c, 1);
    if (!rc && how & 4 && i % 5 == 0) rc = ln_buf_append_c(&b, "\t");
    if (c == ':') in_path = true;
  }
  if (!rc) rc = ln_buf_append_c(&b, how & 1 ? "\r " : "");
  MUST(!rc);
  MUST(forms_to(ln_uri_normal, ln_buf_str(&b), normal));
  ln_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || size > 4096) return 0;
  size_t blocks = ln_bytes_live();
  char *copy = malloc(size);
  memcpy(copy, data + 1, size - 1);
  copy[size - 1] = 0; /* for strspn; not part of it */
  struct ln_str uri = {copy, size - 1};
  struct ln_buf b, l;
  struct ln_str normal = form(ln_uri_normal, uri, &b), loose = form(ln_uri_loose, uri, &l);
  MUST(forms_to(ln_uri_normal, normal, normal));
  bool climbs = ln_uri_climbs(uri);
  MUST(!ln_uri_climbs(normal) || (normal.n > 3 && memchr(normal.p, '.', normal.n)));
  if (!climbs) MUST(forms_to(ln_uri_loose, normal, loose));
  char *z = calloc(1, normal.n + 1);
  memcpy(z, normal.p, normal.n);
  if (is_uri((struct ln_str){z, normal.n})) {
    looks_normal(normal);
    respell(normal, normal, data[0]);
  } else {
    MUST(ln_str_eq(normal, uri) && ln_str_eq(loose, uri));
  }
  free(z);
  free(copy);
  ln_buf_deinit(&b);
  ln_buf_deinit(&l);
  MUST(ln_bytes_live() == blocks);
  return 0;
}
