/* One MCP session with a server. It is opened when first needed; calls made before it is ready wait
 * in it. When its channel closes it is gone: its calls are answered with what happened, and the
 * next need opens another, after a pause that grows while the server keeps failing.
 *
 * It belongs to a client's session, or to all of them, or to nobody. What it means for clients is
 * told upward through ln_link_events. */
#ifndef LN_PROXY_SERVER_LINK_H
#define LN_PROXY_SERVER_LINK_H

#include "mcp/kind.h"
#include "proxy/server/call.h"
#include "proxy/server/events.h"

struct ln_index;
struct ln_session;

enum ln_link_state {
  LN_LINK_CONNECTING,
  LN_LINK_INITIALIZING, /* initialize is under way */
  LN_LINK_READY,        /* it was answered */
  LN_LINK_OPEN,         /* notifications/initialized has been sent: calls go out */
  LN_LINK_CLOSING
};

/* What it was opened for. */
enum ln_link_use {
  LN_LINK_LASTING,     /* as long as its owner; or shared, as long as the server is declared */
  LN_LINK_SINGLE,      /* one call: closed after it */
  LN_LINK_SINGLE_TASK, /* one call that is to become a task: closed after that */
  LN_LINK_PROBE        /* to see whether the server is there again, and for nothing else */
};

#define LN_LINK_MANY UINT64_MAX

struct ln_link {
  struct ln_list link;       /* in server->links until closed */
  uint64_t serial;           /* never used again: for who must know a link that may have gone */
  struct ln_server *server;  /* counted */
  struct ln_session *owner;  /* NULL: shared, a probe, or closing. Its session ends it. Not followed
                                here */
  struct ln_list owner_link; /* in owner->links */
  enum ln_link_state state;
  enum ln_link_use use;
  bool served;   /* it has answered something beyond initialize */
  bool again;    /* it follows one that ended by itself */
  bool leaving;  /* out of sight: closed when what is under way in it has ended */
  bool paused;   /* we don't read from it */
  bool stalled;  /* it doesn't read what we send */
  uint64_t user; /* the key of the only session that has used it; 0: none, LN_LINK_MANY: several, so
                    that what it says may be about any */
  struct ln_log_ration ration; /* of what it sends that is no message, or nobody can take */
  uint64_t opened_at;          /* loop time */
  struct ln_calls calls;
  struct ln_call *init_call;  /* while it is INITIALIZING */
  struct ln_str capabilities; /* the server's, from READY on: a slice of init_reply */
  struct ln_msg *init_reply;  /* counted; NULL before */
  struct ln_list watchers;    /* struct ln_watcher: told when it is ready or dead */

  /* Of rooms above, each written by one file there. */
  struct ln_index *index;       /* lists/index.c: what it was found to list; counted */
  struct ln_list asks;          /* exchange/: the server's own requests */
  struct ln_list tasks;         /* names/task.c: struct ln_task_entry, by in_link */
  bool changing[LN_KINDS];      /* route/list_changed.c: a changed list is being fetched … */
  bool changed_again[LN_KINDS]; /* … and has changed again */
};

static inline struct ln_link *ln_link_of(struct ln_calls *c) {
  return LN_CONTAINER(c, struct ln_link, calls);
}
static inline bool ln_link_ready(const struct ln_link *link) {
  return link->state == LN_LINK_READY || link->state == LN_LINK_OPEN;
}
/* More than one session has used it. */
static inline bool ln_link_mixed(const struct ln_link *link) {
  return link->user == LN_LINK_MANY;
}

/* Opens one. owner: whose it will be, NULL: nobody's. NULL with *why (until the next call) when it
 * can't be had now: shutting down, the server is down and not to be tried again yet, no memory, no
 * such command. */
struct ln_link *ln_link_open(struct ln_server *server, struct ln_session *owner,
                             enum ln_link_use use, const char **why);
/* The one that all clients share, opened when there is none. */
struct ln_link *ln_link_shared(struct ln_server *server, const char **why);
/* Starts a server that is down once more, for nobody, if it is time to: what becomes of it shows in
 * its health, and clients that did without it hear that lists have changed. */
void ln_link_probe(struct ln_server *server);
/* Ends it; what is under way fails with why. */
void ln_link_close(struct ln_link *link, const char *why);
/* Ends it when nothing is under way in it and there is no reason for it to stay. */
void ln_link_close_if_idle(struct ln_link *link);
/* Out of its owner's and everybody's sight: nothing new comes to it, and it is closed when what is
 * under way has ended. */
void ln_link_leave(struct ln_link *link);
/* The server is no longer declared: its idle links end now, the others after what they have under
 * way. */
void ln_link_retire_all(struct ln_server *server);
/* Some link with it has been starting for longer than clients are made to wait. */
bool ln_link_late(const struct ln_server *server);
/* Calls are under way or waiting in it. */
bool ln_link_busy(const struct ln_link *link);

/* Calls fn once the link is ready (true) or has gone (false), from the loop or at once. w stays the
 * caller's: watching ends by being called or by ln_link_unwatch. */
struct ln_watcher {
  struct ln_list link;
  void (*fn)(struct ln_watcher *w, struct ln_link *link, bool ready, const char *why);
};
void ln_link_watch(struct ln_link *link, struct ln_watcher *w);
void ln_link_unwatch(struct ln_watcher *w);

/* A call, sent now or when the link is open. NULL when out of memory (nothing is called). */
struct ln_call *ln_link_call(struct ln_link *link, const struct ln_call_request *request);
/* One of Lunette's own, as it stands; reply is called exactly once, from the loop or at once. */
struct ln_call *ln_link_request(struct ln_link *link, struct ln_msg *msg, ln_reply_fn reply,
                                void *arg);
/* A call of another link is sent in this one instead. */
void ln_link_adopt(struct ln_link *link, struct ln_call *call);
/* A notification, or a response under its own id. Lost when the link is not ready. */
void ln_link_notify(struct ln_link *link, struct ln_msg *msg);
void ln_link_respond(struct ln_link *link, struct ln_str id, struct ln_msg *reply);
/* Its client is ready: notifications/initialized goes out (the client's own, or NULL for one of
 * ours), and what waited. Does nothing before READY or a second time. */
void ln_link_client_initialized(struct ln_link *link, struct ln_msg *initialized);
/* Back-pressure: stops or starts reading from the server. */
void ln_link_pause(struct ln_link *link, bool pause);

#endif
