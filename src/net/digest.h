/* Digests: SHA-256 (FIPS 180-4), and HMAC with it (RFC 2104). No I/O. */
#ifndef LN_NET_DIGEST_H
#define LN_NET_DIGEST_H

#include "base/base.h"

enum { LN_DIGEST_BYTES = 32 };

/* False: the library has not done it (no memory). */
bool ln_digest_sha256(struct ln_str text, unsigned char digest[LN_DIGEST_BYTES]) LN_CHECK;
/* The key may have any length, and may be empty. */
bool ln_digest_hmac_sha256(struct ln_str key, struct ln_str text,
                           unsigned char digest[LN_DIGEST_BYTES]) LN_CHECK;

#endif
