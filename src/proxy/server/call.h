/* Requests to a server: numbered, spliced, sent, timed, and each answered exactly once. The table
 * of one link's calls; it knows its channel and its server, and nothing of the link around it. */
#ifndef LN_PROXY_SERVER_CALL_H
#define LN_PROXY_SERVER_CALL_H

#include "base/list.h"
#include "base/map.h"
#include "proxy/server/server.h"
#include "rpc/out.h"

struct ln_call;
struct ln_exchange;

/* Who has the table. */
struct ln_calls;
struct ln_calls_events {
  /* The channel has taken a message but wants no more until it drains. */
  void (*stalled)(struct ln_calls *c);
  /* The call can't be answered, for why. True: that was dealt with, and the call may be gone. */
  bool (*failing)(struct ln_call *call, const char *why);
  /* See ln_link_events. */
  void (*replied)(struct ln_call *call, struct ln_msg *reply);
  ln_reply_fn (*abandoned)(const struct ln_call *call);
  /* An exchange's call is freed: its reference goes. */
  void (*release)(struct ln_calls *c, struct ln_exchange *x);
  /* A call has ended, and its reply function has returned. */
  void (*ended)(struct ln_calls *c);
};

struct ln_calls {
  struct ln_server *server;   /* borrowed: whoever has the table counts it */
  struct ln_channel *channel; /* the same */
  const struct ln_calls_events *events;
  int64_t next_id;
  struct ln_map sent;     /* struct ln_call, by id */
  struct ln_list waiting; /* struct ln_call not yet sent, by in_queue */
  bool ready; /* initialize has been answered: the server may be told of cancelled calls */
};

struct ln_call {
  struct ln_list in_queue;    /* in calls->waiting, else unlinked */
  struct ln_list in_exchange; /* in exchange->calls */
  int64_t id;                 /* 0 until sent */
  struct ln_calls *calls;
  struct ln_msg *msg;         /* counted */
  struct ln_str name_at;      /* a slice of msg to replace … */
  struct ln_bytes *name_with; /* … by this; counted */
  struct ln_exchange *x;      /* counted, not followed here; NULL: Lunette's own */
  uint64_t client;            /* the key of the session that x is of; 0: none */
  ln_reply_fn reply;
  void *arg;
  bool answered; /* the server has, and the reply is its own */
  bool retried;  /* once, in a fresh link, when the server had forgotten the session */
  struct ln_timer deadline;
  uint64_t since; /* loop time: no progress extends it past the hard maximum from here */
};

/* What a call is made of; all borrowed. */
struct ln_call_request {
  struct ln_msg *msg;
  struct ln_str name_at;      /* absent: the message goes as it is */
  struct ln_bytes *name_with; /* the JSON that goes there instead */
  struct ln_exchange *x;      /* NULL, or a reference that becomes the call's … */
  struct ln_list *x_calls;    /* … where it is linked in … */
  uint64_t client;            /* … and its session's key */
  /* Called exactly once, unless the call is dropped; from the loop, or at once when it fails at
   * once. With x what it gets is the client's form of the reply (ln_link_events.replied). */
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

/* A call with its deadline running, not yet sent. NULL: out of memory. */
struct ln_call *ln_call_new(struct ln_calls *c, const struct ln_call_request *request);
/* Numbers it and sends it. */
void ln_call_send(struct ln_call *call);
/* Its reply is here (takes the reference): the call is gone when this returns. */
void ln_call_end(struct ln_call *call, struct ln_msg *reply);
/* Its reply is an error that names the server; fmt has one %s, for why. */
void ln_call_fail(struct ln_call *call, const char *fmt, const char *why);
/* Nobody waits for it any more; the server is told when reason is not NULL. reply is not called. */
void ln_call_drop(struct ln_call *call, const char *reason);
/* As drop, in the words of the client's own notifications/cancelled. */
void ln_call_cancel(struct ln_call *call, const struct ln_msg *cancelled);
/* The server reports progress on it: its deadline starts anew, within the hard maximum. */
void ln_call_progress(struct ln_call *call);
/* Out of its table, to be sent anew in another. */
void ln_call_move(struct ln_call *call, struct ln_calls *to);

#endif
