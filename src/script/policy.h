/* A policy as the proxy sees it: one Lua state, loaded whole or not at all. What it declared
 * (servers, hooks, components, settings) is plain data (decls.h); what it does is called through
 * the functions here, in present.h (lists) and in run.h (handlers). No lua.h: the proxy knows no
 * Lua, and the policy calls the proxy only through policy_host.h.
 *
 * Everything handed out belongs to the policy and lives as long as it. A policy is freed when its
 * last reference is released; each run under way has one. */
#ifndef LN_SCRIPT_POLICY_H
#define LN_SCRIPT_POLICY_H

#include "script/decls.h"
#include "script/glob.h"
#include "script/policy_host.h"
#include "script/policy_object.h"
#include "script/present.h"
#include "script/run.h"
#include "script/transform.h"

/* --- loading --- */

enum ln_target_kind {
  LN_TARGET_LUA,
  LN_TARGET_JSON,
  LN_TARGET_URL,
  LN_TARGET_COMMAND,
  LN_TARGET_TEXT
};

struct ln_target {
  enum ln_target_kind kind;
  const char *text;        /* file, URL, command, or Lua */
  const char *const *args; /* COMMAND: NULL-terminated. TEXT: what it is called in errors, and a
                              file in whose folder `require` looks too */
};

/* Loads the targets in order into a new Lua state. NULL on failure with *why, a message with
 * file:line, to be freed with free(). The host is copied. One reference, the caller's. Adds to
 * read, unless NULL, every file that was read; on failure also those that were looked for. */
struct ln_policy *ln_policy_load(const struct ln_policy_host *host, const struct ln_target *targets,
                                 size_t n, char **why, struct ln_sources *read);
/* Another policy is in force: stops lunette.every's timers; runs under way go on. */
void ln_policy_retire(struct ln_policy *p);
/* The capability (JSON) that a hook of this policy for this method offers to servers; NULL: there
 * is no such hook. A hook for every method ("*") doesn't count. */
const char *ln_policy_offers(const struct ln_policy *p, struct ln_str method);
/* The host closes, after its sessions: stops timers, cancels runs. */
void ln_policy_end(struct ln_policy *p);
/* The policy whose link in the list ln_policy_host.policies this is. */
struct ln_policy *ln_policy_of_link(struct ln_list *link);
/* Runs under way. */
size_t ln_policy_runs(const struct ln_policy *p);
/* References that C has to its Lua values: a number that only grows shows a leak. */
size_t ln_policy_references(const struct ln_policy *p);
/* Cancels every run of the exchange: their `done` is not called. */
void ln_policy_cancel(struct ln_policy *p, struct ln_exchange *x);
/* Gives a policy that takes over from another what JSON can hold of every ctx.session.state. */
void ln_policy_inherit_states(struct ln_policy *p, struct ln_policy *before);
/* True while runs of other exchanges wait for the end of one of this exchange's. */
bool ln_policy_followed(const struct ln_policy *p, const struct ln_exchange *x);
/* The session has ended: frees its ctx.session.state. */
void ln_policy_session_end(struct ln_policy *p, uint64_t session_key);

/* --- running --- */

/* Starts the handler's coroutine. Any failure of it is an ERROR reply to done. NULL, without done:
 * out of memory for the run. */
struct ln_run *ln_policy_run_hook(struct ln_policy *p, const struct ln_hook_call *call);
/* The same for a transform (counted by the run) of the tool that call->msg calls; call->hook is
 * unused. The call has still to pass the first `left` layers (at least 1). ln_run_left says how
 * many are left for what it forwards; with none left the arguments have the server's names. The
 * tool's name in the message is the caller's to replace. */
struct ln_run *ln_policy_run_transform(struct ln_policy *p, struct ln_transform *t, size_t left,
                                       const struct ln_hook_call *call);
/* Runs the handler of one of the policy's own components for the request msg: tools/call,
 * resources/read or prompts/get. shown: its name for clients, which a rule may have changed
 * (borrowed). done as above, but never from inside this call. NULL as above. */
struct ln_run *ln_policy_run_component(struct ln_policy *p, size_t component, struct ln_str shown,
                                       struct ln_msg *msg, struct ln_exchange *x, ln_reply_fn done,
                                       void *arg);

#endif
