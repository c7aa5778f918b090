/* Sealed text: bytes that go out to a peer and come back, which nobody else can read, make or
 * alter. AES-256 in Galois/counter mode, written as base64url without padding, so that it may
 * stand in a header (RFC 4648, 5). No I/O but the random numbers.
 *
 * A seal is nonce | ciphertext | tag. The nonce is drawn at random, which is good for four
 * thousand million seals under one key. Whatever is wrong with a text, its reader learns one and
 * the same error of it. */
#ifndef LN_NET_SEAL_H
#define LN_NET_SEAL_H

#include "base/buf.h"

enum {
  LN_SEAL_KEY = 32,
  LN_SEAL_NONCE = 12,
  LN_SEAL_TAG = 16,
  LN_SEAL_NAME = 16 /* characters at the front that are the nonce: never twice the same */
};

/* Appends the seal of plain to out. context is what it is good for, and for whom: it is not part of
 * the text, and who reads it must say the same. LN_ENOMEM, LN_ELIMIT, LN_ESYSTEM (no random
 * numbers). */
int ln_seal_write(const unsigned char key[LN_SEAL_KEY], struct ln_str context, struct ln_str plain,
                  struct ln_buf *out) LN_CHECK;
/* Appends what was sealed to out. LN_EINVALID for what ln_seal_write did not write with this key
 * and context, to the last bit; LN_ENOMEM, LN_ELIMIT. */
int ln_seal_read(const unsigned char key[LN_SEAL_KEY], struct ln_str context, struct ln_str text,
                 struct ln_buf *out) LN_CHECK;

#endif
