/* A server as configured (upstream), one MCP session with it (link), and one request under
 * way in that (call).
 *
 * A link belongs to a client's session, or to all of them (shared). It is opened when first
 * needed; requests made before it is ready wait in it. When its channel closes it is gone: its
 * requests are answered with what happened, and the next need opens another, after a pause
 * that grows while the server keeps failing. */
#ifndef LN_PROXY_UPSTREAM_H
#define LN_PROXY_UPSTREAM_H

#include "proxy/session.h"
#include "transport/channel.h"

/* By what became of the last start of it, for it is started when it is needed: one that worked and
 * has ended is no worse than one that was never asked for. */
enum ln_server_health {
  LN_SERVER_UNKNOWN,
  LN_SERVER_UP,
  LN_SERVER_DOWN,   /* it could not be started, or ended before it did anything */
  LN_SERVER_STOPPED /* it ended by itself, after it had worked */
};

struct ln_server {
  struct ln_list link; /* in host->upstreams */
  uint32_t refs;       /* generations, sessions' bonds and upstream sessions */
  struct ln_host *host;
  struct ln_server_conf *conf; /* a copy: it outlives the policy that declared it */
  struct ln_child_conf child;
  struct ln_http_conf http;
  struct ln_http_pool *pool; /* HTTP only */
  struct ln_list links;
  struct ln_link *shared; /* the one, in shared mode … */
  struct ln_share *share; /* … and what it has been told (share.h); NULL: nothing */
  struct ln_list indexes; /* indexed by the capabilities they were seen with */
  enum ln_server_health health;
  char last_error[LN_WHY_MAX];
  uint64_t retry_at;      /* loop time before which no new start is tried */
  uint64_t backoff_until; /* loop time before which no list is a reason to try again */
  unsigned failures;      /* in a row: each doubles the pause before the next start */
  bool lost_shared;       /* as a bond's `lost`, of the shared one */
  bool retired;           /* no longer declared: ends when what is under way is done */
};

enum ln_link_state { LN_LINK_CONNECTING, LN_LINK_INITIALIZING, LN_LINK_READY, LN_LINK_CLOSING };

struct ln_link {
  struct ln_list link; /* in upstream->links until closed */
  struct ln_server *server;
  struct ln_session *owner;  /* NULL: shared, or closing. Not counted: the session ends us */
  struct ln_list owner_link; /* in owner->own */
  enum ln_link_state state;
  bool initialized_sent;
  bool served;  /* it has answered something beyond initialize */
  bool again;   /* it follows one that ended by itself */
  bool probe;   /* opened to see whether the server is there again, and for nothing else */
  bool leaving; /* out of sight: closed when what is under way in it has ended */
  bool single;  /* for one request: closed after it */
  bool tasked;  /* … which is to become a task: closed after that */
  bool mixed; /* shared: more than one client has used it, and what it says may be about any … */
  uint64_t user; /* … else by this key the one that has; 0: none */
  bool paused;   /* we don't read from it */
  bool stalled;  /* it doesn't read what we send */
  struct ln_channel *channel;
  char topic[64];              /* for the log: "upstream NAME" */
  struct ln_log_ration ration; /* of what it sends that is no message, or nobody can take */
  uint64_t opened_at;
  struct ln_index *index; /* counted; set when ready */
  int64_t next_id;
  struct ln_map requests;       /* by id: sent */
  struct ln_list waiting;       /* calls not yet sent */
  struct ln_list watchers;      /* of struct watcher: told when ready or dead */
  struct ln_list asks;          /* exchanges of this server's requests */
  struct ln_list tasks;         /* struct ln_task_entry, by us_link */
  bool changing[LN_KINDS];      /* a changed list is being fetched … */
  bool changed_again[LN_KINDS]; /* … and has changed again */
};

struct ln_call {
  struct ln_list in_queue; /* in link->waiting, else unlinked */
  struct ln_list x_link;   /* in exchange->requests */
  int64_t id;              /* 0 until sent */
  struct ln_link *link;
  struct ln_msg *msg;         /* counted */
  struct ln_str name_at;      /* a slice of msg to replace … */
  struct ln_bytes *name_with; /* … by this; counted */
  struct ln_exchange *x;      /* counted; NULL for our own requests */
  ln_reply_fn reply;
  void *arg;
  bool answered; /* the server has, and the reply is its own */
  bool retried;  /* once, on a fresh session, when the server had forgotten the old one */
  struct ln_timer deadline;
  uint64_t since; /* loop time: no progress extends it past the hard maximum from here */
};

