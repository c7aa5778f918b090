/* The module "lunette.core": C functions for Lunette's own Lua code. */
#ifndef LN_BIND_CORE_H
#define LN_BIND_CORE_H

#include "script/throws.h"

struct ln_vm;
struct lua_State;

/* Registers it in package.preload. */
LN_THROWS void ln_core_open(struct lua_State *L, struct ln_vm *vm);

#endif
