/* The forms of URIs; see uri.h.
 *
 * A URI is split into its parts, and each is appended to the caller's buffer in its own way; dot
 * segments are taken out of the path there, in place. */
#include "mcp/uri.h"

struct scheme {
  const char *name;
  const char *port; /* the default one; NULL: files, which have none */
};

/* Where a host is known to be one: elsewhere "authority" may be a name whose case counts. */
static const struct scheme special[] = {
    {"http", "80"}, {"https", "443"}, {"ws", "80"}, {"wss", "443"}, {"ftp", "21"}, {"file", NULL},
};

/* A URI in its parts. Absent ones have p == NULL. */
struct parts {
  struct ln_str scheme;    /* without its colon */
  struct ln_str authority; /* after "//" */
  struct ln_str path;
  struct ln_str query;    /* after '?' */
  struct ln_str fragment; /* after '#' */
  const struct scheme *special;
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

static bool digit(char c) {
  return c >= '0' && c <= '9';
}

static bool one_of(char c, const char *set) {
  return c && strchr(set, c);
}

static bool unreserved(char c) {
  return alpha(c) || digit(c) || one_of(c, "-._~");
}

static struct ln_str from(struct ln_str s, size_t at) {
  return (struct ln_str){s.p + at, s.n - at};
}

/* The byte that an escape at i stands for, or -1. */
static int escaped(struct ln_str s, size_t i) {
  if (s.n - i < 3 || s.p[i] != '%') return -1;
  int hi = hex(s.p[i + 1]), lo = hex(s.p[i + 2]);
  return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

/* --- taking apart --- */

/* The length of "scheme" before its colon, 0 without one. */
static size_t scheme_len(struct ln_str u) {
  if (!u.n || !alpha(u.p[0])) return 0;
  for (size_t i = 1; i < u.n; i++) {
    char c = u.p[i];
    if (c == ':') return i;
    if (!alpha(c) && !digit(c) && c != '+' && c != '-' && c != '.') return 0;
  }
  return 0;
}

/* URL parsers ignore control bytes and spaces around, and tabs and line breaks anywhere. copy is
 * used when there is something to leave out in the middle. */
static int strip(struct ln_str *u, struct ln_buf *copy) {
  while (u->n && (unsigned char)u->p[0] <= ' ') u->p++, u->n--;
  while (u->n && (unsigned char)u->p[u->n - 1] <= ' ') u->n--;
  size_t i = 0, start = 0;
  for (; i < u->n && !one_of(u->p[i], "\t\r\n"); i++) continue;
  if (i == u->n) return LN_OK;
  for (i = 0; i <= u->n; i++) {
    if (i < u->n && !one_of(u->p[i], "\t\r\n")) continue;
    ln_buf_append(copy, u->p + start, i - start);
    start = i + 1;
  }
  *u = ln_buf_str(copy);
  return ln_buf_error(copy);
}

static bool slash(const struct parts *p, char c) {
  return c == '/' || (p->special && c == '\\');
}

/* What follows the scheme, up to the query. */
static void split_authority(struct parts *p, struct ln_str rest) {
  size_t slashes = 0, end;
  while (slashes < rest.n && slash(p, rest.p[slashes])) slashes++;
  bool file = p->special && !p->special->port;
  p->path = rest;
  if (!p->special && slashes < 2) return;
  if (file && slashes < 2) {
    p->authority = (struct ln_str){rest.p, 0};
    return;
  }
  /* Between a scheme of the web and its host there may be any number of them. */
  size_t start = p->special && !file ? slashes : 2;
  for (end = start; end < rest.n && !slash(p, rest.p[end]); end++) continue;
  p->authority = (struct ln_str){rest.p + start, end - start};
  p->path = from(rest, end);
}

/* False when uri is none. */
static bool split(struct ln_str uri, struct parts *p) {
  *p = (struct parts){0};
  p->scheme = (struct ln_str){uri.p, scheme_len(uri)};
  if (!p->scheme.n) return false;
  for (size_t i = 0; i < LN_COUNT(special); i++)
    if (ln_str_iis(p->scheme, special[i].name)) p->special = &special[i];
  struct ln_str rest = from(uri, p->scheme.n + 1);
  size_t end = 0;
  while (end < rest.n && rest.p[end] != '#') end++;
  if (end < rest.n) p->fragment = from(rest, end + 1);
  rest.n = end;
  for (end = 0; end < rest.n && rest.p[end] != '?';) end++;
  if (end < rest.n) p->query = from(rest, end + 1);
  rest.n = end;
  split_authority(p, rest);
  return true;
}

/* --- the normal form --- */

/* What may stand in a part besides unreserved characters, as it is. */
#define SUB_DELIMS "!$&'()*+,;=:@"

static void append_part(struct ln_str s, const char *allowed, bool lower_case, struct ln_buf *out) {
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < s.n; i++) {
    int c = escaped(s, i);
    char plain = c < 0 ? s.p[i] : (char)c;
    bool as_it_is = unreserved(plain) || (c < 0 && one_of(plain, allowed));
    if (lower_case) plain = lower(plain);
    unsigned char u = (unsigned char)plain;
    const char escape[3] = {'%', digits[u >> 4], digits[u & 15]};
    if (as_it_is)
      ln_buf_append(out, &plain, 1);
    else
      ln_buf_append(out, escape, 3);
    if (c >= 0) i += 2;
  }
}

static void insert(struct ln_buf *out, size_t at, const char *text) {
  size_t n = strlen(text), behind = out->len - at;
  if (ln_buf_append(out, text, n)) return;
  memmove(out->data + at + n, out->data + at, behind);
  memcpy(out->data + at, text, n);
}

/* "." and ".." segments of the absolute path at out->data + at are carried out; with merge, empty
 * ones go too. */
static void remove_dots(struct ln_buf *out, size_t at, bool merge) {
  char *base = out->data + at;
  size_t n = out->len - at, w = 0, r = 0;
  while (r < n) { /* at a '/' */
    size_t end = r + 1;
    while (end < n && base[end] != '/') end++;
    size_t len = end - r - 1;
    bool last = end == n;
    bool dot = len == 1 && base[r + 1] == '.';
    bool dots = len == 2 && base[r + 1] == '.' && base[r + 2] == '.';
    if (dots)
      while (w > 0 && base[--w] != '/') continue;
    if (dot || dots || (merge && len == 0 && !last)) {
      if (last) base[w++] = '/';
    } else {
      memmove(base + w, base + r, len + 1);
      w += len + 1;
    }
    r = end;
  }
  out->len = at + w;
}

/* Cuts ":port" off a host. Absent when there is none. */
static struct ln_str take_port(struct ln_str *host) {
  size_t colon = host->n;
  while (colon > 0 && digit(host->p[colon - 1])) colon--;
  if (colon == 0 || host->p[colon - 1] != ':') return LN_STR_NONE;
  struct ln_str before = {host->p, colon - 1}, port = from(*host, colon);
  bool brackets = before.n && before.p[before.n - 1] == ']';
  if (!brackets && before.n && memchr(before.p, ':', before.n)) return LN_STR_NONE;
  *host = before;
  while (port.n && port.p[0] == '0') port.p++, port.n--;
  return port;
}

static void append_file_host(struct ln_str host, struct ln_buf *out) {
  size_t start = out->len;
  append_part(host, SUB_DELIMS "[]", true, out);
  struct ln_str got = from(ln_buf_str(out), start);
  if (ln_str_is(got, "localhost")) out->len = start;
  /* A drive where a host would be. */
  if (got.n != 2 || !alpha(got.p[0]) || got.p[1] != ':') return;
  const char path[3] = {'/', got.p[0], ':'};
  out->len = start;
  ln_buf_append(out, path, sizeof path);
}

static void append_web_host(const struct parts *p, struct ln_buf *out) {
  struct ln_str all = p->authority;
  size_t start = out->len, at = all.n;
  while (at > 0 && all.p[at - 1] != '@') at--;
  struct ln_str user = {all.p, at ? at - 1 : 0};
  if (user.n && !ln_str_is(user, ":")) {
    append_part(user, "!$&'()*+,;=:", false, out);
    ln_buf_append_c(out, "@");
  }
  size_t host_at = out->len;
  append_part(from(all, at), SUB_DELIMS "[]", true, out);
  struct ln_str host = from(ln_buf_str(out), host_at), port = take_port(&host);
  if (!host.n) { /* no URL any more: as it is */
    out->len = start;
    append_part(all, SUB_DELIMS "[]", false, out);
    return;
  }
  if (!port.p) return;
  bool given = port.n && !ln_str_is(port, p->special->port);
  size_t end = host_at + host.n;
  if (given) memmove(out->data + end + 1, port.p, port.n);
  out->len = given ? end + 1 + port.n : end;
}

static void append_authority(const struct parts *p, struct ln_buf *out) {
  if (!p->special)
    append_part(p->authority, SUB_DELIMS "[]", false, out);
  else if (!p->special->port)
    append_file_host(p->authority, out);
  else
    append_web_host(p, out);
}

/* What is done about dot segments. */
enum dots { DOTS_REMOVE, DOTS_KEEP };

/* climbs: NULL, or set to whether there were any. */
static void append_path(const struct parts *p, enum dots dots, bool *climbs, struct ln_buf *out) {
  size_t start = out->len;
  bool rooted = p->path.n && slash(p, p->path.p[0]);
  if (p->special && !rooted) ln_buf_append_c(out, "/");
  for (size_t i = 0, end; i < p->path.n; i = end) {
    for (end = i; end < p->path.n && !slash(p, p->path.p[end]); end++) continue;
    append_part((struct ln_str){p->path.p + i, end - i}, SUB_DELIMS, false, out);
    if (end < p->path.n) ln_buf_append_c(out, "/"), end++;
  }
  if (ln_buf_error(out) || dots == DOTS_KEEP) return;
  if (out->len == start || out->data[start] != '/') return;
  size_t whole = out->len;
  remove_dots(out, start, false);
  if (climbs) *climbs = out->len < whole;
  /* Two slashes in front would be read as an authority: RFC 3986 §4.2's way out. */
  bool ambiguous = !p->authority.p && out->len - start > 1 && out->data[start + 1] == '/';
  if (ambiguous) insert(out, start, "/.");
}

static void append_tail(const struct parts *p, struct ln_buf *out) {
  if (p->query.p) {
    ln_buf_append_c(out, "?");
    append_part(p->query, SUB_DELIMS "/?", false, out);
  }
  if (p->fragment.p) {
    ln_buf_append_c(out, "#");
    append_part(p->fragment, SUB_DELIMS "/?", false, out);
  }
}

static void append_scheme(const struct parts *p, struct ln_buf *out) {
  append_part(p->scheme, "+", true, out);
  ln_buf_append_c(out, p->authority.p ? "://" : ":");
}

static int normal(struct ln_str uri, enum dots dots, bool *climbs, struct ln_buf *out) {
  struct ln_buf copy;
  ln_buf_init(&copy, uri.n);
  struct ln_str clean = uri;
  struct parts p;
  int rc = strip(&clean, &copy);
  if (rc) {
    ln_buf_fail(out, rc);
  } else if (!split(clean, &p)) {
    ln_buf_append_str(out, uri);
  } else {
    append_scheme(&p, out);
    if (p.authority.p) append_authority(&p, out);
    append_path(&p, dots, climbs, out);
    append_tail(&p, out);
  }
  ln_buf_deinit(&copy);
  return ln_buf_error(out);
}

int ln_uri_normal(struct ln_str uri, struct ln_buf *out) {
  return normal(uri, DOTS_REMOVE, NULL, out);
}

bool ln_uri_climbs(struct ln_str uri) {
  struct ln_buf scratch;
  ln_buf_init(&scratch, LN_URI_ROOM(uri.n));
  bool climbs = false;
  int rc = normal(uri, DOTS_REMOVE, &climbs, &scratch);
  ln_buf_deinit(&scratch);
  return rc || climbs; /* out of memory: it may */
}

/* --- the loose form --- */

static void append_decoded(struct ln_str s, struct ln_buf *out) {
  for (size_t i = 0; i < s.n; i++) {
    int c = escaped(s, i);
    char plain = c < 0 ? s.p[i] : (char)c;
    ln_buf_append(out, &plain, 1);
    if (c >= 0) i += 2;
  }
}

/* "\" is a slash, and each segment ends before its parameters, the last one before a NUL. */
static void cut_segments(struct ln_buf *out, size_t at) {
  bool skips = false;
  size_t w = at;
  for (size_t i = at; i < out->len && out->data[i]; i++) {
    char c = out->data[i] == '\\' ? '/' : out->data[i];
    skips = c == ';' || (skips && c != '/');
    if (!skips) out->data[w++] = c;
  }
  out->len = w;
}

static void append_loose_path(const struct parts *p, struct ln_buf *out) {
  size_t start = out->len;
  append_decoded(p->path, out);
  if (!ln_buf_error(out)) cut_segments(out, start);
  if (out->len == start) return;
  bool rooted = out->data[start] == '/';
  if (!rooted) insert(out, start, "/"); /* as if it had a root; the slash goes again */
  if (ln_buf_error(out)) return;
  remove_dots(out, start, true);
  size_t n = out->len - start;
  if (n > 1 && out->data[start + n - 1] == '/') out->len--;
  if (rooted) return;
  memmove(out->data + start, out->data + start + 1, out->len - start - 1);
  out->len--;
}

/* The user in front of a host of the web and any host of a file are nothing to some servers. */
static struct ln_str loose_host(const struct parts *p) {
  struct ln_str a = p->authority;
  if (!p->special) return a;
  if (!p->special->port) return (struct ln_str){a.p, 0};
  for (size_t i = a.n; i > 0; i--)
    if (a.p[i - 1] == '@') {
      a = from(a, i);
      break;
    }
  return a;
}

int ln_uri_loose(struct ln_str uri, struct ln_buf *out) {
  struct ln_buf plain;
  ln_buf_init(&plain, LN_URI_ROOM(uri.n));
  struct parts p;
  /* Some servers merge slashes before they look at dots, others don't: the latter's reading is the
   * normal form. */
  int rc = normal(uri, DOTS_KEEP, NULL, &plain);
  if (rc) {
    ln_buf_fail(out, rc);
  } else if (!split(ln_buf_str(&plain), &p)) {
    ln_buf_append_str(out, uri);
  } else {
    append_scheme(&p, out);
    size_t host = out->len;
    append_decoded(loose_host(&p), out);
    if (p.special && out->len > host && out->data[out->len - 1] == '.') out->len--;
    for (size_t i = host; i < out->len; i++) out->data[i] = lower(out->data[i]);
    append_loose_path(&p, out);
    bool file = p.special && !p.special->port;
    if (p.query.n && !file) ln_buf_append_c(out, "?");
    if (!file) append_decoded(p.query, out);
  }
  ln_buf_deinit(&plain);
  return ln_buf_error(out);
}

/* --- all forms --- */

/* A drive of Windows is none. */
static bool has_scheme(struct ln_str uri) {
  return scheme_len(uri) > 1;
}

/* uri as it would be after this beginning. */
static int after(const char *beginning, struct ln_str uri, struct ln_buf *out) {
  struct ln_buf whole;
  ln_buf_init(&whole, uri.n + 16);
  ln_buf_append_c(&whole, beginning);
  ln_buf_append_str(&whole, uri);
  int rc = ln_buf_error(&whole);
  if (!rc) rc = ln_uri_loose(ln_buf_str(&whole), out);
  ln_buf_deinit(&whole);
  return rc;
}

int ln_uri_form(struct ln_str uri, unsigned i, struct ln_buf *out) {
  static const char *const beginnings[] = {"file:///", "http://", "https://"};
  if (i == 0) return ln_uri_normal(uri, out);
  if (i == 1) return ln_uri_loose(uri, out);
  while (uri.n && (unsigned char)uri.p[0] <= ' ') uri.p++, uri.n--;
  if (has_scheme(uri) || !uri.n || i - 2 > LN_COUNT(beginnings)) return LN_ENOTFOUND;
  struct ln_buf plain;
  ln_buf_init(&plain, uri.n);
  append_decoded(uri, &plain);
  struct ln_str text = ln_buf_str(&plain);
  int rc = ln_buf_error(&plain);
  if (!rc && has_scheme(text)) {
    rc = i == 2 ? ln_uri_loose(text, out) : LN_ENOTFOUND;
  } else if (!rc) {
    while (text.n && one_of(text.p[0], "/\\")) text.p++, text.n--;
    rc = i - 2 < LN_COUNT(beginnings) ? after(beginnings[i - 2], text, out) : LN_ENOTFOUND;
  }
  ln_buf_deinit(&plain);
  return rc;
}
