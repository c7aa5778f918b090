/* http and https URLs, strictly: what two readers could take for different places is refused.
 *
 * Refused: every scheme but http and https, user information (unless asked for), empty or
 * percent-encoded hosts, numbers that only some resolvers read as addresses ("127.1",
 * "0x7f000001"), IPv6 zones, port 0 or beyond 65535 or with leading zeros, fragments (unless they
 * are to be dropped), control bytes, spaces, backslashes, bytes beyond ASCII, broken
 * percent-encodings.
 *
 * Normal form of the origin: scheme and host in lower case, IPv6 as inet_ntop writes it, the
 * port a number. Path and query stay as they were given. */
#ifndef LN_TRANSPORT_URL_H
#define LN_TRANSPORT_URL_H

#include "base/buf.h"

enum {
  LN_URL_MAX = 8192,
  LN_URL_USERINFO = 1,     /* flag: allow "user:password@" */
  LN_URL_DROP_FRAGMENT = 2 /* flag: ignore a fragment */
};

struct ln_url {
  char *text; /* owns every byte below */
  bool tls;   /* https */
  bool ipv6;  /* host is an IPv6 address, here without its brackets */
  uint16_t port;
  bool port_given;
  struct ln_str host;     /* NUL-terminated in text */
  struct ln_str target;   /* path and query, never empty: what a request line carries */
  struct ln_str userinfo; /* absent without one; still percent-encoded */
};

/* On an error url needs no deinit; *why is a sentence that lives for ever. LN_EINVALID, LN_ENOMEM.
 */
int ln_url_parse(struct ln_url *url, struct ln_str text, unsigned flags, const char **why) LN_CHECK;
void ln_url_deinit(struct ln_url *url);
/* The reference (absolute, or with any part left out) as seen from base, dot segments removed. A
 * fragment is dropped, user information refused. */
int ln_url_resolve(struct ln_url *out, const struct ln_url *base, struct ln_str reference,
                   const char **why) LN_CHECK;
bool ln_url_same_origin(const struct ln_url *a, const struct ln_url *b);
/* "host", "host:8080", "[::1]:8080": the port when it isn't the scheme's, or always. */
int ln_url_authority(const struct ln_url *url, bool with_port, struct ln_buf *out);
/* "https://host:8080" */
int ln_url_origin(const struct ln_url *url, struct ln_buf *out);

#endif
