/* One Lua state, of one generation of a policy: made whole, entered only through one protected
 * door, closed whole.
 *
 * The door (ln_vm_call) is what every entry from C goes through, save the resuming of a
 * coroutine, which is protected by itself. Errors come out as text with a traceback, file and line
 * first. Lua modules of Lunette's own have chunk names that start with "=lunette/", which is how
 * "the caller's file:line" is found. */
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

/* Gives the state the module that the Lua side asks C through (bind/bind.h): the rooms above hand
 * it in. */
typedef void (*ln_vm_open_fn)(struct lua_State *L, struct ln_vm *vm);

/* The run whose coroutine is running; all NULL: none is. */
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
  struct ln_policy *policy; /* NULL in tests of the machine alone */
  struct ln_vm_current current;
  struct ln_log *log;
  int door, traceback; /* registry references */
  ln_vm_open_fn open;
  void (*job)(struct lua_State *L, void *arg);
  void *arg;
};

/* Opens the libraries, and with open what Lua can ask of C; compiler off; no limits on what it
 * takes yet. NULL when out of memory. The codec may make texts of at most max_bytes. */
struct ln_vm *ln_vm_new(struct ln_log *log, struct ln_policy *policy, size_t max_bytes,
                        ln_vm_open_fn open);
void ln_vm_free(struct ln_vm *vm);
struct ln_vm *ln_vm_of(struct lua_State *L);

/* Runs job on the main stack, protected; what it leaves on the stack is dropped. LN_OK, or
 * LN_ESCRIPT with the message and traceback in *why (free()) unless why is NULL. */
int ln_vm_call(struct ln_vm *vm, void (*job)(struct lua_State *L, void *arg), void *arg,
               char **why);

/* Replaces a string on top that starts with a shortened file name by one with the whole name. */
LN_THROWS void ln_vm_whole_name(struct lua_State *L, const struct ln_vm *vm);
enum { LN_VM_PLACE = 4200 }; /* room for any place: a path and a line */
/* "FILE:LINE" of the nearest function on L's stack that is not Lunette's own; what runs declared
 * when there is none; else "?". Allocates nothing and only reads: good in a hook, and in a signal's
 * handler on the vm's thread. */
void ln_vm_place(struct lua_State *L, const struct ln_vm *vm, char *out, size_t max);
/* Collects garbage when the policy has taken much of what it may; between runs. */
void ln_vm_tidy(struct ln_vm *vm);

#endif
