/* A client's session: who the client is (peer.h), the way to it (outbox.h), and what the rooms
 * above have of it. Made by the transport that it came by, which holds one reference, as does each
 * exchange; ended by route/session_end.c. */
#ifndef LN_PROXY_CLIENT_SESSION_H
#define LN_PROXY_CLIENT_SESSION_H

#include "proxy/client/outbox.h"
#include "proxy/client/peer.h"

enum ln_session_state {
  LN_SESSION_NEW,          /* nothing but initialize and ping is served */
  LN_SESSION_INITIALIZING, /* initialize is under way */
  LN_SESSION_INITIALIZED,  /* answered; the client hasn't said notifications/initialized */
  LN_SESSION_OPEN,
  LN_SESSION_GONE,
};

struct ln_pool_slot;
struct ln_view;

struct ln_session {
  struct ln_list link; /* in host->sessions */
  uint32_t refs;
  struct ln_host *host;
  uint64_t key; /* never used again */
  enum ln_session_state state;
  const char *transport;     /* "stdio", "http", "sse", "internal" */
  char id[40];               /* a name for logs and ctx; of Streamable HTTP how its id begins */
  bool restored;             /* its client initialized it in another process */
  struct ln_generation *gen; /* what it is served by; counted */
  struct ln_peer peer;
  struct ln_outbox outbox;
  struct ln_bytes *headers; /* of its last HTTP request; counted, or NULL */
  size_t in_flight;         /* requests of the client under way */
  unsigned stalled;         /* its links whose servers don't keep up */
  uint64_t last_used;       /* loop time */

  /* Its transport's. */
  void *front;
  void (*on_end)(struct ln_session *s, void *front); /* the session is over */
  /* Stop reading from the client, or start again; may be NULL. */
  void (*on_stall)(struct ln_session *s, bool stalled);
  /* A server has let go of the stream of what answers to sink, and will be asked again after that
   * time: the client may do the same. May be NULL. */
  void (*on_parted)(struct ln_session *s, struct ln_sink *sink, uint64_t retry_ms);

  /* Of other files, each written by one. */
  struct ln_bytes *offered;           /* route/server_hello.c: the capabilities that its servers are
                                         offered, the client's plus what the policy handles … */
  struct ln_msg *server_init_request; /* … and the initialize request that they get */
  struct ln_msg *set_level;           /* route/level.c: the last logging/setLevel, for servers that
                                         start later */
  struct ln_list subscriptions;       /* route/subscription.c: struct ln_subscription */
  struct ln_list links;               /* client/pool.c: its own, by owner_link … */
  struct ln_pool_slot *slots;         /* … and one slot a server that it has to do with */
  size_t n_slots;
  struct ln_view *views[LN_KINDS]; /* lists/view_get.c: counted, or NULL */
  struct ln_list exchanges;        /* exchange/: under way, of either side, notifications in a
                                      handler's hands among them */
  size_t n_exchanges;
  struct ln_list tasks; /* names/task.c: struct ln_task_entry, of either side */
  size_t n_tasks;
  struct ln_list elicitations; /* names/elicitation.c: struct ln_elicitation */
};

/* NULL when out of memory, shutting down, or when the host has as many as it may. One reference,
 * the transport's. transport: a constant; id is copied. */
struct ln_session *ln_session_new(struct ln_host *h, const char *transport, const char *id);
struct ln_session *ln_session_ref(struct ln_session *s);
void ln_session_unref(struct ln_session *s); /* NULL is fine */
/* The one with this key, or NULL. Walks through all. */
struct ln_session *ln_session_by_key(struct ln_host *h, uint64_t key);

/* GONE: out of the host's list; nothing is sent to the client any more. */
void ln_session_set_state(struct ln_session *s, enum ln_session_state state);
/* Works by this generation from now on. */
void ln_session_set_generation(struct ln_session *s, struct ln_generation *g);
/* The level of the log that it wants; -1: none. Servers are not told. */
void ln_session_set_level(struct ln_session *s, int level);
/* The headers of a request, for lists that are made on nobody's request. NULL: it has none. */
void ln_session_set_headers(struct ln_session *s, struct ln_bytes *headers);
/* One more request of the client is under way, or one less. */
void ln_session_begin_request(struct ln_session *s);
void ln_session_end_request(struct ln_session *s);
/* One more of its links doesn't keep up, or one less. */
void ln_session_stall(struct ln_session *s, bool stalled);
/* Too much is under way to begin with another notification or server's request. */
bool ln_session_crowded(const struct ln_session *s);

#endif
