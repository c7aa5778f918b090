/* A host whose servers, clients and rooms above are played, for the specs of proxy/server,
 * proxy/client and proxy/exchange: channels, sinks and ln_link_events that write down what they are
 * told. Everything is driven by the spec through LuaJIT's FFI; what happens shows as lines:
 *
 *     dial N NAME                     channel N was asked for (N counts from 1)
 *     N> request TAG TEXT             sent on it; so too initialize, notification, response
 *     N> initialized VERSION, N> abandon TAG, N> pause, N> resume, N> close
 *     N: WORD                         told upward of the link on channel N: its ln_link_events
 *     reply N TEXT                    a reply function that was given N
 *     sink N TEXT, sink N final TEXT, sink N gives up, sink N is freed
 *     watcher N ready, watcher N gone: WHY
 *     ID clogged, ID flows, ID stalled, ID started, ID ends (of a session or an outbox)
 *     native N TEXT, child N METHOD   what handlers left, and what they asked for themselves
 *
 * rig_upon has something done from inside one of these, where a peer or a caller would do it. */
#ifndef SPEC_PROXY_LINK_DRIVER_H
#define SPEC_PROXY_LINK_DRIVER_H

#include <stdio.h>
#include <stdlib.h>

#include "proxy/client/pool.h"
#include "proxy/exchange/hooks.h"

enum { MOST = 64 };

struct played {
  struct ln_channel c; /* first: it is one */
  int n, rc;           /* rc: of the next send */
  bool closing;
};

struct watching {
  struct ln_watcher w;
  int n;
};

struct upon {
  char line[256];
  void (*fn)(void *a, const void *b);
  void *a;
  const void *b;
};

struct rig {
  struct ln_host host;
  struct ln_loop *loop;
  struct ln_log log;
  int log_fd;
  struct ln_buf account;
  size_t messages, blocks; /* that were there before */
  bool closed;
  struct upon upon[MOST];
  int n_upon;
  struct ln_session *sessions[MOST];
  int n_sessions;
  struct ln_server *servers[MOST];
  int n_servers;

  /* link_driver_server.c */
  const char *no_dial; /* why no channel can be made; NULL: it can */
  bool client_ready;   /* what ln_link_events.initialized says */
  int initialized_rc;
  bool tell_use;               /* links' first uses are told, too */
  bool no_init_request, heard; /* heard: calls that nobody waits for are heard by somebody else */
  struct played *channels[MOST];
  int n_channels;
  int fakes_live;
  char fakes[MOST]; /* exchanges of calls, where none is followed */

  /* link_driver_client.c */
  int n_sinks, sinks_live;
  struct watching watching[MOST];
  struct {
    ln_reply_fn done;
    void *arg;
  } native[MOST];
  int n_native;
  struct ln_exchange *children[MOST];
  int n_children;
};

/* Replies and what a policy asks bring no rig along: one at a time. */
extern struct rig *rig_the;

void rig_tell(const char *fmt, ...) LN_PRINTF(1, 2);
void rig_closed(struct rig *r, int n, int err, const char *why);

/* link_driver_server.c */
extern const struct ln_link_events rig_link_events;
struct ln_channel *rig_dial(void *arg, const struct ln_server_conf *conf,
                            const struct ln_channel_events *events, void *owner, const char **why);
/* link_driver_client.c: ln_policy_host.request */
void rig_request(struct ln_exchange *x, const char *method, struct ln_str params, ln_reply_fn reply,
                 void *arg);

#endif
