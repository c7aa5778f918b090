/* Requests to a server: each gets an id of ours and a deadline, and is answered exactly once. The
 * calls of one link are in one table, which knows its channel and its server but not the link. */
#ifndef LN_PROXY_SERVER_CALL_H
#define LN_PROXY_SERVER_CALL_H

#include "base/list.h"
#include "base/map.h"
#include "proxy/server/server.h"
#include "rpc/out.h"

struct ln_call;
struct ln_exchange;

struct ln_calls;
/* Callbacks to the owner of a table. */
struct ln_calls_events {
  /* The channel has taken a message but wants no more until it drains. */
  void (*stalled)(struct ln_calls *c);
  /* The call is about to be answered with an error. True: the owner has dealt with it, and the call
   * may be freed. */
  bool (*failing)(struct ln_call *call, const char *why);
  /* See ln_link_events. */
  void (*replied)(struct ln_call *call, struct ln_msg *reply);
  ln_reply_fn (*abandoned)(const struct ln_call *call);
  /* A call made for x is freed: release its reference. */
  void (*release)(struct ln_calls *c, struct ln_exchange *x);
  /* A call has ended, and its reply function has returned. */
  void (*ended)(struct ln_calls *c);
};

struct ln_calls {
  struct ln_server *server;   /* not counted: the table's owner counts it */
  struct ln_channel *channel; /* the owner's */
  const struct ln_calls_events *events;
  int64_t next_id;
  struct ln_map sent;     /* struct ln_call, by id */
  struct ln_list waiting; /* struct ln_call not yet sent, by in_queue */
  bool ready;             /* initialize has been answered: notifications/cancelled may be sent */
};

struct ln_call {
  struct ln_list in_queue;    /* in calls->waiting, else unlinked */
  struct ln_list in_exchange; /* in exchange->calls */
  int64_t id;                 /* 0 until sent */
  struct ln_calls *calls;
  struct ln_msg *msg;         /* counted */
  struct ln_str name_at;      /* a slice of msg to replace … */
  struct ln_bytes *name_with; /* … by this; counted */
  struct ln_exchange *x;      /* counted; only a handle in this room. NULL: Lunette's own call */
  uint64_t client;            /* the key of x's session; 0: none */
  ln_reply_fn reply;
  void *arg;
  bool answered; /* by the server, so that the reply isn't an error of ours */
  bool retried;  /* sent again in a new link, after the server had lost the session (404) */
  struct ln_timer deadline;
  uint64_t since; /* loop time of its beginning, from which max_request_timeout counts */
};

/* What a call is made of; borrowed, but for x. */
struct ln_call_request {
  struct ln_msg *msg;
  struct ln_str name_at;      /* absent: the message is sent unchanged */
  struct ln_bytes *name_with; /* the JSON to put there */
  struct ln_exchange *x;      /* NULL, or a reference that the call takes over … */
  struct ln_list *x_calls;    /* … the list of its calls … */
  uint64_t client;            /* … and its session's key */
  /* Called exactly once, unless the call is dropped; from the loop, or at once when it fails at
   * once. For a call with x the reply has the client's names (ln_link_events.replied). */
  ln_reply_fn reply;
  void *arg;
};

void ln_calls_init(struct ln_calls *c, struct ln_server *server,
                   const struct ln_calls_events *events);
/* After the last call has ended. */
void ln_calls_deinit(struct ln_calls *c);
bool ln_calls_empty(const struct ln_calls *c);
/* The call that was sent under this id, or NULL. */
struct ln_call *ln_calls_find(const struct ln_calls *c, int64_t id);
/* All calls, sent or waiting, end with an error that says why. */
void ln_calls_fail_all(struct ln_calls *c, const char *why);
/* A notification, or a response under the id that the server gave. LN_OK, also when the channel
 * wants no more for now; else the message is lost. */
int ln_calls_send(struct ln_calls *c, struct ln_out *out, enum ln_note_kind kind) LN_CHECK;

/* A call that is not sent yet; its deadline runs. NULL: out of memory. */
struct ln_call *ln_call_new(struct ln_calls *c, const struct ln_call_request *request);
/* Gives it an id and sends it. */
void ln_call_send(struct ln_call *call);
/* Answers it with this reply (takes the reference) and frees it. */
void ln_call_end(struct ln_call *call, struct ln_msg *reply);
/* Answers it with an error that names the server; fmt has one %s, for why. */
void ln_call_fail(struct ln_call *call, const char *fmt, const char *why);
/* Frees it without calling reply; with a reason (NULL: none) the server gets
 * notifications/cancelled (basic/utilities/cancellation). */
void ln_call_drop(struct ln_call *call, const char *reason);
/* The same with the client's own notifications/cancelled. */
void ln_call_cancel(struct ln_call *call, const struct ln_msg *cancelled);
/* The server reports progress (basic/utilities/progress; basic/lifecycle, "Timeouts"): the deadline
 * starts anew, within max_request_timeout. */
void ln_call_progress(struct ln_call *call);
/* Takes it out of its table, to be sent again by another. */
void ln_call_move(struct ln_call *call, struct ln_calls *to);

#endif
