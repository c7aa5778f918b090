/* Sealing and opening; see seal.h. */
#include "net/seal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/base64.h"

enum { OVERHEAD = LN_SEAL_NONCE + LN_SEAL_TAG };

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

static int append_text(struct ln_buf *out, const unsigned char *bytes, size_t n) {
  size_t len = ln_base64_size(LN_BASE64URL, n);
  int rc = ln_buf_reserve(out, len);
  if (rc) return ln_buf_fail(out, rc);
  ln_base64_write(LN_BASE64URL, bytes, n, out->data + out->len);
  out->len += len;
  return LN_OK;
}

int ln_seal_write(const unsigned char key[LN_SEAL_KEY], struct ln_str context, struct ln_str plain,
                  struct ln_buf *out) {
  if (plain.n > INT_MAX / 2 || context.n > INT_MAX / 2) return LN_ELIMIT;
  unsigned char *sealed = malloc(plain.n + OVERHEAD);
  if (!sealed) return LN_ENOMEM;
  int rc = encrypt(key, context, plain, sealed);
  if (!rc) rc = append_text(out, sealed, plain.n + OVERHEAD);
  free(sealed);
  return rc;
}

int ln_seal_read(const unsigned char key[LN_SEAL_KEY], struct ln_str context, struct ln_str text,
                 struct ln_buf *out) {
  size_t n = LN_BASE64_ROOM(text.n);
  if (n < OVERHEAD || n > INT_MAX / 2 || context.n > INT_MAX / 2) return LN_EINVALID;
  unsigned char *sealed = malloc(n);
  if (!sealed) return LN_ENOMEM;
  size_t n_plain = n - OVERHEAD;
  int rc = ln_base64_read(LN_BASE64URL, text, sealed, &n) ? LN_OK : LN_EINVALID;
  if (!rc) rc = ln_buf_reserve(out, n_plain + 1);
  if (!rc) rc = decrypt(key, context, sealed, n_plain, (unsigned char *)out->data + out->len);
  if (!rc) out->len += n_plain; /* before, it is not authentic */
  free(sealed);
  return rc;
}
