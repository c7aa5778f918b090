/* The host: one loop's worth of proxy. Owns the servers, the sessions and the policy in force;
 * everything hangs on it, so that several can run in one process. */
#ifndef LN_PROXY_HOST_H
#define LN_PROXY_HOST_H

#include "base/list.h"
#include "base/map.h"
#include "mcp/method.h"
#include "net/loop.h"
#include "script/policy.h"

struct ln_channel;
struct ln_channel_events;
struct ln_session;
struct ln_server;
struct ln_view;
struct ln_watchdog;

/* A policy and the servers it declared: what is in force between two reloads. Immutable but for the
 * servers' own state; sessions and whatever is under way hold the one they work by. */
struct ln_generation {
  uint32_t refs;
  struct ln_host *host;
  struct ln_policy *policy; /* counted */
  const struct ln_policy_decls *decls;
  struct ln_server **servers; /* in the order declared; counted */
  char **prefixes;            /* of their names, NULL: none; without the separator */
  size_t n_servers;
  bool components[LN_KINDS]; /* the policy has components of its own of this kind */
  struct ln_map told; /* what ln_generation_tell has logged: struct ln_bytes, by topic and text */
};
/* With the servers of the one in force where they are declared as they were. Takes the policy's
 * reference, also when it fails: NULL with *why. One reference, the caller's. */
struct ln_generation *ln_generation_new(struct ln_host *h, struct ln_policy *policy,
                                        const char **why);
struct ln_generation *ln_generation_ref(struct ln_generation *g);
void ln_generation_unref(struct ln_generation *g); /* NULL is fine */
/* Warns in the log, of what is found anew with every list that is made: once while this policy is
 * in force. */
void ln_generation_tell(struct ln_generation *g, const char *topic, const char *fmt, ...)
    LN_PRINTF(3, 4);

struct ln_host {
  struct ln_loop *loop;
  struct ln_log *log;
  struct ln_generation *gen;   /* in force; counted */
  struct ln_settings settings; /* the policy's; the command line waits longer */
  uint64_t reloads;            /* policies that came into force after the first */

  struct ln_fetcher *fetcher;   /* lunette.http's connections; NULL: gone, or no memory for it */
  struct ln_list policies;      /* all that live, those of older generations among them */
  struct ln_shared *shared;     /* lunette.shared: outlives policies; counted */
  struct ln_watchdog *watchdog; /* of the thread that made the host; NULL: none to be had */
  struct ln_list servers;       /* every one that lives, those of older generations among them */

  struct ln_list sessions;
  size_t n_sessions;
  uint64_t next_session_key;
  size_t levels[LN_LEVELS]; /* sessions that have set each level of the log */
  struct ln_list views;     /* of all sessions; a view is shared by those that see the same */

  struct { /* for /metrics */
    uint64_t requests, server_requests, notifications, errors, sessions;
  } count;

  /* Where servers are played (bind/test_harness.h), makes every channel to one; NULL: they are
   * reached as declared. As ln_channel_child, with the server's declaration. */
  struct ln_channel *(*dial)(void *arg, const struct ln_server_conf *conf,
                             const struct ln_channel_events *events, void *owner, const char **why);
  void *dial_arg;

  bool asked_once; /* by a command that says itself which servers failed it */
  bool closing;
  void (*closed)(void *arg);
  void *closed_arg;
};

/* The host has no policy yet: ln_host_start gives it one. */
void ln_host_init(struct ln_host *h, struct ln_loop *loop, struct ln_log *log);
/* What a policy asks of this host (see ln_policy_host). */
struct ln_policy_host ln_host_for_policy(struct ln_host *h);
/* Takes the policy's reference and sets up its servers; connects to none. LN_ENOMEM, or LN_EINVALID
 * with *why (a URL that is none). */
int ln_host_start(struct ln_host *h, struct ln_policy *policy, const char **why) LN_CHECK;
/* Ends all sessions and servers; closed is called from the loop when all have gone. */
void ln_host_close(struct ln_host *h, void (*closed)(void *arg), void *arg);
/* After closed. */
void ln_host_deinit(struct ln_host *h);
/* Requests under way for clients: zero means a drain is complete. */
size_t ln_host_in_flight(const struct ln_host *h);
/* Called by sessions and upstreams when they have gone. */
void ln_host_check_closed(struct ln_host *h);

#endif
