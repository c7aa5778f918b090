/* The functions of the proxy that a policy can call: all that script/ knows of the proxy. */
#ifndef LN_SCRIPT_POLICY_HOST_H
#define LN_SCRIPT_POLICY_HOST_H

#include "base/buf.h"
#include "base/log.h"
#include "mcp/kind.h"
#include "net/loop.h"
#include "rpc/reply.h"

struct ln_fetcher;
struct ln_shared;
struct ln_vm;
struct ln_watchdog;
struct lua_State;

/* Facts about the exchange of a run. */
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
  LN_FACT_REQUEST_ID,       /* JSON: the id as its sender gave it */
  LN_FACT_FROM,             /* "client" or "server": who sent the message */
  LN_FACT_DEADLINE,         /* text: milliseconds left, a decimal; absent without one */
  LN_FACT_STRUCTURED,       /* text: the tool that the client calls, when its lists say that its
                               results have a schema */
};

struct ln_exchange; /* the proxy's: one message under way, with its session */

struct ln_policy_host {
  /* Makes the module "lunette.core" (ln_core_open). */
  void (*open)(struct lua_State *L, struct ln_vm *vm);
  /* Exchanges are counted: a run holds its own until it ends. */
  void (*exchange_ref)(struct ln_exchange *x);
  void (*exchange_unref)(struct ln_exchange *x);
  /* A fact; absent when there is none. In scratch, or in other memory that is valid until the next
   * call. */
  struct ln_str (*fact)(struct ln_exchange *x, enum ln_fact fact, struct ln_buf *scratch);
  /* A number that all exchanges of one session have, and those of no other. */
  uint64_t (*session_key)(struct ln_exchange *x);
  /* A request of the policy's own, as the exchange's client would make it (params: JSON, may be
   * absent): goes through rules and handlers like any other. reply is called later; from inside
   * only when out of memory. */
  void (*request)(struct ln_exchange *x, const char *method, struct ln_str params,
                  ln_reply_fn reply, void *arg);
  /* A request to the exchange's client (sampling/createMessage, elicitation/create, roots/list).
   * Returns an id for cancel_ask; 0: the client isn't asked, and reply gets an error. */
  int64_t (*ask_client)(struct ln_exchange *x, const char *method, struct ln_str params,
                        ln_reply_fn reply, void *arg);
  /* Cancels such a request: the client gets notifications/cancelled, and reply an error. Does
   * nothing when it was answered. */
  void (*cancel_ask)(struct ln_exchange *x, int64_t id);
  /* Nobody waits any more for the end of a run of this exchange: where its own client has given it
   * up before, it may end. */
  void (*deserted)(struct ln_exchange *x);
  /* A notification to the exchange's client, related to the exchange's request. */
  void (*notify_client)(struct ln_exchange *x, const char *method, struct ln_str params);
  /* JSON array of every component of a kind before any rule, each with its server:
   * [{"upstream":…,"item":{…}}…]. */
  int (*inventory)(void *host, enum ln_kind kind, struct ln_buf *out);
  void (*notify_changed)(void *host, enum ln_kind kind);
  /* upstream:clear() */
  void (*server_clear)(void *host, const char *name);
  void *host;
  uint64_t load_ms; /* the limit on the files' running time while they load; 0: 10 s */
  struct ln_loop *loop;
  struct ln_log *log;
  struct ln_fetcher *fetcher; /* for lunette.http (transport/fetch.h); NULL: it always fails */
  struct ln_list *policies;   /* that loaded policies are linked in, or NULL */
  struct ln_shared *shared;   /* for lunette.shared (script/shared.h); NULL: a store of the policy's
                                 own. The policy takes a reference. */
  struct ln_watchdog *watchdog; /* told when Lua is entered and left (script/watchdog.h), or NULL */
};

#endif
