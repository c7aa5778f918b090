/* core: the running handler: its message, waiting, and its outcome. */
#ifndef LN_BIND_RUN_H
#define LN_BIND_RUN_H

#include "bind/bind.h"

/* {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_run[];

/* The run whose coroutine calls, which may wait. An error outside of handlers, in coroutines that
 * the handler made, and when it has ended. */
LN_THROWS struct ln_run *ln_bind_run_check(lua_State *L);

#endif
