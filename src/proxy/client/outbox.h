/* What is said to one client: on which of its streams, in which order, what waits for a stream, and
 * who hears the answers to what it is asked. Knows nothing of its session. */
#ifndef LN_PROXY_CLIENT_OUTBOX_H
#define LN_PROXY_CLIENT_OUTBOX_H

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "proxy/core/host.h"
#include "rpc/out.h"

/* --- sinks: the ways to the client that its transport has --- */

struct ln_sink;
struct ln_sink_ops {
  /* One message to the client, the parts holding it whole. final: the response that this sink's
   * POST waits for. LN_OK, LN_EFULL (taken, but stop the sources: ln_outbox_drained follows), or
   * an error: not delivered. */
  int (*send)(struct ln_sink *s, const struct ln_out *out, bool final);
  /* A response that this sink waits for won't come (cancelled). May be NULL. */
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
  LN_OUTBOX_EARLY, /* the client isn't ready for requests: they wait, all else goes out */
  LN_OUTBOX_OPEN,
  LN_OUTBOX_CLOSED /* nothing is sent, and nobody asked, any more */
};

struct ln_outbox {
  struct ln_host *host;
  const char *name;            /* the session's, for the log */
  struct ln_log_ration ration; /* of what is refused or dropped; the session's other lines too */
  enum ln_outbox_state state;
  struct ln_sink *general; /* unrelated messages: stdio's pipe or the GET stream; NULL: they wait */
  struct ln_list waiting;  /* struct waiting in outbox.c */
  size_t n_waiting, waiting_bytes;
  int64_t next_ask;
  struct ln_map asks; /* by id: requests to the client under way */
  unsigned clogged;   /* sinks that said LN_EFULL and have not drained */
  /* Stop the sources (or start them again): the client doesn't keep up. */
  void (*on_clogged)(struct ln_outbox *o, bool clogged);
};

/* name: borrowed. on_clogged: may be NULL. */
void ln_outbox_init(struct ln_outbox *o, struct ln_host *host, const char *name,
                    void (*on_clogged)(struct ln_outbox *o, bool clogged));
/* Closed: who asked the client hears so, what waited is dropped, no sink is held any more. */
void ln_outbox_close(struct ln_outbox *o);
/* Sends what waited and can go out now: after the state has become OPEN. */
void ln_outbox_flush(struct ln_outbox *o);

/* A sink for unrelated messages has come (counted by this call) or gone (NULL). What waited is
 * sent. */
void ln_outbox_set_general(struct ln_outbox *o, struct ln_sink *sink);
/* A sink that had said LN_EFULL has drained, or has gone. */
void ln_outbox_drained(struct ln_outbox *o);
/* A message to the client: on sink, or among the general ones when sink is NULL. */
void ln_outbox_send(struct ln_outbox *o, struct ln_sink *sink, struct ln_out *out, bool final);
/* The answer to the client's request of this raw id, in want of memory for a better one. */
void ln_outbox_fail(struct ln_outbox *o, struct ln_sink *sink, struct ln_str id);
/* A notification without params, among the general ones. */
void ln_outbox_notify(struct ln_outbox *o, const char *method);

/* A request to the client on sink (NULL: general). reply gets the answer (or an error when the
 * session ends) and must unref it. Returns the id, 0 when it could not be sent (reply was not
 * called). */
int64_t ln_outbox_ask(struct ln_outbox *o, struct ln_sink *sink, struct ln_msg *request,
                      ln_reply_fn reply, void *arg);
/* Forgets a request to the client and tells the client so; with the server's own words where it
 * has said something (cancelled; may be NULL). */
void ln_outbox_ask_cancel(struct ln_outbox *o, int64_t id, struct ln_msg *cancelled);
/* The same, and who asked hears this reply (takes the reference). */
void ln_outbox_ask_withdraw(struct ln_outbox *o, int64_t id, struct ln_msg *reply);
/* A response from the client. Unknown ids are ignored. */
void ln_outbox_answer(struct ln_outbox *o, struct ln_msg *response);

#endif
