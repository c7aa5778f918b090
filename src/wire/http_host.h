/* The hosts that Host, the authority of a target and Origin name, and which of them a server
 * answers to. A browser sends the name that its page came from, whatever that resolves to: who
 * answers to any name answers pages of strangers whose name resolves to us (DNS rebinding). An
 * address can't be made to mean another machine; of names that holds for those that we know.
 *
 * Addresses are 16 bytes, an IPv4 one as its mapped IPv6 address, so that the two spellings of one
 * address are equal. */
#ifndef LN_WIRE_HTTP_HOST_H
#define LN_WIRE_HTTP_HOST_H

#include "base/base.h"

struct ln_http_host {
  struct ln_str
      name; /* without port, brackets, and the dot of the root; a slice of what was read */
  bool is_address;
  bool has_port;
  uint16_t port; /* 0: none */
  unsigned char address[16];
};

/* What a server goes by. */
struct ln_http_hosts {
  bool loopback;             /* it listens on a loopback address */
  const char *own;           /* the machine's name; "": unknown */
  const char *const *listed; /* as the owner lists them, each a host without a port, and a NULL at
                                the end; NULL: no list */
};

/* Takes "name", "name:port", "1.2.3.4" or "[v6]:port" apart. False: it is none of these, or one
 * that others may read as another host: no plain dotted address but ending in a number ("127.1"),
 * a zone, user information. */
bool ln_http_host_read(struct ln_str authority, struct ln_http_host *host);
/* A name of letters, digits, "-" and "_" in labels, or an IPv4 address in its plain form. */
bool ln_http_host_name_ok(struct ln_str name);
bool ln_http_host_is_loopback(const struct ln_http_host *host);
bool ln_http_address_is_loopback(const unsigned char address[16]);
/* Whether a request for that host is answered: loopback's always, and what is listed. Without a
 * list, and when listening beyond loopback, also every address, and the machine's name with and
 * without its domain. */
bool ln_http_host_served(struct ln_str authority, const struct ln_http_hosts *served);

struct ln_http_origin {
  struct ln_str scheme;
  struct ln_str authority;  /* as written */
  struct ln_http_host host; /* its port is the scheme's where none is written */
};
/* Takes an origin apart as browsers send it (RFC 6454, 6.2): "scheme://host" or
 * "scheme://host:port", nothing after it. False: it is none; "null" is none. */
bool ln_http_origin_read(struct ln_str text, struct ln_http_origin *origin);
/* Whether an origin is one of those listed: the same scheme, host and port, whose default is the
 * scheme's. "*" lists every origin; "null" is listed by its name alone. */
bool ln_http_origin_listed(struct ln_str origin, const char *const *listed);

#endif
