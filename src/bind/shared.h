/* core: lunette.shared. */
#ifndef LN_BIND_SHARED_H
#define LN_BIND_SHARED_H

#include "bind/bind.h"

/* {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_shared[];

#endif
