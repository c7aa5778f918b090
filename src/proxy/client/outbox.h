/* Messages to one client: on which of its streams they go, in which order, which of them wait for a
 * stream; and the requests made to it, until it answers. Knows nothing of its session. */
#ifndef LN_PROXY_CLIENT_OUTBOX_H
#define LN_PROXY_CLIENT_OUTBOX_H

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "proxy/core/host.h"
#include "rpc/out.h"

/* --- sinks: streams to the client, made by its transport --- */

struct ln_sink;
struct ln_sink_ops {
  /* Sends one message, all of whose bytes are in out->parts. final: it is the response that this
   * sink's POST waits for. LN_OK, LN_EFULL (sent, but stop the sources: ln_outbox_drained follows),
   * or an error: not sent. */
  int (*send)(struct ln_sink *s, const struct ln_out *out, bool final);
  /* The response that this sink waits for will not come: its request was cancelled. May be NULL. */
  void (*give_up)(struct ln_sink *s);
  void (*free)(struct ln_sink *s);
};
/* Counted by its transport and by the exchanges that answer to it. */
struct ln_sink {
  const struct ln_sink_ops *ops;
  uint32_t refs;
  bool one_line; /* messages must not hold raw line breaks */
};
struct ln_sink *ln_sink_ref(struct ln_sink *s);
void ln_sink_unref(struct ln_sink *s); /* NULL is fine */

/* --- the outbox --- */

enum ln_outbox_state {
  LN_OUTBOX_EARLY, /* the client isn't initialized: requests to it wait, all else is sent */
  LN_OUTBOX_OPEN,
  LN_OUTBOX_CLOSED /* nothing is sent any more */
};

struct ln_outbox {
  struct ln_host *host;
  const char *name; /* the session's, for the log */
  enum ln_outbox_state state;
  struct ln_sink *general; /* for messages related to no request: stdio's pipe, or the GET stream of
                              HTTP; NULL: they wait */
  struct ln_list waiting;  /* struct waiting in outbox.c: until there is a stream, or it is OPEN */
  size_t n_waiting, waiting_bytes;
  int64_t next_ask;
  struct ln_account *purse; /* what is kept for its client is charged to it; borrowed, or NULL */
  struct ln_map asks;       /* by id: requests to the client under way */
  unsigned clogged;         /* sinks that said LN_EFULL and have not drained */
  /* The client doesn't keep up: stop the sources, or (false) start them again. */
  void (*on_clogged)(struct ln_outbox *o, bool clogged);
};

/* name: borrowed. on_clogged: may be NULL. */
void ln_outbox_init(struct ln_outbox *o, struct ln_host *host, const char *name,
                    void (*on_clogged)(struct ln_outbox *o, bool clogged));
/* Closes it: requests to the client end with an error, waiting messages are dropped, the sink is
 * released. */
void ln_outbox_close(struct ln_outbox *o);
/* Sends the messages that waited and can be sent now: after the state has become OPEN. A request to
 * the client that can't be sent then ends with an error. */
void ln_outbox_flush(struct ln_outbox *o);

/* Sets the sink for unrelated messages (counted by this call; NULL: it is gone) and sends the
 * messages that waited. */
void ln_outbox_set_general(struct ln_outbox *o, struct ln_sink *sink);
/* A sink that had said LN_EFULL has drained, or has gone. */
void ln_outbox_drained(struct ln_outbox *o);
/* A message to the client on this sink; NULL: on the general one. */
void ln_outbox_send(struct ln_outbox *o, struct ln_sink *sink, struct ln_out *out, bool final);
/* The answer to the client's request of this raw id, in want of memory for a better one. */
void ln_outbox_fail(struct ln_outbox *o, struct ln_sink *sink, struct ln_str id);
/* A notification without params, on the general sink. */
void ln_outbox_notify(struct ln_outbox *o, const char *method);

/* A request to the client on this sink (NULL: the general one). reply gets the answer, or an error
 * when the session ends, and must unref it. Returns the id; 0: it could not be sent, and reply is
 * not called. */
int64_t ln_outbox_ask(struct ln_outbox *o, struct ln_sink *sink, struct ln_msg *request,
                      ln_reply_fn reply, void *arg);
/* Ends a request to the client without a reply and, if it has been sent, sends
 * notifications/cancelled: the server's own (cancelled), or one of ours when that is NULL. */
void ln_outbox_ask_cancel(struct ln_outbox *o, int64_t id, struct ln_msg *cancelled);
/* The same with one of ours, and calls the reply function with this reply (takes the reference).
 */
void ln_outbox_ask_withdraw(struct ln_outbox *o, int64_t id, struct ln_msg *reply);
/* A response from the client. Unknown ids are ignored. */
void ln_outbox_answer(struct ln_outbox *o, struct ln_msg *response);

#endif
