/* What a policy declared: servers, handlers, components, settings, as plain data. All of it belongs
 * to the policy, never changes, and lives as long as the policy. */
#ifndef LN_SCRIPT_DECLS_H
#define LN_SCRIPT_DECLS_H

#include "base/source.h"
#include "mcp/kind.h"

enum ln_sharing { LN_SHARING_CLIENT, LN_SHARING_SHARED, LN_SHARING_REQUEST };
enum ln_server_transport { LN_VIA_STDIO, LN_VIA_HTTP, LN_VIA_SSE };
enum ln_prefix_mode { LN_PREFIX_DEFAULT, LN_PREFIX_NEVER, LN_PREFIX_GIVEN };

struct ln_server_conf {
  const char *name;
  const char *where; /* file:line that declared it */
  enum ln_server_transport transport;
  const char *command;
  const char *const *args; /* NULL-terminated, or NULL */
  const char *const *env;  /* "K=V", NULL-terminated, or NULL */
  const char *inherit;     /* globs: the variables that its child inherits, a line each, or NULL */
  const char *cwd;
  const char *url;
  const char *const *headers; /* "Name: value", NULL-terminated, or NULL */
  enum ln_sharing session;
  enum ln_prefix_mode prefix_mode;
  const char *prefix;    /* LN_PREFIX_GIVEN */
  uint64_t timeout_ms;   /* per request; 0: settings.request_timeout */
  unsigned max_children; /* 64 */
  bool optional;
  bool unlisted;    /* names that no list shows are passed to it */
  bool eager;       /* started with Lunette, else with the first client that needs it */
  uint64_t idle_ms; /* its sessions end after so long without an answer; 0: never */
  bool lists_own;   /* clients share neither its lists nor its answer to initialize */
};

struct ln_hook {
  const char *where;  /* file:line */
  const char *method; /* a glob over method names */
  const char *name;   /* globs over presented names (URIs), a line each, or NULL */
  const char *server; /* globs over upstreams' names, a line each, or NULL */
  unsigned position;  /* among all rules of the policy, in the order written */
  const char *offer;  /* JSON: the capability that servers are offered for it, or NULL */
  bool last;          /* it stands before the server, behind all others and transforms */
};

struct ln_component {
  enum ln_kind kind;
  const char *where;
  struct ln_str key;  /* name, URI or URI template, unescaped */
  struct ln_str json; /* the definition as listed to clients */
};

struct ln_settings {
  uint64_t start_timeout_ms;       /* 2,000 */
  uint64_t late_timeout_ms;        /* 30,000 */
  uint64_t request_timeout_ms;     /* 60,000; progress restarts it … */
  uint64_t max_request_timeout_ms; /* … but no longer than so long altogether: 3,600,000 */
  uint64_t hook_timeout_ms;        /* of a handler's own running time: 1,000 */
  uint64_t watchdog_ms;            /* after that, until the watchdog ends the process: 10,000 */
  size_t memory_limit;             /* bytes of Lua's; 0: none. 256 MiB */
  uint64_t drain_timeout_ms;       /* 5,000 */
  uint64_t list_max_age_ms;        /* of a list of a server that announces no changes: 10,000 */
  uint64_t session_timeout_ms;     /* an idle HTTP session: 1,800,000 */
  size_t max_message_bytes;        /* 4 MiB */
  size_t max_uri_bytes;            /* 8 KiB */
  size_t max_buffered_bytes;       /* that are kept for all peers of HTTP together: 256 MiB */
  size_t max_initialize_bytes;     /* 64 KiB */
  unsigned max_depth;              /* 128 */
  unsigned max_sessions;           /* 10,000 … */
  unsigned max_sessions_per_peer;  /* … of which one peer of HTTP has 1,000 */
  uint64_t unused_session_ms;      /* until one that has asked nothing may be replaced: 60,000 */
  unsigned max_in_flight;          /* requests of one session at once: 1,024 */
  unsigned max_children;           /* of all servers together: 256 */
  unsigned max_connections;        /* 10,000 */
  unsigned max_templates;          /* of resources, of one server: 1,000 */
  unsigned page_size;              /* items a list page; 0: everything in one. 1,000 */
  bool show_stderr;             /* clients are told what servers say beside the protocol: false */
  const char *session_key_file; /* NULL: in the user's state folder. The policy's memory */
  const char *const *hosts;   /* that clients may call us by, and a NULL; NULL: not set. As above */
  const char *const *origins; /* of pages that may be clients, likewise */
  const char *const *trusted_proxies; /* networks, likewise */
};

struct ln_policy_decls {
  const struct ln_server_conf *servers;
  size_t n_servers;
  const struct ln_hook *hooks;
  size_t n_hooks;
  const struct ln_component *components;
  size_t n_components;
  size_t n_rules;    /* on lists, of all kinds */
  size_t n_warnings; /* told in the log while it loaded */
  struct ln_settings settings;
  const struct ln_sources *sources; /* every file that loading read: what a reload watches */
};

#endif