/* NULL with *why: out of memory, or a URL that is none. One reference, the caller's. */
struct ln_server *ln_server_new(struct ln_host *h, const struct ln_server_conf *conf,
                                const char **why);
struct ln_server *ln_server_ref(struct ln_server *server);
void ln_server_unref(struct ln_server *server);
/* Whether a declaration means the same server, reached in the same way. */
bool ln_server_same(const struct ln_server *server, const struct ln_server_conf *conf);
/* It is no longer declared: idle sessions with it end now, the others after what they have under
 * way. */
void ln_server_retire(struct ln_server *server);
/* It failed a moment ago (no longer than it took to fail, and at least a second): what asks all
 * servers for something, as a list does, should do without it. */
bool ln_server_in_backoff(const struct ln_server *server);
/* Says that it was this server ("Server \"NAME\": why"), once: why may say so already. */
void ln_server_blame(const struct ln_server *server, const char *why, char *out, size_t size);
/* Some session with it has been starting for longer than clients are made to wait. */
bool ln_server_late(const struct ln_server *server);

/* The lasting session with u that s uses, opened when there is none. NULL with *why (until the next
 * call) when it can't be opened now. */
struct ln_link *ln_pool_link(struct ln_session *s, struct ln_server *server, const char **why);
/* The one for a single request of the session: in mode "request" a fresh one. */
struct ln_link *ln_pool_link_for_call(struct ln_session *s, struct ln_server *server,
                                      const char **why);
/* Starts a server that is down once more, for nobody, if it is time to: what becomes of it shows in
 * its health, and clients that did without it hear that lists have changed. */
void ln_link_probe(struct ln_server *server);
/* Requests of clients are under way or waiting in it. */
bool ln_link_busy(const struct ln_link *link);
/* Calls fn once the link is ready (true) or has gone (false), from the loop or at once. x stays
 * the caller's: watch ends by being called or by ln_link_unwatch. */
struct ln_watcher {
  struct ln_list link;
  void (*fn)(struct ln_watcher *w, struct ln_link *link, bool ready, const char *why);
};
void ln_link_watch(struct ln_link *link, struct ln_watcher *w);
void ln_link_unwatch(struct ln_watcher *w);
/* Sends msg as a request of our own numbering, now or when ready. name_at/name_with: see
 * ln_call; x may be NULL. reply is called exactly once, from the loop or at once when it fails
 * at once, unless ln_call_drop comes first. NULL when out of memory (reply not called). */
struct ln_call *ln_link_request(struct ln_link *link, struct ln_msg *msg, struct ln_str name_at,
                                struct ln_bytes *name_with, struct ln_exchange *x,
                                ln_reply_fn reply, void *arg);
/* Nobody waits for it any more; the server is told when reason is not NULL. reply is not called. */
void ln_call_drop(struct ln_call *r, const char *reason);
/* The server reports progress on it: its deadline starts anew. */
void ln_call_progress(struct ln_call *r);
/* As drop, in the words of the client's own notifications/cancelled. */
void ln_call_cancel(struct ln_call *r, const struct ln_msg *cancelled);
/* A notification, or a response under its own id. Lost when the channel is closing. */
void ln_link_notify(struct ln_link *link, struct ln_msg *msg);
void ln_link_respond(struct ln_link *link, struct ln_str id, struct ln_msg *reply);
/* The client has said notifications/initialized (its own message, or NULL for one of ours). */
void ln_link_client_initialized(struct ln_link *link, struct ln_msg *initialized);
/* Its start has come to nothing: held against the server, logged, and it ends. */
void ln_link_give_up(struct ln_link *link, const char *why);
/* Ends it; what is under way fails with why. */
void ln_link_close(struct ln_link *link, const char *why);
void ln_link_pause(struct ln_link *link, bool pause);
/* It has answered something: ends it when that was all it was there for. */
void ln_link_close_if_idle(struct ln_link *link);

#endif
