/* Which host is meant, and is it ours; see http_host.h. */
#include "wire/http_host.h"

#include <arpa/inet.h>

#include "wire/http_head.h"

enum { NAME_MAX_BYTES = 253, LABEL_MAX = 63 };

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

/* As inet_pton reads it, which takes no other than the plain dotted form of IPv4. */
static bool address(int family, struct ln_str s, void *out) {
  char text[INET6_ADDRSTRLEN];
  if (!s.n || s.n >= sizeof text || memchr(s.p, 0, s.n)) return false;
  memcpy(text, s.p, s.n);
  text[s.n] = 0;
  return inet_pton(family, text, out) == 1;
}

/* A name whose last label is a number is an address to some. */
static bool looks_numeric(struct ln_str last) {
  bool hex = last.n >= 2 && last.p[0] == '0' && (last.p[1] == 'x' || last.p[1] == 'X');
  return hex || ln_http_all(last, LN_HTTP_DIGIT);
}

bool ln_http_host_name_ok(struct ln_str s) {
  size_t label = 0;
  if (s.n == 0 || s.n > NAME_MAX_BYTES) return false;
  for (size_t i = 0; i <= s.n; i++) {
    if (i == s.n || s.p[i] == '.') {
      if (i == label || i - label > LABEL_MAX || s.p[label] == '-' || s.p[i - 1] == '-')
        return false;
      if (i < s.n) label = i + 1;
    } else if (!ln_http_is(s.p[i], LN_HTTP_HOST) || s.p[i] == '~') {
      return false;
    }
  }
  struct in_addr v4;
  return !looks_numeric((struct ln_str){s.p + label, s.n - label}) || address(AF_INET, s, &v4);
}

/* Cuts the port off; false: what follows the host is none. */
static bool split(struct ln_str authority, struct ln_http_host *host, bool *bracketed) {
  const char *p = authority.p, *end = p + authority.n, *stop = p;
  *bracketed = authority.n && *p == '[';
  while (stop < end && *stop != (*bracketed ? ']' : ':')) stop++;
  if (*bracketed && stop == end) return false;
  host->name = (struct ln_str){p + *bracketed, (size_t)(stop - p) - *bracketed};
  stop += *bracketed;
  host->has_port = stop < end;
  if (!host->has_port) return true;
  struct ln_str port = {stop + 1, (size_t)(end - stop) - 1};
  if (*stop != ':' || !ln_http_is_port(port)) return false;
  for (size_t i = 0; i < port.n; i++) host->port = (uint16_t)(host->port * 10 + (port.p[i] - '0'));
  return true;
}

bool ln_http_host_read(struct ln_str authority, struct ln_http_host *host) {
  bool bracketed;
  *host = (struct ln_http_host){.is_address = false};
  if (!split(authority, host, &bracketed)) return false;
  memcpy(host->address, mapped, sizeof mapped);
  if (bracketed)
    host->is_address = address(AF_INET6, host->name, host->address);
  else
    host->is_address = address(AF_INET, host->name, host->address + sizeof mapped);
  if (bracketed || host->is_address) return host->is_address;
  struct ln_str *name = &host->name;
  bool rooted = name->n && name->p[name->n - 1] == '.';
  if (rooted) name->n--;
  struct in_addr v4;
  return ln_http_host_name_ok(*name) && !(rooted && address(AF_INET, *name, &v4));
}

bool ln_http_address_is_loopback(const unsigned char a[16]) {
  static const unsigned char one[16] = {[15] = 1};
  bool v4 = memcmp(a, mapped, sizeof mapped) == 0;
  return v4 ? a[sizeof mapped] == 127 : memcmp(a, one, sizeof one) == 0;
}

bool ln_http_host_is_loopback(const struct ln_http_host *host) {
  return host->is_address ? ln_http_address_is_loopback(host->address)
                          : ln_str_iis(host->name, "localhost");
}

static bool same(const struct ln_http_host *a, const struct ln_http_host *b) {
  if (a->is_address != b->is_address) return false;
  return a->is_address ? memcmp(a->address, b->address, sizeof a->address) == 0
                       : ln_str_ieq(a->name, b->name);
}

static bool is_listed(const struct ln_http_host *host, const char *const *listed) {
  struct ln_http_host one;
  for (; *listed; listed++)
    if (ln_http_host_read(ln_str_c(*listed), &one) && same(host, &one)) return true;
  return false;
}

bool ln_http_host_served(struct ln_str authority, const struct ln_http_hosts *served) {
  struct ln_http_host host;
  if (!ln_http_host_read(authority, &host)) return false;
  if (ln_http_host_is_loopback(&host)) return true;
  if (served->listed) return is_listed(&host, served->listed);
  if (served->loopback || host.is_address) return !served->loopback;
  struct ln_str own = ln_str_c(served->own), label = own;
  const char *dot = memchr(own.p, '.', own.n);
  if (dot) label.n = (size_t)(dot - own.p);
  return ln_str_ieq(host.name, own) || ln_str_ieq(host.name, label);
}

/* --- origins --- */

bool ln_http_origin_read(struct ln_str text, struct ln_http_origin *o) {
  size_t n = 0;
  while (n < text.n && (ln_http_is(text.p[n], LN_HTTP_HOST) || text.p[n] == '+')) n++;
  o->scheme = (struct ln_str){text.p, n};
  o->authority = (struct ln_str){text.p + n, text.n - n};
  if (!n || !ln_str_starts(o->authority, "://")) return false;
  o->authority.p += 3, o->authority.n -= 3;
  if (!ln_http_host_read(o->authority, &o->host)) return false;
  if (!o->host.port && ln_str_iis(o->scheme, "http")) o->host.port = 80;
  if (!o->host.port && ln_str_iis(o->scheme, "https")) o->host.port = 443;
  return true;
}

bool ln_http_origin_listed(struct ln_str origin, const char *const *listed) {
  struct ln_http_origin o, one;
  bool none = ln_str_is(origin, "null");
  if (!none && !ln_http_origin_read(origin, &o)) return false;
  for (; *listed; listed++) {
    struct ln_str text = ln_str_c(*listed);
    if (ln_str_is(text, none ? "null" : "*")) return true;
    if (!none && ln_http_origin_read(text, &one) && ln_str_ieq(o.scheme, one.scheme) &&
        o.host.port == one.host.port && same(&o.host, &one.host))
      return true;
  }
  return false;
}
