/* The program: a Lua state for the command line (lunette/cli/init.lua), and its exit code. */
#include "bind/program.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bind/cli.h"
#include "bind/core.h"
#include "script/vm.h"

struct call {
  int argc;
  char **argv;
  int code;
};

static void run(lua_State *L, void *arg) {
  struct call *c = arg;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, ln_cli_open);
  lua_setfield(L, -2, "lunette.cli.core");
  ln_require(L, "lunette.cli");
  lua_getfield(L, -1, "main");
  lua_createtable(L, c->argc, 1);
  for (int i = 0; i < c->argc; i++) {
    lua_pushstring(L, c->argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_call(L, 1, 1);
  c->code = (int)lua_tointeger(L, -1);
}

int ln_program_run(int argc, char **argv) {
  struct ln_log log;
  ln_log_init(&log, STDERR_FILENO);
  struct ln_vm *vm = ln_vm_new(&log, NULL, 64u << 20, ln_core_open);
  if (!vm) {
    fprintf(stderr, "lunette: out of memory\n");
    return 1;
  }
  struct call c = {argc, argv, 1};
  char *why = NULL;
  if (ln_vm_call(vm, run, &c, &why)) {
    fprintf(stderr, "lunette: %s\n", why ? why : "internal error");
    free(why);
    c.code = 1;
  }
  ln_vm_free(vm);
  ln_log_finish(&log);
  return c.code;
}
