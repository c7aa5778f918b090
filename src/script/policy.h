/* A policy as the proxy sees it: one generation of Lua, loaded whole or not at all. What it
 * declared (servers, hooks, components, settings) is plain data here; what it does (present a list,
 * run a handler) goes through the functions below. No lua.h: the proxy knows no Lua, and
 * the policy knows the proxy only through ln_policy_host.
 *
 * Everything handed out belongs to the policy and lives as long as it. A policy is freed when its
 * last reference goes and no run of it is under way. */
#ifndef LN_SCRIPT_POLICY_H
#define LN_SCRIPT_POLICY_H

#include "base/buf.h"
#include "base/log.h"
#include "base/source.h"
#include "mcp/kind.h"
#include "net/loop.h"
#include "rpc/reply.h"

struct ln_policy;
struct ln_run;
struct ln_fetcher;
struct ln_shared;
struct ln_transform;
struct ln_watchdog;
struct ln_vm;
struct lua_State;

/* --- what a policy declares --- */

enum ln_session_mode { LN_SESSION_CLIENT, LN_SESSION_SHARED, LN_SESSION_REQUEST };
enum ln_upstream_transport { LN_VIA_STDIO, LN_VIA_HTTP, LN_VIA_SSE };
enum ln_prefix_mode { LN_PREFIX_DEFAULT, LN_PREFIX_NEVER, LN_PREFIX_GIVEN };

struct ln_upstream_conf {
  const char *name;
  const char *where; /* file:line that declared it */
  enum ln_upstream_transport transport;
  const char *command;
  const char *const *args; /* NULL-terminated, or NULL */
  const char *const *env;  /* "K=V", NULL-terminated, or NULL */
  const char *cwd;
  const char *url;
  const char *const *headers; /* "Name: value", NULL-terminated, or NULL */
  enum ln_session_mode session;
  enum ln_prefix_mode prefix_mode;
  const char *prefix;  /* LN_PREFIX_GIVEN */
  uint64_t timeout_ms; /* per request; 0: settings.request_timeout */
  bool optional;
};

struct ln_hook {
  const char *where;    /* file:line */
  const char *method;   /* a glob over method names */
  const char *name;     /* globs over presented names (URIs), a line each, or NULL */
  const char *upstream; /* globs over upstreams' names, a line each, or NULL */
  unsigned position;    /* among all rules of the policy, in the order written */
  const char *offer;    /* JSON: the capability that servers are offered for it, or NULL */
};

struct ln_component {
  enum ln_kind kind;
  const char *where;
  struct ln_str key;  /* name, URI or URI template, unescaped */
  struct ln_str json; /* the definition as listed to clients */
};

struct ln_settings {
  uint64_t start_timeout_ms;       /* 2,000 */
  uint64_t request_timeout_ms;     /* 60,000; progress starts it anew … */
  uint64_t max_request_timeout_ms; /* … but no longer than so long altogether: 3,600,000 */
  uint64_t hook_timeout_ms;        /* of a handler's own running time: 1,000 */
  uint64_t watchdog_ms;      /* after that, until what can't be stopped ends the process: 10,000 */
  size_t memory_limit;       /* bytes of Lua's; 0: none. 256 MiB */
  uint64_t drain_timeout_ms; /* 5,000 */
  uint64_t list_max_age_ms;  /* of a list whose changes nobody hears: 10,000 */
  uint64_t session_timeout_ms;  /* an idle HTTP session: 1,800,000 */
  size_t max_message_bytes;     /* 4 MiB */
  unsigned max_depth;           /* 128 */
  unsigned max_sessions;        /* 10,000 */
  unsigned max_in_flight;       /* requests of one session at once: 1,024 */
  unsigned max_connections;     /* 10,000 */
  unsigned page_size;           /* items a list page; 0: everything in one. 1,000 */
  const char *session_key_file; /* NULL: in the user's state folder. The policy's memory */
  const char *const *hosts; /* that clients may call us by, and a NULL; NULL: not set. As above */
};

struct ln_policy_decls {
  const struct ln_upstream_conf *upstreams;
  size_t n_upstreams;
  const struct ln_hook *hooks;
  size_t n_hooks;
  const struct ln_component *components;
  size_t n_components;
  size_t n_rules;    /* on lists, of all kinds */
  size_t n_warnings; /* told in the log while it loaded */
  struct ln_settings settings;
  const struct ln_sources *sources; /* every file that loading read: what a reload watches */
};

/* --- what a policy may ask of the proxy --- */

