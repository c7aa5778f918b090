/* The struct of a policy, for the files of script/ and bind/. The Lua module "lunette.base.state"
 * has what the policy file declared; what C needs of it is copied (decls_read.c) when loading is
 * done, and never changes after. */
#ifndef LN_SCRIPT_POLICY_OBJECT_IMPL_H
#define LN_SCRIPT_POLICY_OBJECT_IMPL_H

#include "base/list.h"
#include "script/policy_host.h"
#include "script/policy_object.h"
#include "script/shared.h"
#include "script/vm.h"

struct ln_present_item;

/* Functions of the Lua side that C calls, by registry reference. */
enum ln_policy_entry {
  LN_ENTRY_MAIN,       /* the body of a run's coroutine */
  LN_ENTRY_FAILED,     /* ends a run whose coroutine raised an error */
  LN_ENTRY_PRESENT,    /* applies rules to a list */
  LN_ENTRY_MAY_HIDE,   /* whether a rule could hide a name */
  LN_ENTRY_HIDES,      /* whether a rule hides that name, by it alone */
  LN_ENTRY_HIDES_ALL,  /* whether rules hide all that a glob matches */
  LN_ENTRY_MAY_RENAME, /* whether a rule could give a component that name */
  LN_ENTRY_LOADED,     /* called with each file of the policy before it runs */
  LN_ENTRY_UNMATCHED,  /* rules and handlers that chose nothing */
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
  void (*free)(struct ln_policy *p); /* policy.c's, called when the last is released */
  bool loaded;                       /* nothing can be declared any more */
  bool retired;
  struct ln_policy_host host;
  struct ln_vm *vm;
  struct ln_policy_decls decls;
  struct ln_list blocks; /* what decls points into */
  int entries[LN_ENTRIES];
  bool has_rules[LN_KINDS], per_client[LN_KINDS], strict[LN_KINDS], on_calls[LN_KINDS];
  bool watched[LN_KINDS];     /* there are rules, or handlers that name components */
  struct ln_bytes *unmatched; /* result of ln_present_unmatched, during the call */
  struct ln_list runs, idle, timers;
  size_t n_runs, n_idle;
  uint64_t last_token;
  struct ln_shared *shared;
  /* a list being presented */
  struct ln_present_item *items;
  size_t n_items;
  uint64_t presented; /* number of lists made: ln_client_ref.now of their ctx */
};

#endif
