/* The Lua side of Lunette as the build compiled it in: an array that the build generates from
 * lua/, so that the binary needs no files. */
#ifndef LN_SCRIPT_MODULES_H
#define LN_SCRIPT_MODULES_H

#include "base/base.h"

struct ln_lua_module {
  const char *name; /* "lunette.base.check" */
  const char *text; /* source, NUL-terminated */
  size_t len;       /* without the NUL */
  const char *path; /* "lunette/base/check.lua": what tracebacks show */
};

/* Ends with a row whose name is NULL. */
extern const struct ln_lua_module ln_lua_modules[];

#endif
