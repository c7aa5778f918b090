/* A policy as the proxy sees it: one generation of Lua, loaded whole or not at all. What it
 * declared (servers, hooks, components, settings) is plain data (decls.h); what it does goes
 * through the functions here, in present.h (lists) and in run.h (handlers). No lua.h: the proxy
 * knows no Lua, and the policy knows the proxy only through policy_host.h.
 *
 * Everything handed out belongs to the policy and lives as long as it. A policy is freed when its
 * last reference goes and no run of it is under way. */
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

/* Loads the targets in order into one fresh Lua state. NULL on failure with *why, a message with
 * file:line, to be freed with free(). The host is copied. One reference, the caller's. read, unless
 * NULL, is told of every file that was read, also (and then of those it looked for) on failure. */
struct ln_policy *ln_policy_load(const struct ln_policy_host *host, const struct ln_target *targets,
                                 size_t n, char **why, struct ln_sources *read);
/* Another generation took over: lunette.every's timers stop; what is under way finishes. */
void ln_policy_retire(struct ln_policy *p);
/* True when a hook of this policy is meant for the method: what decides which capabilities are
 * offered upstream. One for every method ("*") is about what there is anyway and adds nothing. */
bool ln_policy_handles(const struct ln_policy *p, struct ln_str method);
/* The capability (JSON) to be offered upstream for such a hook; NULL without one. */
const char *ln_policy_offers(const struct ln_policy *p, struct ln_str method);
/* The host ends, its sessions have: timers stop, and what still runs is cancelled. */
void ln_policy_end(struct ln_policy *p);
/* The policy whose link in ln_policy_host.policies this is. */
struct ln_policy *ln_policy_of_link(struct ln_list *link);
/* Runs under way. */
size_t ln_policy_runs(const struct ln_policy *p);
/* What C holds of its Lua values: goes up and down with what is under way and what is kept of
 * lists, and never just up. */
size_t ln_policy_references(const struct ln_policy *p);
/* Cancels every run of the exchange: their `done` is not called any more. */
void ln_policy_cancel(struct ln_policy *p, struct ln_exchange *x);
/* The session is over: its ctx.session.state may go. */
void ln_policy_session_end(struct ln_policy *p, uint64_t session_key);

/* --- running --- */

/* Starts the handler's coroutine. Whatever it does wrong ends as an ERROR reply to done. NULL, and
 * no done, only when there is no memory for the run itself; so too for components. */
struct ln_run *ln_policy_run_hook(struct ln_policy *p, const struct ln_hook_call *call);
/* The same for a transform (which the run counts) of the tool that call->msg calls, of whose layers
 * the call has still to pass the first `left` (at least 1); hook is not looked at. The tool's own
 * name is left to the caller. Of what it forwards ln_run_left tells how many are left then; with
 * none it has the server's names for arguments. */
struct ln_run *ln_policy_run_transform(struct ln_policy *p, struct ln_transform *t, size_t left,
                                       const struct ln_hook_call *call);
/* Runs the handler of one of the policy's own components: tools/call, resources/read (params: the
 * template's variables for a template), prompts/get. shown: what clients call it (borrowed), which
 * a rule may have changed. msg is the request. done as above; not from inside. */
struct ln_run *ln_policy_run_component(struct ln_policy *p, size_t component, struct ln_str shown,
                                       struct ln_msg *msg, struct ln_exchange *x, ln_reply_fn done,
                                       void *arg);

#endif
