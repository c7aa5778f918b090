/* A run of a handler, as its callers see it. How one is started is in policy.h, the struct in
 * run_impl.h. */
#ifndef LN_SCRIPT_RUN_H
#define LN_SCRIPT_RUN_H

#include "mcp/kind.h"
#include "rpc/message.h"

struct ln_exchange;
struct ln_fetch_conf;
struct ln_policy;
struct ln_run;
struct ln_run_http;

/* The component that a message names, before any rule, for a handler's `where`. */
struct ln_hook_item {
  struct ln_str json; /* absent: no known one */
  struct ln_str name; /* as presented before any rule */
  enum ln_kind kind;
};

/* What a hook is run with. The functions may be called until done was. */
struct ln_hook_call {
  size_t hook;        /* index in decls.hooks */
  struct ln_msg *msg; /* request or notification as it stands; borrowed until done */
  struct ln_exchange *x;
  struct ln_hook_item item;
  /* The handler forwards msg (the callee's to unref), which is the original itself when nothing was
   * edited. The callee answers by ln_run_answer(run, token, reply), at once or later; notifications
   * are not answered. */
  void (*forward)(void *arg, struct ln_run *run, uint64_t token, struct ln_msg *msg);
  /* The time limit that the handler gave the forward under way is over: cancel what is under way
   * for it. Inner runs are cancelled already. May be NULL. */
  void (*call_off)(void *arg);
  /* The run has ended; called exactly once, never from inside ln_policy_run_hook. reply as in
   * ln_reply_fn, NULL for notifications. When the handler didn't change the reply to its last
   * forward, it is that same message. */
  void (*done)(void *arg, struct ln_msg *reply);
  void *arg;
};

/* How many layers of the transform the call that it forwarded has still to pass; 0 for a hook. */
size_t ln_run_left(const struct ln_run *run);
/* The answer to what was forwarded. Takes the reference. Unknown or stale tokens are ignored. */
void ln_run_answer(struct ln_run *run, uint64_t token, struct ln_msg *reply);

/* --- for script/ and bind/ alone --- */

enum ln_run_kind { LN_RUN_HOOK, LN_RUN_COMPONENT, LN_RUN_TIMER, LN_RUN_TRANSFORM };

/* A new run of the policy, which it counts, or NULL; ln_run_begin resumes it for the first time. */
struct ln_run *ln_run_new(struct ln_policy *p, enum ln_run_kind kind, size_t index);
void ln_run_begin(struct ln_run *run);
/* What it waits for next is the end of another run of its policy. */
void ln_run_follow(struct ln_run *run, struct ln_run *leader);
/* Ends the run; done is not called. */
void ln_run_cancel(struct ln_run *run);
/* Sets the outcome; takes the reply's reference. */
void ln_run_end(struct ln_run *run, struct ln_msg *reply);
/* Frees the pool of runs, after the Lua state: no run may be under way. */
void ln_run_free_idle(struct ln_policy *p);
bool ln_run_is_request(const struct ln_run *run);
/* lunette.http: makes the request and sets *holder to its response. NULL, or why it can't. */
const char *ln_run_fetch(struct ln_run *run, const struct ln_fetch_conf *conf, bool stream,
                         size_t max, struct ln_run_http **holder);

#endif
