/* Strict http URLs; see url.h. One pass over a copy of the text, in which host and target are
 * NUL-terminated slices. */
#include "transport/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/http_host.h"

enum { HOST_MAX = 253 }; /* ln_http_host_name_ok's */

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_alnum(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Unreserved, reserved or a whole percent-encoding; brackets only belong to hosts. */
static bool chars_ok(struct ln_str s) {
  for (size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if (c == '%') {
      if (s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2])) return false;
      i += 2;
    } else if (!is_alnum(c) && (c == 0 || !strchr("-._~:/?@!$&'()*+,;=", c))) {
      return false;
    }
  }
  return true;
}

static size_t find(struct ln_str s, const char *set) {
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] && strchr(set, s.p[i])) return i;
  }
  return s.n;
}

static struct ln_str from(struct ln_str s, size_t at) {
  return (struct ln_str){s.p + at, s.n - at};
}

/* Writes the normal form of a host to out; its length, 0 when it is none. */
static size_t normal_host(struct ln_str host, bool ipv6, char *out, size_t size) {
  if (!ipv6) {
    if (!ln_http_host_name_ok(host)) return 0;
    for (size_t i = 0; i < host.n; i++) out[i] = lower(host.p[i]);
    return host.n;
  }
  char text[INET6_ADDRSTRLEN];
  struct in6_addr addr;
  if (host.n == 0 || host.n >= sizeof text) return 0;
  memcpy(text, host.p, host.n);
  text[host.n] = 0;
  if (inet_pton(AF_INET6, text, &addr) != 1) return 0;
  if (!inet_ntop(AF_INET6, &addr, out, (socklen_t)size)) return 0;
  return strlen(out);
}

/* 0 when s is no port. */
static uint16_t port_of(struct ln_str s) {
  unsigned port = 0;
  if (s.n == 0 || s.n > 5 || s.p[0] == '0') return 0;
  for (size_t i = 0; i < s.n; i++) {
    if (!is_digit(s.p[i])) return 0;
    port = port * 10 + (unsigned)(s.p[i] - '0');
  }
  return port > 65535 ? 0 : (uint16_t)port;
}

/* Fills the copy: "host\0target\0userinfo\0". */
static int store(struct ln_url *url, const char *host, size_t host_n, struct ln_str target,
                 struct ln_str userinfo) {
  bool slash = target.n == 0 || target.p[0] != '/'; /* "http://h?q" asks for "/?q" */
  char *p = malloc(host_n + 1 + slash + target.n + 1 + userinfo.n + 1);
  if (!p) return LN_ENOMEM;
  url->text = p;
  url->host = (struct ln_str){p, host_n};
  memcpy(p, host, host_n);
  p += host_n;
  *p++ = 0;
  url->target = (struct ln_str){p, slash + target.n};
  if (slash) *p++ = '/';
  if (target.n) memcpy(p, target.p, target.n);
  p += target.n;
  *p++ = 0;
  url->userinfo = userinfo.p ? (struct ln_str){p, userinfo.n} : LN_STR_NONE;
  if (userinfo.n) memcpy(p, userinfo.p, userinfo.n);
  p[userinfo.n] = 0;
  return LN_OK;
}

/* Splits "user@host:port" and checks each part. */
static const char *parse_authority(struct ln_url *url, struct ln_str auth, unsigned flags,
                                   char *host, size_t size, size_t *host_n,
                                   struct ln_str *userinfo) {
  size_t at = find(auth, "@");
  *userinfo = LN_STR_NONE;
  if (at < auth.n) {
    if (!(flags & LN_URL_USERINFO))
      return "user names and passwords don't belong in a URL: make them a header";
    *userinfo = (struct ln_str){auth.p, at};
    if (!chars_ok(*userinfo)) return "the user name or password is not percent-encoded";
    auth = from(auth, at + 1);
  }
  struct ln_str name = auth, port = LN_STR_NONE;
  url->ipv6 = auth.n > 0 && auth.p[0] == '[';
  if (url->ipv6) {
    size_t close = find(auth, "]");
    if (close == auth.n) return "the IPv6 address has no closing bracket";
    name = (struct ln_str){auth.p + 1, close - 1};
    auth = from(auth, close + 1);
    if (auth.n && auth.p[0] != ':') return "there is something between the host and the port";
    if (auth.n) port = from(auth, 1);
  } else {
    size_t colon = find(auth, ":");
    name.n = colon;
    if (colon < auth.n) port = from(auth, colon + 1);
  }
  *host_n = normal_host(name, url->ipv6, host, size);
  if (*host_n == 0) return "the host is not valid";
  url->port_given = port.p != NULL;
  url->port = port.p ? port_of(port) : url->tls ? 443 : 80;
  return url->port ? NULL : "the port is not valid";
}

