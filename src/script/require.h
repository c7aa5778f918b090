/* The policy's `require`: where it looks, and which files it has read; see require.c. */
#ifndef LN_SCRIPT_REQUIRE_H
#define LN_SCRIPT_REQUIRE_H

#include "base/source.h"
#include "script/throws.h"

struct lua_State;

struct ln_require {
  struct ln_sources sources; /* what was read, for reload */
  struct ln_sources missed;  /* paths where modules were looked for and not found */
  struct ln_buf text;        /* the file being loaded */
  int loaded; /* registry reference of a function called with each file's chunk and path before it
                 runs; LUA_NOREF: none */
};

void ln_require_init(struct ln_require *r);
void ln_require_deinit(struct ln_require *r);
/* Installs Lunette's searchers. r must keep its address. */
LN_THROWS void ln_require_install(struct ln_require *r, struct lua_State *L);
/* Pushes require(name)'s result. */
LN_THROWS void ln_require(struct lua_State *L, const char *name);
/* Loads a file as a chunk with its whole name; false with a message pushed instead. The file is
 * noted for reload, also when it is missing or broken. */
LN_THROWS bool ln_require_file(struct lua_State *L, const char *path);
/* From now on require looks in the folder of this file too. */
LN_THROWS void ln_require_add_dir_of(struct lua_State *L, const char *path);

#endif
