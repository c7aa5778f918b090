/* core: the handler that is running, what it waits for and how it ends. */
#ifndef LN_BIND_RUN_H
#define LN_BIND_RUN_H

#include "bind/bind.h"

/* {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_run[];

/* The run whose coroutine calls: an error anywhere else, in coroutines of the handler's own, and
 * when it has ended. */
LN_THROWS struct ln_run *ln_bind_waiter(lua_State *L);

#endif
