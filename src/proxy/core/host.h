/* The host: one proxy on one loop. It owns servers, sessions and the policy in force; nothing is
 * global, so that several hosts can run in one process. All other rooms of the proxy include it; of
 * their structs it has only pointers. */
#ifndef LN_PROXY_CORE_HOST_H
#define LN_PROXY_CORE_HOST_H

#include "base/account.h"
#include "base/list.h"
#include "mcp/method.h"
#include "net/loop.h"
#include "script/policy.h"

struct ln_channel;
struct ln_channel_events;
struct ln_generation;
struct ln_link_events;
struct ln_server;
struct ln_session;
struct ln_watchdog;

struct ln_host {
  struct ln_loop *loop;
  struct ln_log *log;
  struct ln_generation *gen;   /* in force; counted */
  struct ln_settings settings; /* the policy's; start_timeout is longer for the command line */
  uint64_t reloads;            /* policies that came into force after the first */

  struct ln_fetcher *fetcher; /* lunette.http's connections; NULL: closed, or out of memory */
  struct ln_list policies;    /* all that are not freed, of older generations too */
  struct ln_shared *shared;   /* lunette.shared: outlives policies; counted */
  struct ln_watchdog
      *watchdog;          /* of the thread that made the host; NULL: it could not be started */
  struct ln_list servers; /* struct ln_server: all not freed, of older generations too */

  struct ln_list sessions; /* struct ln_session */
  size_t n_sessions;
  struct ln_ledger ledger;  /* what each peer of HTTP holds of what is short */
  uint64_t next_serial;     /* the last that a session, server or link got; none is given twice */
  size_t levels[LN_LEVELS]; /* sessions that have set each level of the log */
  size_t in_flight;         /* requests under way for clients */
  bool forgot_tasks;        /* servers may have tasks that no session is known to have begun */
  struct ln_list views;     /* struct ln_view: those that several sessions may share … */
  struct ln_list variants; /* … and those that a session isn't shown just now, the oldest first … */
  size_t kept;             /* … and what those cost; lists/view.c */

  struct { /* for /metrics */
    uint64_t requests, server_requests, notifications, errors, sessions;
  } count;

  /* Callbacks into rooms above, set before anything is served. */
  const struct ln_link_events *link_events;
  /* A server's list of this kind has changed, and the session got no notification from it, since it
   * has no link with it now. */
  void (*list_changed)(struct ln_session *s, struct ln_server *server, enum ln_kind kind);

  /* Ends a session. Not from inside a sink. */
  void (*end_session)(struct ln_session *s);

  /* For `lunette test` (bind/test_harness.h): makes the channel to a server, as ln_channel_child
   * does, in place of the declared transport. NULL: the declared one. */
  struct ln_channel *(*dial)(void *arg, const struct ln_server_conf *conf,
                             const struct ln_channel_events *events, void *owner, const char **why);
  void *dial_arg;

  bool asked_once; /* a command runs one request, and reports failed servers itself
                    */
  bool closing;
  void (*closed)(void *arg);
  void *closed_arg;
};

/* A host without a policy: ln_host_life_start (serve/host_life.h) gives it one. */
void ln_host_init(struct ln_host *h, struct ln_loop *loop, struct ln_log *log);
/* Its policy's settings take effect. */
void ln_host_set_settings(struct ln_host *h, const struct ln_settings *settings);
/* After closed. */
void ln_host_deinit(struct ln_host *h);
/* Called when a session, a server or the fetcher is gone: calls closed when the host is closing and
 * none is left. */
void ln_host_check_closed(struct ln_host *h);

#endif
