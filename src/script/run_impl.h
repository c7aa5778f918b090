/* One handler on its way: a coroutine, what it waits for, and how it ends.
 *
 * Lua never calls out of the coroutine into the proxy for something that answers later: the C
 * function notes what is wanted in the run and yields; the pump, outside Lua, asks the proxy and
 * resumes with the answer. So nothing of ours is on the coroutine's stack while it waits.
 *
 * Runs are pooled and live as long as their policy; tokens are never used twice within it. A stale
 * answer therefore finds another token, or none, and is dropped. */
#ifndef LN_SCRIPT_RUN_IMPL_H
#define LN_SCRIPT_RUN_IMPL_H

#include "script/policy_object_impl.h"
#include "script/run.h"
#include "script/run_http.h"

enum ln_run_op { LN_OP_NONE, LN_OP_FORWARD, LN_OP_REQUEST, LN_OP_ASK, LN_OP_SLEEP, LN_OP_HTTP };

/* An answer that the proxy owes; outlives the run when that is cancelled. */
struct ln_run_wait {
  struct ln_run *run; /* NULL: nobody waits any more */
  uint64_t token;
};

struct ln_run {
  struct ln_list link;
  struct ln_list https; /* struct ln_run_http: responses on their way */
  struct ln_policy *policy;
  struct lua_State *co;
  int co_ref;
  enum ln_run_kind kind;
  size_t index;       /* of the hook, component or timer, or the uppermost layer to be passed */
  uint64_t serial;    /* grows at every end: what a ctx is checked against */
  struct ln_msg *msg; /* NULL for timers */
  struct ln_exchange *x;
  struct ln_transform *transform; /* TRANSFORM: counted */
  struct ln_hook_item item;       /* only until the first resume returns */
  struct ln_str shown;            /* COMPONENT: what the client calls it; likewise */
  void (*forward)(void *arg, struct ln_run *run, uint64_t token, struct ln_msg *msg);
  void (*call_off)(void *arg);
  void (*done)(void *arg, struct ln_msg *reply);
  void *arg;
  /* what the coroutine wants */
  enum ln_run_op op;
  struct ln_msg *out;  /* FORWARD */
  uint64_t forward_ms; /* FORWARD: how long it may take; 0: as long as it takes */
  size_t left;         /* FORWARD: layers of the transform that it has still to pass */
  char method[128];    /* REQUEST, ASK */
  struct ln_bytes *params;
  uint64_t sleep_ms;
  struct ln_run_http *http; /* HTTP: the response that is waited for */
  /* what it gets */
  uint64_t token; /* 0: nothing is awaited */
  struct ln_run_wait *wait;
  int64_t asked;        /* ASK: what the client is being asked; 0: nothing */
  struct ln_msg *reply; /* arrived, not yet taken */
  struct ln_msg *base;  /* the last answer to a forward: what a result is laid over */
  /* how it ends */
  struct ln_msg *final;
  bool ended, starting, pumping, cancelled;
  uint64_t used; /* ns of running time */
  struct ln_timer timer;
  struct ln_task task;
};

#endif
