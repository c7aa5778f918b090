/* core: random bytes, base64, fixed texts in a text, digests. */
#ifndef LN_BIND_BYTES_H
#define LN_BIND_BYTES_H

#include "bind/bind.h"

enum { LN_HINTS = 64 };

/* Whether one of the hints is in text, in one pass. They stand a line each; one that begins with
 * the byte 1 counts only where no ASCII letter or digit is before it (in JSON: but that of an
 * escape); one that begins with the byte 2 is of classes, d for any digit and u for any capital
 * letter. Of more than LN_HINTS the answer is true. */
bool ln_bind_holds(struct ln_str text, struct ln_str hints);

/* {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_bytes[];

#endif
