/* The inside of a policy, for the files of script/ and bind/: data only. The Lua side keeps what
 * the policy file declared in the table of "lunette.base.state"; what the proxy needs of it is
 * copied out as plain data when loading is done, and never changes after. */
#ifndef LN_SCRIPT_POLICY_OBJECT_IMPL_H
#define LN_SCRIPT_POLICY_OBJECT_IMPL_H

#include "base/list.h"
#include "script/policy_host.h"
#include "script/policy_object.h"
#include "script/shared.h"
#include "script/vm.h"

struct ln_view_item;

/* Functions of the Lua side that C calls, by registry reference. */
enum ln_policy_entry {
  LN_ENTRY_MAIN,      /* a run's coroutine body */
  LN_ENTRY_FAILED,    /* what becomes of an error that left it */
  LN_ENTRY_PRESENT,   /* lists */
  LN_ENTRY_MAY_HIDE,  /* a name that no list has shown */
  LN_ENTRY_LOADED,    /* a file of the policy's, before it runs */
  LN_ENTRY_UNMATCHED, /* rules and handlers that chose nothing */
  LN_ENTRIES
};

/* lunette.every */
struct ln_policy_timer {
  struct ln_list link;
  struct ln_timer timer;
  struct ln_policy *policy;
  uint64_t every_ms;
  size_t index; /* in the Lua side's list */
};

/* A chain of the Lua side's (lunette/rules/transform.lua). */
struct ln_transform {
  uint32_t refs;
  struct ln_policy *policy; /* not counted */
  int chain;                /* registry reference */
  size_t layers;            /* in it */
  char *where;              /* FILE:LINE of the last written, or NULL */
};

struct ln_policy {
  struct ln_list link;               /* in host.policies */
  uint32_t refs;                     /* one a run */
  void (*free)(struct ln_policy *p); /* when the last is gone */
  bool loaded;                       /* declarations are closed */
  bool retired;
  struct ln_policy_host host;
  struct ln_vm *vm;
  struct ln_policy_decls decls;
  struct ln_list blocks; /* what decls points into */
  int entries[LN_ENTRIES];
  bool has_rules[LN_KINDS], per_client[LN_KINDS], on_calls[LN_KINDS];
  bool watched[LN_KINDS];     /* there are rules, or handlers that name components */
  struct ln_bytes *unmatched; /* while it is asked for */
  struct ln_list runs, idle, timers;
  size_t n_runs, n_idle;
  uint64_t last_token;
  struct ln_shared *shared;
  /* a list being presented */
  struct ln_view_item *items;
  size_t n_items;
  uint64_t presented; /* lists made so far: what ln_client_ref.now points at for them */
};

#endif
