/* On whose behalf a request comes: the address of the connection, or, when that is a proxy that is
 * trusted, the one that it names (X-Forwarded-For, or Forwarded, RFC 7239). Each proxy appends whom
 * it heard, so the list is read from the right for as long as the one that said it is trusted; what
 * is left of that anybody may have written. Bytes in, an address out.
 *
 * Addresses are 16 bytes, an IPv4 one as its mapped IPv6 address (http_host.h). */
#ifndef LN_WIRE_FORWARDED_H
#define LN_WIRE_FORWARDED_H

#include "wire/http.h"

struct ln_network {
  unsigned char address[16];
  unsigned bits; /* of 128 */
};

/* "10.0.0.0/8", "fd00::/8", or an address; bits past the length must be 0. */
bool ln_network_read(struct ln_str text, struct ln_network *out);
bool ln_network_has(const struct ln_network *n, const unsigned char address[16]);
/* trusted: as the owner lists them, and a NULL at the end; NULL: none. address: the connection's,
 * and then the peer's. Where a trusted proxy names nobody, or nobody that is an address, it is
 * itself. */
void ln_forwarded_peer(const struct ln_http_head *head, const char *const *trusted,
                       unsigned char address[16]);
/* What stands for a peer: the address, or for IPv6 its network of 64 bits, all of which one host
 * may have. */
enum { LN_PEER_NAME = 48 };
struct ln_str ln_peer_name(const unsigned char address[16], char out[LN_PEER_NAME]);

#endif
