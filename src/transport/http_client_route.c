/* Which way leads to an origin: straight, or through the proxy that the environment names; see
 * http_client.h. Only http proxies: CONNECT for https, absolute-form requests for http. */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "transport/http_client.h"

enum { PASSWORD_MAX = 1024, ROUTE_TEXT_MAX = 16 * 1024 };

/* --- no_proxy --- */

/* The bytes of an address literal: 4, 16, or 0 when it is none. */
static size_t address_of(struct ln_str s, unsigned char out[16]) {
  char text[INET6_ADDRSTRLEN];
  if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') s = (struct ln_str){s.p + 1, s.n - 2};
  if (s.n == 0 || s.n >= sizeof text) return 0;
  memcpy(text, s.p, s.n);
  text[s.n] = 0;
  if (inet_pton(AF_INET, text, out) == 1) return 4;
  return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static int number(struct ln_str s, int max) {
  int v = 0;
  if (s.n == 0 || s.n > 5) return -1;
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] < '0' || s.p[i] > '9') return -1;
    v = v * 10 + (s.p[i] - '0');
  }
  return v > max ? -1 : v;
}

/* "10.0.0.0/8" */
static bool in_network(struct ln_str entry, struct ln_str host) {
  const char *slash = memchr(entry.p, '/', entry.n);
  if (!slash) return false;
  unsigned char net[16], addr[16];
  size_t n = address_of((struct ln_str){entry.p, (size_t)(slash - entry.p)}, net);
  size_t digits = entry.n - (size_t)(slash - entry.p) - 1;
  int bits = number((struct ln_str){slash + 1, digits}, (int)n * 8);
  if (n == 0 || bits < 0 || address_of(host, addr) != n) return false;
  size_t whole = (size_t)bits / 8;
  if (memcmp(net, addr, whole) != 0) return false;
  unsigned mask = 0xff00u >> (bits % 8) & 0xff;
  return bits % 8 == 0 || ((net[whole] ^ addr[whole]) & mask) == 0;
}

static bool covers(struct ln_str entry, const struct ln_url *url) {
  if (ln_str_is(entry, "*") || in_network(entry, url->host)) return true;
  unsigned char a[16], b[16];
  size_t n = address_of(entry, a);
  if (!n) {
    const char *colon = memrchr(entry.p, ':', entry.n);
    if (colon) {
      size_t before = (size_t)(colon - entry.p);
      if (number((struct ln_str){colon + 1, entry.n - before - 1}, 65535) != url->port)
        return false;
      entry.n = before;
      n = address_of(entry, a);
    }
  }
  size_t m = address_of(url->host, b);
  if (n || m) return n == m && memcmp(a, b, n) == 0; /* an address has no suffixes */
  if (ln_str_starts(entry, "*.")) entry = (struct ln_str){entry.p + 1, entry.n - 1};
  if (ln_str_starts(entry, ".")) entry = (struct ln_str){entry.p + 1, entry.n - 1};
  if (!entry.n || url->host.n < entry.n) return false;
  size_t rest = url->host.n - entry.n;
  if (!ln_str_ieq((struct ln_str){url->host.p + rest, entry.n}, entry)) return false;
  return rest == 0 || url->host.p[rest - 1] == '.';
}

bool ln_http_no_proxy(struct ln_str list, const struct ln_url *url) {
  size_t i = 0;
  while (i < list.n) {
    size_t start = i;
    while (i < list.n && !strchr(", \t", list.p[i])) i++;
    if (i > start && covers((struct ln_str){list.p + start, i - start}, url)) return true;
    i++;
  }
  return false;
}

/* --- the proxy --- */

static const char *env(const char *name) {
  const char *v = getenv(name);
  return v && *v ? v : NULL;
}

static const char *proxy_for(const struct ln_url *url) {
  const char *no = env("no_proxy");
  if (!no) no = env("NO_PROXY");
  if (no && ln_http_no_proxy(ln_str_c(no), url)) return NULL;
  const char *v = env(url->tls ? "https_proxy" : "http_proxy");
  if (!v && url->tls) v = env("HTTPS_PROXY");
  if (!v) v = env("all_proxy");
  return v ? v : env("ALL_PROXY");
}

