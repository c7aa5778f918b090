/* Base64 (RFC 4648): with padding (4), or for URLs and headers without (5). Each bytes have one
 * spelling: what is read is exactly what would be written. */
#ifndef LN_BASE_BASE64_H
#define LN_BASE_BASE64_H

#include "base/base.h"

enum ln_base64 { LN_BASE64, LN_BASE64URL };

/* The characters that n bytes become. */
size_t ln_base64_size(enum ln_base64 form, size_t n);
/* Writes them. */
void ln_base64_write(enum ln_base64 form, const void *bytes, size_t n, char *to);

/* The most bytes that n characters can stand for. */
#define LN_BASE64_ROOM(n) ((n) / 4 * 3 + (n) % 4 * 3 / 4)
/* Reads the text into to, of LN_BASE64_ROOM(text.n) bytes, and says in *n how many they are. False:
 * it is none; to may have been written to. */
bool ln_base64_read(enum ln_base64 form, struct ln_str text, void *to, size_t *n) LN_CHECK;

#endif
