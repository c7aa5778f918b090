/* core: lunette.http. */
#ifndef LN_BIND_HTTP_H
#define LN_BIND_HTTP_H

#include "bind/bind.h"

/* {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_http[];

#endif
