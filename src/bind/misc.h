/* core: globs, URIs, the clock, the log, files. */
#ifndef LN_BIND_MISC_H
#define LN_BIND_MISC_H

#include "bind/bind.h"

/* {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_misc[];

#endif
