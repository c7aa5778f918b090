/* Sealing and opening; see seal.h. */
#include "net/seal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/random.h>

enum { OVERHEAD = LN_SEAL_NONCE + LN_SEAL_TAG };

/* --- base64url --- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int encode(const unsigned char *p, size_t n, struct ln_buf *out) {
  size_t len = n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0);
  int rc = ln_buf_reserve(out, len);
  if (rc) return ln_buf_fail(out, rc);
  char *to = out->data + out->len;
  uint32_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < n; i++) {
    bits = bits << 8 | p[i];
    held += 8;
    while (held >= 6) {
      held -= 6;
      *to++ = digits[bits >> held & 63];
    }
  }
  if (held) *to = digits[bits << (6 - held) & 63];
  out->len += len;
  return LN_OK;
}

static int digit(char c) {
  const char *at = c ? memchr(digits, c, sizeof digits - 1) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* Into n * 3 / 4 bytes. False for another spelling of the same bytes too: bits that count for
 * nothing must be zero. */
static bool decode(struct ln_str text, unsigned char *to) {
  uint32_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < text.n; i++) {
    int d = digit(text.p[i]);
    if (d < 0) return false;
    bits = bits << 6 | (uint32_t)d;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    *to++ = (unsigned char)(bits >> held);
  }
  return text.n % 4 != 1 && (bits & ((1u << held) - 1)) == 0;
}

/* --- the cipher --- */

static int encrypt(const unsigned char *key, struct ln_str context, struct ln_str plain,
                   unsigned char *to) {
  int n, ok = 0;
  unsigned char *cipher = to + LN_SEAL_NONCE, *tag = cipher + plain.n;
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  if (!c) return LN_ENOMEM;
  if (getrandom(to, LN_SEAL_NONCE, 0) == LN_SEAL_NONCE)
    ok = EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, to) &&
         EVP_EncryptUpdate(c, NULL, &n, (const unsigned char *)context.p, (int)context.n) &&
         EVP_EncryptUpdate(c, cipher, &n, (const unsigned char *)plain.p, (int)plain.n) &&
         EVP_EncryptFinal_ex(c, tag, &n) &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, LN_SEAL_TAG, tag);
  EVP_CIPHER_CTX_free(c);
  return ok ? LN_OK : LN_ESYSTEM;
}

static int decrypt(const unsigned char *key, struct ln_str context, const unsigned char *sealed,
                   size_t n_plain, unsigned char *to) {
  int n, ok;
  const unsigned char *cipher = sealed + LN_SEAL_NONCE;
  unsigned char tag[LN_SEAL_TAG];
  memcpy(tag, cipher + n_plain, sizeof tag);
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  if (!c) return LN_ENOMEM;
  ok = EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, sealed) &&
       EVP_DecryptUpdate(c, NULL, &n, (const unsigned char *)context.p, (int)context.n) &&
       EVP_DecryptUpdate(c, to, &n, cipher, (int)n_plain) &&
       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, LN_SEAL_TAG, tag) &&
       EVP_DecryptFinal_ex(c, to + n_plain, &n) > 0;
  EVP_CIPHER_CTX_free(c);
  return ok ? LN_OK : LN_EINVALID;
}

int ln_seal_write(const unsigned char key[LN_SEAL_KEY], struct ln_str context, struct ln_str plain,
                  struct ln_buf *out) {
  if (plain.n > INT_MAX / 2 || context.n > INT_MAX / 2) return LN_ELIMIT;
  unsigned char *sealed = malloc(plain.n + OVERHEAD);
  if (!sealed) return LN_ENOMEM;
  int rc = encrypt(key, context, plain, sealed);
  if (!rc) rc = encode(sealed, plain.n + OVERHEAD, out);
  free(sealed);
  return rc;
}

int ln_seal_read(const unsigned char key[LN_SEAL_KEY], struct ln_str context, struct ln_str text,
                 struct ln_buf *out) {
  size_t n = text.n / 4 * 3 + text.n % 4 * 3 / 4;
  if (n < OVERHEAD || n > INT_MAX / 2 || context.n > INT_MAX / 2) return LN_EINVALID;
  unsigned char *sealed = malloc(n);
  if (!sealed) return LN_ENOMEM;
  size_t n_plain = n - OVERHEAD;
  int rc = decode(text, sealed) ? LN_OK : LN_EINVALID;
  if (!rc) rc = ln_buf_reserve(out, n_plain + 1);
  if (!rc) rc = decrypt(key, context, sealed, n_plain, (unsigned char *)out->data + out->len);
  if (!rc) out->len += n_plain; /* before, it is not authentic */
  free(sealed);
  return rc;
}
