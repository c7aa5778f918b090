/* A handler on its way, as whoever waits for it sees it. How one is started is in policy.h, what it
 * is inside in run_impl.h. */
#ifndef LN_SCRIPT_RUN_H
#define LN_SCRIPT_RUN_H

#include "mcp/kind.h"
#include "rpc/message.h"

struct ln_exchange;
struct ln_fetch_conf;
struct ln_policy;
struct ln_run;
struct ln_run_http;

/* What a message is about, as no rule has touched it, for a handler's `where`. */
struct ln_hook_item {
  struct ln_str json; /* absent: it is about nothing known */
  struct ln_str name; /* as presented before any rule */
  enum ln_kind kind;
};

/* What a hook run needs. The functions may be called until done was. */
struct ln_hook_call {
  size_t hook;        /* index in decls.hooks */
  struct ln_msg *msg; /* request or notification as it stands; borrowed until done */
  struct ln_exchange *x;
  struct ln_hook_item item;
  /* The handler forwarded: msg (the callee's to unref) is the message to go on with, the original
   * itself when nothing was edited. The answer comes through ln_run_answer(run, token, reply), at
   * once or later; for notifications there is none and none is awaited. */
  void (*forward)(void *arg, struct ln_run *run, uint64_t token, struct ln_msg *msg);
  /* The handler gave the forward under way a time, and that is over: what is done for it further in
   * is to be called off. Its runs are cancelled already. May be NULL. */
  void (*call_off)(void *arg);
  /* Ended, exactly once, never from inside ln_policy_run_hook: reply as in ln_reply_fn, NULL for
   * notifications. An untouched reply of the last forward is that very message. */
  void (*done)(void *arg, struct ln_msg *reply);
  void *arg;
};

/* Of what a transform forwarded: how many of its layers the call has still to pass; 0 for a hook's.
 */
size_t ln_run_left(const struct ln_run *run);
/* The answer to what was forwarded. Takes the reference. Unknown or stale tokens are ignored. */
void ln_run_answer(struct ln_run *run, uint64_t token, struct ln_msg *reply);

/* --- for script/ and bind/ alone --- */

enum ln_run_kind { LN_RUN_HOOK, LN_RUN_COMPONENT, LN_RUN_TIMER, LN_RUN_TRANSFORM };

/* A fresh run of the policy (a reference of it), or NULL; begin resumes it for the first time. */
struct ln_run *ln_run_new(struct ln_policy *p, enum ln_run_kind kind, size_t index);
void ln_run_begin(struct ln_run *run);
/* Ends the run; done is not called. */
void ln_run_cancel(struct ln_run *run);
/* The outcome, once; reply is the run's now. */
void ln_run_end(struct ln_run *run, struct ln_msg *reply);
/* Frees the pool, after the Lua state: no run may be under way. */
void ln_run_free_idle(struct ln_policy *p);
bool ln_run_is_request(const struct ln_run *run);
/* lunette.http: asks, and *holder is set to the response on its way. NULL, or why it can't: a
 * sentence. */
const char *ln_run_fetch(struct ln_run *run, const struct ln_fetch_conf *conf, bool stream,
                         size_t max, struct ln_run_http **holder);

#endif
