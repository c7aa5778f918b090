/* One Lua state, for one policy or for the command line.
 *
 * C enters Lua only by ln_vm_call, which is protected, or by resuming a coroutine, which is so by
 * itself. Errors are returned as text with a traceback, file and line first. Lunette's own modules
 * have chunk names that start with "=lunette/": "the caller's file:line" is the nearest that
 * doesn't. */
#ifndef LN_SCRIPT_VM_H
#define LN_SCRIPT_VM_H

#include "base/log.h"
#include "script/guard.h"
#include "script/require.h"
#include "script/value.h"

struct lua_State;
struct ln_policy;
struct ln_run;
struct ln_vm;

/* Makes the module "lunette.core" in a state: bind/, a room above, passes it in. */
typedef void (*ln_vm_open_fn)(struct lua_State *L, struct ln_vm *vm);

/* The run whose coroutine is running; all NULL: none. */
struct ln_vm_current {
  struct ln_run *run;
  struct lua_State *co;
  const char *declared; /* "FILE:LINE" of its handler, or NULL */
};

struct ln_vm {
  struct lua_State *L;
  struct ln_guard guard;
  struct ln_require require;
  struct ln_codec codec;
  struct ln_policy *policy; /* NULL: the command line, and in tests */
  struct ln_vm_current current;
  struct ln_log *log;
  int call, traceback; /* registry references of functions that ln_vm_call uses */
  ln_vm_open_fn open;
  void (*job)(struct lua_State *L, void *arg);
  void *arg;
};

/* A state with the standard libraries and what open makes; the compiler is off, and there are no
 * limits on memory and time yet. NULL when out of memory. The codec makes texts of at most
 * max_bytes. */
struct ln_vm *ln_vm_new(struct ln_log *log, struct ln_policy *policy, size_t max_bytes,
                        ln_vm_open_fn open);
void ln_vm_free(struct ln_vm *vm);
struct ln_vm *ln_vm_of(struct lua_State *L);

/* Runs job on the main stack, protected; the stack is as before when it returns. LN_OK, or
 * LN_ESCRIPT with the message and traceback in *why (free()) unless why is NULL. */
int ln_vm_call(struct ln_vm *vm, void (*job)(struct lua_State *L, void *arg), void *arg,
               char **why);

/* If the string on top starts with a shortened file name, replaces it by one with the whole name.
 */
LN_THROWS void ln_vm_whole_name(struct lua_State *L, const struct ln_vm *vm);
enum { LN_VM_PLACE = 4200 }; /* room for any place: a path and a line */
/* "FILE:LINE" of the nearest function on L's stack that is not Lunette's own; else where the
 * running handler was declared; else "?". Allocates nothing and only reads, so that it can be
 * called in a hook and in a signal handler on the vm's thread. */
void ln_vm_place(struct lua_State *L, const struct ln_vm *vm, char *out, size_t max);
/* Collects garbage when the policy has used much of its memory limit; to be called between runs. */
void ln_vm_tidy(struct ln_vm *vm);

#endif
