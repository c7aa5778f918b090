/* See digest.h. */
#include "net/digest.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

bool ln_digest_sha256(struct ln_str text, unsigned char digest[LN_DIGEST_BYTES]) {
  return EVP_Digest(text.p, text.n, digest, NULL, EVP_sha256(), NULL) == 1;
}

bool ln_digest_hmac_sha256(struct ln_str key, struct ln_str text,
                           unsigned char digest[LN_DIGEST_BYTES]) {
  if (key.n > INT_MAX) return false;
  /* To the library no key at all is "the one from before". */
  const void *bytes = key.n ? key.p : "";
  return HMAC(EVP_sha256(), bytes, (int)key.n, (const unsigned char *)text.p, text.n, digest,
              NULL) != NULL;
}
