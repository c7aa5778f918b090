/* One MCP session with a server. It is opened when first needed; calls made before it is ready wait
 * in it. When its channel closes, its calls are answered with an error and it is freed; the next
 * need opens another, after a pause that grows while the server keeps failing.
 *
 * It belongs to one client's session, or is shared by all, or is a probe. The rooms above hear of
 * it through ln_link_events. */
#ifndef LN_PROXY_SERVER_LINK_H
#define LN_PROXY_SERVER_LINK_H

#include "mcp/kind.h"
#include "proxy/server/call.h"
#include "proxy/server/events.h"

struct ln_change;
struct ln_index;
struct ln_session;

enum ln_link_state {
  LN_LINK_CONNECTING,
  LN_LINK_INITIALIZING, /* initialize is under way */
  LN_LINK_READY,        /* it was answered */
  LN_LINK_OPEN,         /* notifications/initialized was sent: calls are sent */
  LN_LINK_CLOSING
};

/* What it was opened for, and so how long it stays. */
enum ln_link_use {
  LN_LINK_LASTING,     /* as long as its owner; or shared, as long as the server is declared */
  LN_LINK_SINGLE,      /* for one call: closed after it */
  LN_LINK_SINGLE_TASK, /* for one call that asks for a task: closed after the task */
  LN_LINK_PROBE        /* to see whether the server works again: closed once initialized */
};

#define LN_LINK_MANY UINT64_MAX

struct ln_link {
  struct ln_list link;       /* in server->links until closed */
  uint64_t serial;           /* never given twice: kept by what may outlive the link */
  struct ln_server *server;  /* counted */
  struct ln_session *owner;  /* not counted: its end closes the link. Only a handle in this room.
                                NULL: shared, a probe, or closing */
  struct ln_list owner_link; /* in owner->links */
  enum ln_link_state state;
  enum ln_link_use use;
  bool served;     /* the server has answered more than initialize */
  bool used;       /* it was told more than who the client is: see ln_link_use_now */
  bool after_loss; /* the link before it was lost */
  bool draining;   /* takes no new calls: closed when those under way have ended */
  bool paused;     /* we don't read from it */
  bool stalled;    /* the server doesn't read what we send */
  uint64_t user; /* the key of the only session that has used it; 0: none; LN_LINK_MANY: several, so
                    that a notification may be about any of their calls */
  uint64_t opened_at;       /* loop time */
  struct ln_account *payer; /* whose its child is (children.h); counted, NULL: it has none */
  bool held;                /* start.h: for no client yet, so that it isn't initialized … */
  bool connected;           /* … though its channel is ready … */
  struct ln_task begin;     /* … until a client has it */
  uint64_t answered_at;     /* idle.h: loop time of the last answer, or of its beginning … */
  struct ln_timer idle;     /* … and until it has been so for too long */
  bool leaving;             /* it was told to give way … */
  struct ln_task leave;     /* … which it does from the loop */
  struct ln_calls calls;
  struct ln_call *init_call;   /* while it is INITIALIZING */
  struct ln_str capabilities;  /* the server's, from READY on: a slice of init_reply */
  struct ln_msg *init_request; /* what the server was told of the client; counted; NULL before */
  struct ln_msg *init_reply;   /* counted; NULL before */
  struct ln_list watchers;     /* struct ln_watcher: called when it is ready or has failed */

  /* Kept for the rooms above, each written by the one file that is named. */
  struct ln_index *index;               /* lists/index.c: the index it was given; counted */
  struct ln_list asks;                  /* exchange/: the server's own requests */
  struct ln_list tasks;                 /* names/task.c: struct ln_task_entry, by in_link */
  struct ln_change *changing[LN_KINDS]; /* route/list_changed.c: a changed list is being fetched, or
                                           will be after a pause … */
  bool changed_again[LN_KINDS];         /* … and has changed again */
  uint64_t change_due[LN_KINDS];        /* loop time when it may be fetched by the average pace */
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

/* Opens one. owner: NULL: shared or a probe. NULL with *why (until the next call): shutting down,
 * the server failed and is not tried again yet, out of memory, no such command. */
struct ln_link *ln_link_open(struct ln_server *server, struct ln_session *owner,
                             enum ln_link_use use, const char **why);
/* The link that all clients share, opened when there is none. */
struct ln_link *ln_link_shared(struct ln_server *server, const char **why);
/* Tries once whether a server that is down works again, unless its pause lasts: sets its health,
 * and clients that did without it get list_changed. */
void ln_link_probe(struct ln_server *server);
/* Closes it; its calls fail with why. */
void ln_link_close(struct ln_link *link, const char *why);
/* Closes it when it has no calls and nothing else needs it. */
void ln_link_close_if_idle(struct ln_link *link);
/* Takes it away from its owner or those who share it, and closes it when its calls have ended. */
void ln_link_drain(struct ln_link *link);
/* It has had nothing to do for too long: closed; the next need opens another. */
void ln_link_sleep(struct ln_link *link, const char *why);
/* Its channel is ready: initializes it. */
void ln_link_begin(struct ln_link *link);
/* Another client needs its child's place: it is closed from the loop, whatever is under way in it.
 */
void ln_link_give_way(struct ln_link *link);
/* The server is no longer declared: closes its idle links now, the others after their calls. */
void ln_link_retire_all(struct ln_server *server);
/* True when some link with it has been starting for longer than start_timeout. */
bool ln_link_late(const struct ln_server *server);
/* True while it has calls, sent or waiting. */
bool ln_link_busy(const struct ln_link *link);

/* Calls fn once, when the link is ready (true) or closed (false), from the loop or at once. w is
 * the caller's until then, or until ln_link_unwatch. */
struct ln_watcher {
  struct ln_list link;
  void (*fn)(struct ln_watcher *w, struct ln_link *link, bool ready, const char *why);
};
void ln_link_watch(struct ln_link *link, struct ln_watcher *w);
void ln_link_unwatch(struct ln_watcher *w);

/* A call, sent now or when the link is open; in one that is closing it fails at once. NULL: out of
 * memory, and reply is not called. */
struct ln_call *ln_link_call(struct ln_link *link, const struct ln_call_request *request);
/* One of Lunette's own; reply is called exactly once, from the loop or at once. */
struct ln_call *ln_link_request(struct ln_link *link, struct ln_msg *msg, ln_reply_fn reply,
                                void *arg);
/* Sends a call of another link in this one. */
void ln_link_adopt(struct ln_link *link, struct ln_call *call);
/* Sends a notification, or a response with this id. Dropped when the link is not ready. */
void ln_link_notify(struct ln_link *link, struct ln_msg *msg);
void ln_link_respond(struct ln_link *link, struct ln_str id, struct ln_msg *reply);
/* Its client is ready: sends notifications/initialized (the client's own; NULL: one of ours) and
 * the calls that waited. Does nothing unless the state is READY. */
void ln_link_client_initialized(struct ln_link *link, struct ln_msg *initialized);
/* Something of the client's goes to the server that may change what it lists for this client:
 * anything but initialize, ping, list requests and completions. Calls and notifications say so by
 * themselves; to be called before the answer to a server's request is sent. */
void ln_link_use_now(struct ln_link *link);
/* Back-pressure: stops or starts reading from the server. */
void ln_link_pause(struct ln_link *link, bool pause);

#endif