int ln_url_parse(struct ln_url *url, struct ln_str text, unsigned flags, const char **why) {
  *url = (struct ln_url){0};
  if (text.n > LN_URL_MAX) {
    *why = "the URL is too long";
    return LN_EINVALID;
  }
  size_t colon = find(text, ":/?#@");
  struct ln_str scheme = {text.p, colon};
  url->tls = ln_str_iis(scheme, "https");
  if ((!url->tls && !ln_str_iis(scheme, "http")) || !ln_str_starts(from(text, colon), "://")) {
    *why = "the URL doesn't begin with http:// or https://";
    return LN_EINVALID;
  }
  struct ln_str rest = from(text, colon + 3);
  size_t hash = find(rest, "#");
  if (hash < rest.n && !(flags & LN_URL_DROP_FRAGMENT)) {
    *why = "the URL has a fragment (#…), which no server would see";
    return LN_EINVALID;
  }
  rest.n = hash;
  size_t slash = find(rest, "/?");
  struct ln_str target = from(rest, slash), userinfo;
  char host[HOST_MAX + 1];
  size_t host_n = 0;
  *why = parse_authority(url, (struct ln_str){rest.p, slash}, flags, host, sizeof host, &host_n,
                         &userinfo);
  if (!*why && !chars_ok(target)) {
    *why = "the path holds characters that must be percent-encoded";
  }
  if (*why) return LN_EINVALID;
  int rc = store(url, host, host_n, target, userinfo);
  if (rc) *why = "out of memory";
  return rc;
}

void ln_url_deinit(struct ln_url *url) {
  free(url->text);
  *url = (struct ln_url){0};
}

/* Appends path with its dot segments resolved; a query follows by itself. */
static void append_path(struct ln_buf *out, struct ln_str path) {
  size_t start = out->len, i = 0;
  while (i < path.n) { /* path[i] is a slash */
    size_t end = i + 1;
    while (end < path.n && path.p[end] != '/') end++;
    struct ln_str segment = {path.p + i, end - i};
    bool up = ln_str_is(segment, "/.."), here = ln_str_is(segment, "/.");
    if (up) {
      while (out->len > start && out->data[--out->len] != '/') continue;
    }
    if (!up && !here)
      ln_buf_append_str(out, segment);
    else if (end == path.n)
      ln_buf_append_c(out, "/");
    i = end;
  }
}

/* Path and query of a reference without scheme and authority. */
static void append_target(struct ln_buf *out, const struct ln_url *base, struct ln_str ref) {
  size_t query = find(ref, "?");
  struct ln_str path = {ref.p, query};
  struct ln_str base_path = {base->target.p, find(base->target, "?")};
  if (path.n == 0) {
    ln_buf_append_str(out, ref.n ? base_path : base->target);
    ln_buf_append_str(out, ref);
    return;
  }
  struct ln_buf whole;
  ln_buf_init(&whole, 2 * LN_URL_MAX);
  if (path.p[0] != '/') {
    while (base_path.n && base_path.p[base_path.n - 1] != '/') base_path.n--;
    ln_buf_append_str(&whole, base_path);
  }
  ln_buf_append_str(&whole, path);
  ln_buf_fail(out, ln_buf_error(&whole));
  append_path(out, ln_buf_str(&whole));
  ln_buf_append_str(out, from(ref, query));
  ln_buf_deinit(&whole);
}

int ln_url_resolve(struct ln_url *out, const struct ln_url *base, struct ln_str ref,
                   const char **why) {
  ref.n = find(ref, "#");
  size_t mark = find(ref, ":/?");
  if (mark < ref.n && ref.p[mark] == ':') {
    return ln_url_parse(out, ref, LN_URL_DROP_FRAGMENT, why);
  }
  struct ln_buf text;
  ln_buf_init(&text, 3 * LN_URL_MAX);
  if (ref.n > LN_URL_MAX) {
    ln_buf_fail(&text, LN_ELIMIT);
  } else if (ln_str_starts(ref, "//")) {
    ln_buf_append_c(&text, base->tls ? "https:" : "http:");
    ln_buf_append_str(&text, ref);
  } else {
    ln_url_origin(base, &text);
    append_target(&text, base, ref);
  }
  int rc = ln_buf_error(&text);
  if (rc == LN_OK) {
    rc = ln_url_parse(out, ln_buf_str(&text), 0, why);
  } else {
    *why = rc == LN_ENOMEM ? "out of memory" : "the URL is too long";
    rc = rc == LN_ENOMEM ? rc : LN_EINVALID;
  }
  ln_buf_deinit(&text);
  return rc;
}

bool ln_url_same_origin(const struct ln_url *a, const struct ln_url *b) {
  return a->tls == b->tls && a->port == b->port && ln_str_eq(a->host, b->host);
}

int ln_url_authority(const struct ln_url *url, bool with_port, struct ln_buf *out) {
  ln_buf_append_c(out, url->ipv6 ? "[" : "");
  ln_buf_append_str(out, url->host);
  ln_buf_append_c(out, url->ipv6 ? "]" : "");
  bool usual = url->port == (url->tls ? 443 : 80);
  if (with_port || !usual) ln_buf_printf(out, ":%u", url->port);
  return ln_buf_error(out);
}

int ln_url_origin(const struct ln_url *url, struct ln_buf *out) {
  ln_buf_append_c(out, url->tls ? "https://" : "http://");
  return ln_url_authority(url, false, out);
}
