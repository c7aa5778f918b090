/* core: functions of the proxy that return at once. */
#ifndef LN_BIND_HOST_H
#define LN_BIND_HOST_H

#include "bind/bind.h"

/* {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_host[];

#endif
