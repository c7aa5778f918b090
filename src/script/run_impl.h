/* One run of a handler: its coroutine, what it waits for, and how it ends.
 *
 * A handler that waits doesn't call the proxy from inside Lua: the C function stores in the run
 * what is wanted and yields; `pump`, outside Lua, calls the proxy and resumes the coroutine with
 * the answer. So there are no C frames on the coroutine's stack while it waits.
 *
 * Runs are pooled and live as long as their policy, which never gives a token twice: a late answer
 * finds another token, or none, and is dropped. */
#ifndef LN_SCRIPT_RUN_IMPL_H
#define LN_SCRIPT_RUN_IMPL_H

#include "script/policy_object_impl.h"
#include "script/run.h"
#include "script/run_http.h"

enum ln_run_op {
  LN_OP_NONE,
  LN_OP_FORWARD,
  LN_OP_REQUEST,
  LN_OP_ASK,
  LN_OP_SLEEP,
  LN_OP_HTTP,
  LN_OP_FOLLOW
};

/* The argument of a reply function given to the proxy; outlives a cancelled run. */
struct ln_run_wait {
  struct ln_run *run; /* NULL: it was cancelled */
  uint64_t token;
};

struct ln_run {
  struct ln_list link;
  struct ln_list https; /* struct ln_run_http: responses on their way */
  struct ln_policy *policy;
  struct lua_State *co;
  int co_ref;
  enum ln_run_kind kind;
  size_t index;       /* of the hook, component, timer or transform layer */
  uint64_t serial;    /* grows with every run: a ctx is valid while it is the same */
  struct ln_msg *msg; /* NULL for timers */
  struct ln_exchange *x;
  struct ln_transform *transform; /* TRANSFORM: counted */
  struct ln_hook_item item;       /* only until the first resume returns */
  struct ln_str shown;            /* COMPONENT: its name for clients; likewise */
  void (*forward)(void *arg, struct ln_run *run, uint64_t token, struct ln_msg *msg);
  void (*call_off)(void *arg);
  void (*done)(void *arg, struct ln_msg *reply);
  void *arg;
  /* what the coroutine wants */
  enum ln_run_op op;
  struct ln_msg *out;  /* FORWARD */
  uint64_t forward_ms; /* FORWARD: its time limit; 0: none */
  size_t left;         /* FORWARD: layers of the transform that the call has still to pass */
  char method[128];    /* REQUEST, ASK */
  struct ln_bytes *params;
  uint64_t sleep_ms;
  struct ln_run_http *http; /* HTTP: the response that it waits for */
  struct ln_run *leader;    /* FOLLOW: the run whose end it waits for … */
  struct ln_list follows;   /* … in its followers */
  struct ln_list followers; /* struct ln_run, by follows */
  /* the answer */
  uint64_t token; /* of the answer that it waits for; 0: none */
  struct ln_run_wait *wait;
  int64_t asked;        /* ASK: the id for cancel_ask; 0: none */
  struct ln_msg *reply; /* the answer, not yet taken */
  struct ln_msg *base;  /* the last reply to a forward, that a result is merged into */
  /* how it ends */
  struct ln_msg *final;
  bool ended, starting, pumping, cancelled;
  uint64_t used; /* ns of running time */
  struct ln_timer timer;
  struct ln_task task;
};

#endif
