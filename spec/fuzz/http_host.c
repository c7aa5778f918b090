/* Fuzzes wire/http_host. What is answered on loopback is, read in the plainest way, one of a few
 * texts; what is answered elsewhere without a list is that, an address, or our name; a list answers
 * to what it lists, however that is written. Case, port and a name's final dot change nothing.
 *
 * The first byte chooses between the input and a variation on a host that is known. */
#include "wire/http_host.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "cuts.h"

static const char own[] = "box.example.net";
static const char *const listed[] = {"mcp.example.com", "10.1.2.3", "[fd00::5]", NULL};
static const char *const known[] = {"localhost",          "127.0.0.1", "[::1]",
                                    "[::ffff:127.0.0.1]", "10.1.2.3",  "[fd00::5]",
                                    "box.example.net",    "box",       "mcp.example.com"};

static const struct ln_http_hosts on_loopback = {true, own, NULL};
static const struct ln_http_hosts loopback_listed = {true, own, listed};
static const struct ln_http_hosts beyond = {false, own, NULL};
static const struct ln_http_hosts beyond_listed = {false, own, listed};

/* --- a second reading: of a lower-case text, with the libc's functions on strings --- */

struct plain {
  char host[300]; /* without port and brackets; "": none */
  bool v6, v4;
  struct in_addr a4;
  struct in6_addr a6;
};

static bool is_port(const char *s) {
  return *s && strlen(s) <= 5 && strspn(s, "0123456789") == strlen(s) && atoi(s) <= 65535;
}

static void read_plainly(const char *text, struct plain *p) {
  char host[300];
  *p = (struct plain){.v6 = false};
  if (strlen(text) >= sizeof host) return;
  strcpy(host, text);
  char *colon = strrchr(host, ':');
  if (host[0] == '[') {
    char *close = strchr(host, ']');
    if (!close || (close[1] && (close[1] != ':' || !is_port(close + 2)))) return;
    *close = 0;
    p->v6 = inet_pton(AF_INET6, host + 1, &p->a6) == 1;
    if (p->v6) strcpy(p->host, host + 1);
    return;
  }
  if (colon && !is_port(colon + 1)) return;
  if (colon) *colon = 0;
  p->v4 = inet_pton(AF_INET, host, &p->a4) == 1;
  size_t n = strlen(host);
  if (!p->v4 && n && host[n - 1] == '.') host[n - 1] = 0;
  strcpy(p->host, host);
}

static bool is_loopback(const struct plain *p) {
  if (p->v6)
    return IN6_IS_ADDR_LOOPBACK(&p->a6) ||
           (IN6_IS_ADDR_V4MAPPED(&p->a6) && p->a6.s6_addr[12] == 127);
  return p->v4 ? ntohl(p->a4.s_addr) >> 24 == 127 : strcmp(p->host, "localhost") == 0;
}

static bool is_listed(const struct plain *p) {
  struct in6_addr six, mapped;
  inet_pton(AF_INET6, "fd00::5", &six);
  inet_pton(AF_INET6, "::ffff:10.1.2.3", &mapped);
  if (p->v6) return !memcmp(&p->a6, &six, 16) || !memcmp(&p->a6, &mapped, 16);
  return p->v4 ? p->a4.s_addr == inet_addr("10.1.2.3") : strcmp(p->host, "mcp.example.com") == 0;
}

/* --- what must hold --- */

static void judge(struct ln_str s) {
  char text[1024];
  bool clean = s.n < sizeof text && !memchr(s.p, 0, s.n);
  for (size_t i = 0; clean && i < s.n; i++) text[i] = (char)tolower((unsigned char)s.p[i]);
  text[clean ? s.n : 0] = 0;
  struct plain p;
  read_plainly(text, &p);
  bool loopback = is_loopback(&p), list = is_listed(&p), literal = p.v4 || p.v6;
  bool ours = !literal && (!strcmp(p.host, own) || !strcmp(p.host, "box"));
  MUST(ln_http_host_served(s, &on_loopback) == loopback);
  MUST(ln_http_host_served(s, &loopback_listed) == (loopback || list));
  MUST(ln_http_host_served(s, &beyond) == (loopback || literal || ours));
  MUST(ln_http_host_served(s, &beyond_listed) == (loopback || list));
  struct ln_http_host host;
  if (!ln_http_host_read(s, &host)) return;
  MUST(host.is_address == literal && host.name.n && host.name.n == strlen(p.host));
  MUST(strncasecmp(host.name.p, p.host, host.name.n) == 0);
  if (host.is_address) MUST(ln_http_host_is_loopback(&host) == loopback);
  /* No resolver takes a name for an address. */
  struct in_addr odd;
  if (!host.is_address) MUST(!inet_aton(p.host, &odd));
}

static void judge_copy(const char *bytes, size_t n) {
  char *copy = piece((const uint8_t *)bytes, n);
  judge((struct ln_str){copy, n});
  free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  const char *rest = (const char *)data + 1;
  size_t n = size - 1, which = data[0] >> 1;
  if (!(data[0] & 1)) {
    judge_copy(rest, n);
    return 0;
  }
  /* A known host with some of its bytes replaced, and the rest of the input after it. */
  char text[600];
  const char *base = known[which % LN_COUNT(known)];
  size_t len = strlen(base);
  memcpy(text, base, len);
  for (; n >= 2 && rest[0] & 1; rest += 2, n -= 2) text[(unsigned char)rest[0] / 2 % len] = rest[1];
  n = LN_MIN(n, sizeof text - len);
  memcpy(text + len, rest, n);
  judge_copy(text, len + n);
  return 0;
}
