/* A client's session: what is known of the client (peer.h), messages to it (outbox.h), and what the
 * rooms above keep for it. Made by the client's transport, which holds one reference, as does each
 * exchange; ended by route/session_end.c. */
#ifndef LN_PROXY_CLIENT_SESSION_H
#define LN_PROXY_CLIENT_SESSION_H

#include "proxy/client/outbox.h"
#include "proxy/client/peer.h"

enum ln_session_state {
  LN_SESSION_NEW,          /* only initialize and ping are served */
  LN_SESSION_INITIALIZING, /* initialize is under way */
  LN_SESSION_INITIALIZED,  /* it was answered; notifications/initialized hasn't come */
  LN_SESSION_OPEN,
  LN_SESSION_GONE,
};

struct ln_pool_slot;
struct ln_view;

struct ln_session {
  struct ln_list link; /* in host->sessions */
  uint32_t refs;
  enum ln_session_state state;
  struct ln_host *host;
  uint64_t key;          /* never used again */
  const char *transport; /* "stdio", "http", "sse", "internal" */
  char id[40];           /* for logs and ctx; over HTTP made of the client's id, which is secret */
  struct ln_generation *gen; /* counted: new exchanges begin under it */
  struct ln_peer peer;
  struct ln_outbox outbox;
  struct ln_bytes *headers;   /* of its last HTTP request; counted, or NULL */
  size_t in_flight;           /* requests of the client under way */
  uint64_t last_used;         /* loop time */
  unsigned stalled;           /* its links whose servers don't keep up */
  bool used;                  /* it has asked for more than initialize and ping */
  bool restored;              /* its client sent initialize to another process (http/restore.h) */
  struct ln_account *account; /* of its peer; counted. NULL: nobody else can be its peer, and it is
                                 never told to go */
  struct ln_account *purse;   /* the part of that which it holds itself; counted, or NULL */
  struct ln_holding holding;
  bool leaving;   /* it was told to go, to make room, and ends soon */
  bool uncounted; /* its peer's account counts it no more */
  struct ln_task leave;

  /* Set by its transport. */
  void *front;
  void (*on_end)(struct ln_session *s, void *front); /* the session is over */
  /* Stop reading from the client, or start again; may be NULL. */
  void (*on_stall)(struct ln_session *s, bool stalled);
  /* The server closed the stream of the request whose response goes to sink, and will be polled
   * after that time (2025-11-25, "Sending Messages to the Server"): the client may be told to do
   * the same. May be NULL. */
  void (*on_disconnected)(struct ln_session *s, struct ln_sink *sink, uint64_t retry_ms);

  /* Each written by the one file that is named. */
  struct ln_msg *server_init_request; /* route/init_request.c: the initialize request that its
                                         servers get: the client's, with the capabilities that the
                                         policy handles besides */
  struct ln_msg *set_level;           /* route/level.c: the last logging/setLevel, for servers that
                                         start later */
  struct ln_list subscriptions;       /* route/subscription.c: struct ln_subscription */
  struct ln_list links;               /* client/pool.c: its own, by owner_link … */
  struct ln_pool_slot *slots;         /* … and a slot for each server that it uses */
  size_t n_slots;
  struct ln_view *views[LN_KINDS]; /* lists/view.c: counted, or NULL; what it was shown last … */
  struct ln_list variants[LN_KINDS]; /* … and for requests with other headers, struct ln_view */
  struct ln_list exchanges;          /* exchange/: under way, the client's and servers', also of
                                        notifications */
  size_t n_exchanges;
  struct ln_list tasks; /* names/task.c: struct ln_task_entry, the client's and servers' */
  size_t n_tasks;
  struct ln_list elicitations; /* names/elicitation.c: struct ln_elicitation */
};

/* One reference, the transport's. transport: a constant; id is copied; account: of its peer, or
 * NULL. NULL: out of memory, shutting down, or there is no room: the host has max_sessions, and no
 * other peer holds more of them, or the peer has max_sessions_per_peer. */
struct ln_session *ln_session_new(struct ln_host *h, const char *transport, const char *id,
                                  struct ln_account *account);
struct ln_session *ln_session_ref(struct ln_session *s);
void ln_session_unref(struct ln_session *s); /* NULL is fine */
/* The session with this key, or NULL. Walks through all. */
struct ln_session *ln_session_by_key(struct ln_host *h, uint64_t key);

/* GONE: out of the host's list; nothing is sent to the client any more. */
void ln_session_set_state(struct ln_session *s, enum ln_session_state state);
/* New exchanges begin under this generation. */
void ln_session_set_generation(struct ln_session *s, struct ln_generation *g);
/* Sets its log level; -1: none. Servers are not told. */
void ln_session_set_level(struct ln_session *s, int level);
/* Keeps the headers of its last request, for lists that are made without one. NULL: none. */
void ln_session_set_headers(struct ln_session *s, struct ln_bytes *headers);
/* A message of its client came; asked: it asks for something, which is use. */
void ln_session_touch(struct ln_session *s, bool asked);
/* Out of its peer's account. */
void ln_session_uncount(struct ln_session *s);
/* One more request of the client is under way, or one less. */
void ln_session_begin_request(struct ln_session *s);
void ln_session_end_request(struct ln_session *s);
/* One of its links doesn't keep up, or (false) does again. */
void ln_session_stall(struct ln_session *s, bool stalled);
/* Too much is under way for another notification, or a server's request. */
bool ln_session_crowded(const struct ln_session *s);

#endif