/* Facts about the exchange a run belongs to. Plain text, or JSON where said. */
enum ln_fact {
  LN_FACT_SESSION_ID,       /* text */
  LN_FACT_TRANSPORT,        /* "stdio", "http", "sse" or "internal" */
  LN_FACT_ERA,              /* "legacy" or "modern" */
  LN_FACT_PROTOCOL_VERSION, /* text */
  LN_FACT_CLIENT,           /* JSON: clientInfo */
  LN_FACT_CAPABILITIES,     /* JSON: the client's */
  LN_FACT_HEADERS,          /* JSON object of the HTTP request, lower-case names; {} elsewhere */
  LN_FACT_UPSTREAM,         /* text: the server a call goes to or a message comes from */
  LN_FACT_NATIVE_NAME,      /* text: the server's own name or URI of what is called */
  LN_FACT_REQUEST_ID,       /* JSON: the id as the peer gave it */
  LN_FACT_DEADLINE,         /* text: milliseconds left, a decimal; absent without one */
};

struct ln_exchange; /* the proxy's: one message under way, with its session */

struct ln_policy_host {
  /* What Lua can ask of C: ln_bind_open. */
  void (*open)(struct lua_State *L, struct ln_vm *vm);
  /* Exchanges are counted: a run holds its own until it ends. */
  void (*exchange_ref)(struct ln_exchange *x);
  void (*exchange_unref)(struct ln_exchange *x);
  /* Fills scratch (or points elsewhere that lives until the next call) and gives the fact; absent
   * when there is none. */
  struct ln_str (*fact)(struct ln_exchange *x, enum ln_fact fact, struct ln_buf *scratch);
  /* A number that is the same for all exchanges of one session and never used again. */
  uint64_t (*session_key)(struct ln_exchange *x);
  /* A request of the policy's own, as the exchange's client would make it (params: JSON, may be
   * absent): goes through the rules and hooks like any other. `tools/list` and the other lists too.
   * reply is called later, never from inside. */
  void (*request)(struct ln_exchange *x, const char *method, struct ln_str params,
                  ln_reply_fn reply, void *arg);
  /* A request to the exchange's client (sampling/createMessage, elicitation/create, roots/list).
   * Gives what unask knows it by; 0: the client isn't asked, and reply tells why. */
  int64_t (*ask_client)(struct ln_exchange *x, const char *method, struct ln_str params,
                        ln_reply_fn reply, void *arg);
  /* Nobody waits for that answer any more: the client is told so, and reply is called with an
   * error. Of one that was answered nothing happens. */
  void (*unask)(struct ln_exchange *x, int64_t id);
  /* A notification to the exchange's client, related to the exchange's request. */
  void (*notify_client)(struct ln_exchange *x, const char *method, struct ln_str params);
  /* JSON array of every component of a kind before any rule, each with its server:
   * [{"upstream":…,"item":{…}}…]. */
  int (*inventory)(void *host, enum ln_kind kind, struct ln_buf *out);
  void (*notify_changed)(void *host, enum ln_kind kind);
  /* upstream:clear() */
  void (*upstream_clear)(void *host, const char *name);
  void *host;
  uint64_t load_ms; /* how long the files may run while they load; 0: 10 s */
  struct ln_loop *loop;
  struct ln_log *log;
  struct ln_fetcher *fetcher;   /* what lunette.http asks (transport/fetch.h); NULL: nothing */
  struct ln_list *policies;     /* where a policy that was loaded is linked in; NULL: nowhere */
  struct ln_shared *shared;     /* what lunette.shared keeps (script/shared.h); NULL: a store of the
                                   policy's own. The policy takes a reference. */
  struct ln_watchdog *watchdog; /* told when Lua is entered and left (script/watchdog.h), or NULL */
};

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
                              file beside which it may `require` */
};

/* Loads the targets in order into one fresh Lua state. NULL on failure with *why, a message with
 * file:line, to be freed with free(). The host is copied. One reference, the caller's. read, unless
 * NULL, is told of every file that was read, also (and then of those it looked for) on failure. */
struct ln_policy *ln_policy_load(const struct ln_policy_host *host, const struct ln_target *targets,
                                 size_t n, char **why, struct ln_sources *read);
struct ln_policy *ln_policy_ref(struct ln_policy *p);
void ln_policy_unref(struct ln_policy *p);
/* Another generation took over: lunette.every's timers stop; what is under way finishes. */
void ln_policy_retire(struct ln_policy *p);
const struct ln_policy_decls *ln_policy_decls(const struct ln_policy *p);
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
/* '*' any run, '?' one character, '[a-z]' and '[!a-z]' sets, '\' escapes. Bytes; linear in
 * practice, never exponential.
 * Several globs, a line each, match what one of them does. */
bool ln_glob_match(const char *glob, struct ln_str s);

/* --- lists --- */

/* A name that an item had until the rule at `until` changed it. */
struct ln_old_name {
  unsigned until;
  struct ln_bytes *name;
};

