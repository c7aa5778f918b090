/* Request targets (RFC 9112, 3.2) and the hosts in them.
 *
 * Hosts are held narrower than the URI grammar: names of letters, digits and "-._~", or an
 * address in brackets, then perhaps a port. Percent codes and the delimiters the grammar also
 * allows are in no real name, and readers differ in them. */
#include "wire/http_head.h"

/* The length of "[...]" with hexadecimal digits, colons and dots; 0: it is none. */
static size_t bracketed(struct ln_str s) {
  size_t i = 1;
  while (i < s.n && (ln_http_is(s.p[i], LN_HTTP_HEX) || s.p[i] == ':' || s.p[i] == '.')) i++;
  return i > 1 && i < s.n && s.p[i] == ']' ? i + 1 : 0;
}

bool ln_http_is_port(struct ln_str s) {
  unsigned port = 0;
  if (s.n > 5 || !ln_http_all(s, LN_HTTP_DIGIT)) return false;
  for (size_t i = 0; i < s.n; i++) port = port * 10 + (unsigned)(s.p[i] - '0');
  return port <= UINT16_MAX;
}

/* A host, and a port too where one is needed. */
static bool is_authority(struct ln_str s, bool need_port) {
  size_t n = 0;
  if (s.n && s.p[0] == '[')
    n = bracketed(s);
  else
    while (n < s.n && ln_http_is(s.p[n], LN_HTTP_HOST)) n++;
  if (!n) return false;
  if (n == s.n) return !need_port;
  return s.p[n] == ':' && ln_http_is_port((struct ln_str){s.p + n + 1, s.n - n - 1});
}

/* An authority found in the target must be the one that Host names. */
static const char *agree(struct ln_http_head *head, struct ln_str authority, bool need_port) {
  if (!is_authority(authority, need_port)) return "a malformed authority in the target";
  if (head->authority.p && !ln_str_ieq(head->authority, authority))
    return "a target with another authority than Host";
  head->authority = authority;
  return NULL;
}

static size_t scheme(struct ln_str target) {
  static const struct ln_str known[] = {{"http://", 7}, {"https://", 8}};
  for (size_t i = 0; i < LN_COUNT(known); i++)
    if (target.n >= known[i].n && ln_str_ieq((struct ln_str){target.p, known[i].n}, known[i]))
      return known[i].n;
  return 0;
}

/* Of "http://host:port/path?query" the part from the path on is left as target. Without a path
 * it is what RFC 9112, 3.2.1 and 3.2.4 make of it. */
static const char *absolute(struct ln_http_head *head) {
  struct ln_str rest = head->target;
  size_t n = scheme(rest);
  if (!n) return "a target that is neither a path nor an http URI";
  rest = (struct ln_str){rest.p + n, rest.n - n};
  for (n = 0; n < rest.n && rest.p[n] != '/' && rest.p[n] != '?';) n++;
  const char *why = agree(head, (struct ln_str){rest.p, n}, false);
  if (why) return why;
  if (n < rest.n && rest.p[n] == '?') return "a query without a path in the target";
  if (n < rest.n)
    head->target = (struct ln_str){rest.p + n, rest.n - n};
  else
    head->target = ln_str_is(head->method, "OPTIONS") ? LN_STR_LIT("*") : LN_STR_LIT("/");
  return NULL;
}

const char *ln_http_target_resolve(struct ln_http_head *head) {
  if (head->authority.p && !is_authority(head->authority, false)) return "a malformed Host";
  if (ln_str_is(head->method, "CONNECT")) return agree(head, head->target, true);
  if (head->target.p[0] == '/') return NULL;
  if (ln_str_is(head->target, "*"))
    return ln_str_is(head->method, "OPTIONS") ? NULL : "a \"*\" target, but not with OPTIONS";
  return absolute(head);
}
