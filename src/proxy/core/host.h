/* The host: one loop's worth of proxy. Servers, sessions and the policy in force hang on it, and
 * nothing is global, so that several can run in one process. The ground that all other rooms of the
 * proxy stand on: it knows of theirs only pointers. */
#ifndef LN_PROXY_CORE_HOST_H
#define LN_PROXY_CORE_HOST_H

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
  struct ln_settings settings; /* the policy's; the command line waits longer */
  uint64_t reloads;            /* policies that came into force after the first */

  struct ln_fetcher *fetcher;   /* lunette.http's connections; NULL: gone, or no memory for it */
  struct ln_list policies;      /* all that live, those of older generations among them */
  struct ln_shared *shared;     /* lunette.shared: outlives policies; counted */
  struct ln_watchdog *watchdog; /* of the thread that made the host; NULL: none to be had */
  struct ln_list servers;       /* struct ln_server: all that live, older generations' among them */

  struct ln_list sessions; /* struct ln_session */
  size_t n_sessions;
  uint64_t next_serial;     /* of sessions, links and indexes: each is given once */
  size_t levels[LN_LEVELS]; /* sessions that have set each level of the log */
  size_t in_flight;         /* requests under way for clients */
  struct ln_list views;     /* struct ln_view: of all sessions that see the same */

  struct { /* for /metrics */
    uint64_t requests, server_requests, notifications, errors, sessions;
  } count;

  /* What links tell, and what lists do: given by the rooms above before anything is served. */
  const struct ln_link_events *link_events;
  /* A server's list of a kind has changed, and the session, which has no link with it, couldn't
   * hear. */
  void (*list_changed)(struct ln_session *s, struct ln_server *server, enum ln_kind kind);

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

/* The host has no policy yet: ln_host_start (serve/host_life.h) gives it one. */
void ln_host_init(struct ln_host *h, struct ln_loop *loop, struct ln_log *log);
/* After closed. */
void ln_host_deinit(struct ln_host *h);
/* A session, a server or what it fetches by has gone: when it closes and that was the last, closed
 * is called. */
void ln_host_check_closed(struct ln_host *h);

#endif
