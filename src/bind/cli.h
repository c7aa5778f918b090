/* The module "lunette.cli.core", for the Lua code of the command line. */
#ifndef LN_BIND_CLI_H
#define LN_BIND_CLI_H

#include "script/throws.h"

struct lua_State;

/* Pushes the module. */
LN_THROWS int ln_cli_open(struct lua_State *L);

#endif
