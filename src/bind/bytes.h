/* core: random bytes, base64, digests. */
#ifndef LN_BIND_BYTES_H
#define LN_BIND_BYTES_H

#include "bind/bind.h"

/* {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_bytes[];

#endif
