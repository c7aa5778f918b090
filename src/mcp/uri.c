/* The normal form of URIs; see uri.h. */
#include "mcp/uri.h"

struct scheme {
  const char *name;
  const char *port; /* the default, with its colon */
};

/* Where a host is known to be one: elsewhere "authority" may be a name whose case counts. */
static const struct scheme host_schemes[] = {
    {"http", ":80"}, {"https", ":443"}, {"ws", ":80"}, {"wss", ":443"},
    {"ftp", ":21"},  {"file", NULL},    {NULL, NULL},
};

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool alpha(char c) {
  return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool unreserved(int c) {
  return alpha((char)c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

/* The length of "scheme" before its colon, 0 without one. */
static size_t scheme_len(struct ln_str u) {
  if (!u.n || !alpha(u.p[0])) return 0;
  for (size_t i = 1; i < u.n; i++) {
    char c = u.p[i];
    if (c == ':') return i;
    if (!alpha(c) && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.') return 0;
  }
  return 0;
}

static int append_escaped(struct ln_str s, struct ln_buf *out) {
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < s.n; i++) {
    int hi = -1, lo = -1, rc;
    if (s.p[i] == '%' && i + 2 < s.n) hi = hex(s.p[i + 1]), lo = hex(s.p[i + 2]);
    if (hi < 0 || lo < 0) {
      rc = ln_buf_append(out, s.p + i, 1);
    } else {
      int c = hi << 4 | lo;
      char plain = (char)c, escape[3] = {'%', digits[hi], digits[lo]};
      rc = unreserved(c) ? ln_buf_append(out, &plain, 1) : ln_buf_append(out, escape, 3);
      i += 2;
    }
    if (rc) return rc;
  }
  return LN_OK;
}

/* Removes "." and ".." segments and empty ones from an absolute path that was just appended at
 * out->data + from. In place: the path only gets shorter. */
static void remove_dots(struct ln_buf *out, size_t from) {
  char *base = out->data + from;
  size_t n = out->len - from, w = 0, r = 0;
  while (r < n) { /* at a '/' */
    size_t end = r + 1;
    while (end < n && base[end] != '/') end++;
    size_t len = end - r - 1;
    bool last = end == n;
    bool dot = len == 1 && base[r + 1] == '.';
    bool dots = len == 2 && base[r + 1] == '.' && base[r + 2] == '.';
    if (dots)
      while (w > 0 && base[--w] != '/') continue;
    if (dot || dots || (len == 0 && !last)) {
      if (last) base[w++] = '/';
    } else {
      memmove(base + w, base + r, len + 1);
      w += len + 1;
    }
    r = end;
  }
  out->len = from + w;
}

static int append_authority(struct ln_str auth, const struct scheme *s, struct ln_buf *out) {
  size_t from = out->len;
  int rc = append_escaped(auth, out);
  if (rc || !s->name) return rc;
  for (size_t i = from; i < out->len; i++) out->data[i] = lower(out->data[i]);
  struct ln_str got = {out->data + from, out->len - from};
  size_t port = s->port ? strlen(s->port) : 0;
  if (port && got.n > port && memcmp(got.p + got.n - port, s->port, port) == 0) out->len -= port;
  if (!s->port && ln_str_is(got, "localhost")) out->len = from;
  return LN_OK;
}

int ln_uri_normal(struct ln_str uri, struct ln_buf *out) {
  size_t colon = scheme_len(uri);
  if (!colon) return ln_buf_append_str(out, uri);
  size_t start = out->len;
  int rc = ln_buf_append(out, uri.p, colon + 1);
  if (rc) return rc;
  for (size_t i = start; i < out->len; i++) out->data[i] = lower(out->data[i]);
  struct ln_str name = {out->data + start, colon};
  const struct scheme *s = host_schemes;
  while (s->name && !ln_str_is(name, s->name)) s++;

  struct ln_str rest = {uri.p + colon + 1, uri.n - colon - 1};
  if (ln_str_starts(rest, "//")) {
    size_t end = 2;
    while (end < rest.n && !strchr("/?#", rest.p[end])) end++;
    if ((rc = ln_buf_append_c(out, "//"))) return rc;
    if ((rc = append_authority((struct ln_str){rest.p + 2, end - 2}, s, out))) return rc;
    rest.p += end;
    rest.n -= end;
    if (s->name && (!rest.n || rest.p[0] != '/') && (rc = ln_buf_append_c(out, "/"))) return rc;
  }
  size_t end = 0;
  while (end < rest.n && rest.p[end] != '?' && rest.p[end] != '#') end++;
  size_t path = out->len;
  if ((rc = append_escaped((struct ln_str){rest.p, end}, out))) return rc;
  if (out->len > path && out->data[path] == '/') remove_dots(out, path);
  return append_escaped((struct ln_str){rest.p + end, rest.n - end}, out);
}