struct ln_view_item {
  /* in */
  const char *upstream; /* NULL for the policy's own components */
  struct ln_str json;   /* the server's own definition, raw */
  struct ln_str name;   /* as presented before any rule (prefix on), unescaped; for resources and
                           templates the URI (template) */
  /* out, one reference each, the caller's; zeroed on entry */
  bool hidden;
  struct ln_bytes
      *new_name; /* NULL: name stands. Unescaped. The caller splices it into the JSON. */
  struct ln_bytes *new_json;      /* NULL: json stands (but for the name) */
  struct ln_transform *transform; /* what its calls go through; NULL: nothing */
  struct ln_bytes *failed;        /* a rule could not be applied, so the item is hidden: the
                                     message, with file:line */
  struct ln_old_name *old;        /* malloc'ed, NULL when never renamed */
  size_t n_old;
  struct ln_bytes
      *why; /* with explain: a line for each rule that touched it, "FILE:LINE verb detail\n" */
};

/* True when some rule for this kind takes ctx, so that each client has a view of its own. */
bool ln_policy_per_client(const struct ln_policy *p, enum ln_kind kind);
/* False when no function of this policy is ever handed a ctx for a request, so that what only a ctx
 * tells need not be kept. */
bool ln_policy_uses_ctx(const struct ln_policy *p);
/* True when the definitions of this kind matter: there is a rule, or a handler whose `where` looks
 * at what is used. */
bool ln_policy_has_rules(const struct ln_policy *p, enum ln_kind kind);
/* True when a rule could hide a component with this name that no list has shown: hide or only by
 * matching glob, or any rule that decides by code (filter, where). */
bool ln_policy_may_hide(const struct ln_policy *p, enum ln_kind kind, struct ln_str name);
enum {
  LN_PRESENT_EXPLAIN = 1,  /* each item's way through the rules is wanted */
  LN_PRESENT_COMPLETE = 2, /* the items are all that there are: what chose none of them is told, in
                              the log unless explained, once */
  LN_PRESENT_TRIAL = 4     /* for nobody: only as far as the first rule that takes ctx */
};
/* Applies the rules of a kind to items, in their order. x: for whom (NULL: for everybody). A rule
 * that fails (error in a filter, a transform that can't hold) hides the item and logs file:line.
 * how: of the above. LN_ESCRIPT only when the machinery itself failed. */
int ln_policy_present(struct ln_policy *p, enum ln_kind kind, struct ln_view_item *items, size_t n,
                      struct ln_exchange *x, unsigned how) LN_CHECK;
/* What has been told so far of rules and handlers that chose nothing: "FILE:LINE\ttext" lines. One
 * reference, the caller's; NULL when it can't be had. */
struct ln_bytes *ln_policy_unmatched(struct ln_policy *p);
void ln_view_item_deinit(struct ln_view_item *item); /* the out members */

/* The way of one tool's calls through the policy's transforms: arguments from the names presented
 * to the server's own, constants and defaults, `call` functions. Counted; must not outlive the
 * policy. */
struct ln_transform *ln_transform_ref(struct ln_transform *t);
void ln_transform_unref(struct ln_transform *t); /* NULL is fine */
/* How many layers it has: a call passes them from the last to the first. */
size_t ln_transform_layers(const struct ln_transform *t);

/* --- running --- */

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
/* Starts the handler's coroutine. Whatever it does wrong ends as an ERROR reply to done. NULL, and
 * no done, only when there is no memory for the run itself; so too for components. */
struct ln_run *ln_policy_run_hook(struct ln_policy *p, const struct ln_hook_call *call);
/* The same for a transform (which the run counts) of the tool that call->msg calls, of whose layers
 * the call has still to pass the first `left` (at least 1); hook is not looked at. The tool's own
 * name is left to the caller. Of what it forwards ln_run_left tells how many are left then; with
 * none it has the server's names for arguments. */
struct ln_run *ln_policy_run_transform(struct ln_policy *p, struct ln_transform *t, size_t left,
                                       const struct ln_hook_call *call);
size_t ln_run_left(const struct ln_run *run); /* 0 for a hook's */
/* Takes the reference. Unknown or stale tokens are ignored. */
void ln_run_answer(struct ln_run *run, uint64_t token, struct ln_msg *reply);

/* Runs the handler of one of the policy's own components: tools/call, resources/read (params: the
 * template's variables for a template), prompts/get. shown: what clients call it (borrowed), which
 * a rule may have changed. msg is the request. done as above; not from inside. */
struct ln_run *ln_policy_run_component(struct ln_policy *p, size_t component, struct ln_str shown,
                                       struct ln_msg *msg, struct ln_exchange *x, ln_reply_fn done,
                                       void *arg);

#endif