static int hex(char c) {
  return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* "Proxy-Authorization: Basic …" of the proxy's user information. */
static int append_auth(struct ln_buf *out, struct ln_str userinfo) {
  unsigned char plain[PASSWORD_MAX];
  char coded[PASSWORD_MAX / 3 * 4 + 8];
  size_t n = 0;
  bool colon = false;
  if (!userinfo.p) return LN_OK;
  if (userinfo.n > PASSWORD_MAX - 1) return ln_buf_fail(out, LN_ELIMIT);
  for (size_t i = 0; i < userinfo.n; i++) {
    char ch = userinfo.p[i];
    colon = colon || ch == ':';
    if (ch == '%') {
      ch = (char)(hex(userinfo.p[i + 1]) * 16 + hex(userinfo.p[i + 2]));
      i += 2;
    }
    plain[n++] = (unsigned char)ch;
  }
  if (!colon) plain[n++] = ':'; /* a user without a password */
  EVP_EncodeBlock((unsigned char *)coded, plain, (int)n);
  return ln_buf_printf(out, "Proxy-Authorization: Basic %s\r\n", coded);
}

static int build_connect(struct ln_http_route *r) {
  ln_buf_append_c(&r->connect, "CONNECT ");
  ln_url_authority(&r->url, true, &r->connect);
  ln_buf_append_c(&r->connect, " HTTP/1.1\r\nHost: ");
  ln_url_authority(&r->url, true, &r->connect);
  ln_buf_append_c(&r->connect, "\r\n");
  append_auth(&r->connect, r->proxy.userinfo);
  return ln_buf_append_c(&r->connect, "\r\n");
}

static int use_proxy(struct ln_http_route *r, const char *proxy, const char **why) {
  char text[LN_URL_MAX];
  const char *scheme = strstr(proxy, "://") ? "" : "http://";
  int n = snprintf(text, sizeof text, "%s%s", scheme, proxy);
  if (n >= (int)sizeof text || ln_url_parse(&r->proxy, ln_str_c(text), LN_URL_USERINFO, why)) {
    *why = "the environment's proxy is not an http:// URL";
    return LN_EINVALID;
  }
  r->tunnel = r->url.tls;
  if (r->tunnel && r->proxy.tls) {
    *why = "the environment's proxy must be an http:// URL for an https:// server";
    return LN_EINVALID;
  }
  int rc = r->tunnel ? build_connect(r) : append_auth(&r->proxy_auth, r->proxy.userinfo);
  if (rc) *why = "the environment's proxy has credentials that are too long";
  return rc;
}

static int name_route(struct ln_http_route *r) {
  struct ln_buf name;
  ln_buf_init(&name, sizeof r->name - 1);
  ln_url_origin(&r->url, &name);
  if (r->proxy.text) {
    ln_buf_append_c(&name, " through ");
    ln_url_authority(&r->proxy, true, &name);
  }
  int rc = ln_buf_error(&name);
  memcpy(r->name, ln_buf_str(&name).p, name.len); /* cut where it is too long */
  r->name[name.len] = 0;
  ln_buf_deinit(&name);
  return rc == LN_ENOMEM ? rc : LN_OK;
}

int ln_http_route_init(struct ln_http_route *r, const char *url, const struct ln_tls_conf *tls,
                       const char **why) {
  *r = (struct ln_http_route){.tls = *tls};
  ln_buf_init(&r->connect, ROUTE_TEXT_MAX);
  ln_buf_init(&r->proxy_auth, ROUTE_TEXT_MAX);
  int rc = ln_url_parse(&r->url, ln_str_c(url), 0, why);
  if (rc) return rc;
  r->tls.on = r->url.tls;
  const char *proxy = proxy_for(&r->url);
  if (proxy) rc = use_proxy(r, proxy, why);
  if (!rc) rc = name_route(r);
  if (rc) ln_http_route_deinit(r);
  return rc;
}

void ln_http_route_deinit(struct ln_http_route *r) {
  ln_url_deinit(&r->url);
  ln_url_deinit(&r->proxy);
  ln_buf_deinit(&r->connect);
  ln_buf_deinit(&r->proxy_auth);
}

int ln_http_route_line(const struct ln_http_route *r, const char *method, const struct ln_url *url,
                       struct ln_buf *out) {
  ln_buf_append_c(out, method);
  ln_buf_append_c(out, " ");
  if (r->proxy.text && !r->tunnel) ln_url_origin(url, out);
  ln_buf_append_str(out, url->target);
  return ln_buf_append_c(out, " HTTP/1.1\r\n");
}
