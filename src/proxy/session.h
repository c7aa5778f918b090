/* A client's session, the messages under way in it (exchanges) and the ways to the client
 * (sinks).
 *
 * Lifetimes: a front makes a session and holds one reference; each exchange holds one too. An
 * exchange lives while it is under way, while a run of the policy holds it, or while a request at a
 * server belongs to it. A sink is counted by its front and by the exchanges that answer to it. */
#ifndef LN_PROXY_SESSION_H
#define LN_PROXY_SESSION_H

#include "mcp/method.h"
#include "proxy/host.h"
#include "rpc/out.h"

struct ln_index;
struct ln_link;

/* --- sinks --- */

struct ln_sink;
struct ln_sink_ops {
  /* One message to the client, the parts holding it whole. final: the response that this sink's
   * POST waits for. LN_OK, LN_EFULL (taken, but stop the sources: ln_session_drained follows), or
   * an error: not delivered. */
  int (*send)(struct ln_sink *s, const struct ln_out *out, bool final);
  /* A response that this sink waits for won't come (cancelled). May be NULL. */
  void (*give_up)(struct ln_sink *s);
  void (*free)(struct ln_sink *s);
};
struct ln_sink {
  const struct ln_sink_ops *ops;
  uint32_t refs;
  bool one_line; /* messages must not hold raw line breaks */
};
struct ln_sink *ln_sink_ref(struct ln_sink *s);
void ln_sink_unref(struct ln_sink *s); /* NULL is fine */

/* --- sessions --- */

enum ln_session_state {
  LN_SESSION_NEW,          /* nothing but initialize and ping is served */
  LN_SESSION_INITIALIZING, /* initialize is under way */
  LN_SESSION_INITIALIZED,  /* answered; the client hasn't said notifications/initialized */
  LN_SESSION_OPEN,
  LN_SESSION_GONE,
};

struct ln_session {
  struct ln_list link; /* in host->sessions */
  uint32_t refs;
  struct ln_host *host;
  uint64_t key;
  enum ln_session_state state;
  struct ln_log_ration ration; /* of what is refused or dropped */
  const char *transport;       /* "stdio", "http", "sse", "internal" */
  char id[40];                 /* a name for logs and ctx; of Streamable HTTP how its id begins */
  bool revived;                /* its client initialized it in another process */
  struct ln_generation *gen;   /* what it is served by; counted */

  /* What initialize said. Slices of hello. */
  struct ln_msg *hello;
  struct ln_str version;      /* the one in force */
  struct ln_str client_info;  /* raw object */
  struct ln_str capabilities; /* raw object */
  struct ln_bytes
      *offered; /* the capabilities offered upstream: the client's plus what the policy handles */
  struct ln_msg
      *set_level; /* the last logging/setLevel: for servers that start later and for our own logs */
  int level;      /* what it set, see ln_level_of; -1: none */

  struct ln_bytes *headers;     /* of its last HTTP request; counted, or NULL */
  struct ln_list subscriptions; /* struct ln_subscription: repeated likewise */

  struct ln_list exchanges;
  size_t n_exchanges; /* of either side, notifications in a handler's hands among them */
  size_t in_flight;
  int64_t next_ask;
  struct ln_map asks; /* by id: requests to the client under way */

  struct ln_sink *general; /* unrelated messages: stdio's pipe or the GET stream; NULL: they wait */
  struct ln_list waiting;  /* of struct waiting in session.c */
  size_t n_waiting, waiting_bytes;
  unsigned clogged; /* sinks that said LN_EFULL and have not drained */

  struct ln_msg *server_init_request; /* the initialize request that its servers get; counted */
  struct ln_list own;                 /* its upstream sessions, by owner_link */
  struct ln_pool_slot *slots;         /* one per server it has to do with */
  size_t n_slots;
  struct ln_view *views[LN_KINDS]; /* counted, or NULL */
  struct ln_list tasks;            /* struct ln_task_entry (task.h), of either side */
  size_t n_tasks;
  struct ln_list elicited; /* struct ln_elicitation (elicited.h) */

  void (*on_end)(struct ln_session *s, void *arg); /* the front's: the session is over */
  void (*on_stall)(struct ln_session *s,
                   bool stalled); /* stop reading from the client; may be NULL */
  /* A server has let go of the stream of what answers to sink, and will be asked again after that
   * time: the client may do the same. May be NULL. */
  void (*on_parted)(struct ln_session *s, struct ln_sink *sink, uint64_t retry_ms);
  void *front;
  unsigned stalled; /* its servers that don't keep up */
  uint64_t last_used;
};

/* A session and a server. */
struct ln_pool_slot {
  bool lost; /* its session with the server ended by itself: another one may list other things */
  struct ln_server *server; /* counted */
  struct ln_link *link;     /* the current one of the session's own, or NULL */
  struct ln_index *index;   /* counted, or NULL */
};
/* What the session has of a server; NULL: nothing. */
struct ln_link *ln_session_link(const struct ln_session *s, const struct ln_server *server);
struct ln_index *ln_session_index(const struct ln_session *s, const struct ln_server *server);
/* link: NULL takes it away. The index is counted by the call. LN_ENOMEM. */
int ln_session_set_link(struct ln_session *s, struct ln_server *server, struct ln_link *link);
/* us, the session's own, ends by itself; and whether one has since this was asked last. */
void ln_session_lost(struct ln_session *s, const struct ln_link *link);
bool ln_session_found(struct ln_session *s, const struct ln_server *server);
int ln_session_set_index(struct ln_session *s, struct ln_server *server, struct ln_index *c);

/* A resource the client listens to. */
struct ln_subscription {
  struct ln_list link;
  struct ln_list topic_link; /* of a shared server: in share.c */
  struct ln_session *session;
  struct ln_server *server;
  struct ln_bytes *key; /* the server's own URI, unescaped */
  struct ln_msg *msg;   /* counted: resources/subscribe as the server gets it */
};

/* NULL when out of memory or when the host has as many as it may. One reference, the front's. */
struct ln_session *ln_session_new(struct ln_host *h, const char *transport, const char *id);
struct ln_session *ln_session_ref(struct ln_session *s);
void ln_session_unref(struct ln_session *s);
/* Ends it: cancels what is under way, closes its upstream sessions. The front's reference stays
 * the front's. */
void ln_session_end(struct ln_session *s);
/* A sink for unrelated messages has come (counted by this call) or gone (NULL). What waited is
 * sent. */
void ln_session_set_general(struct ln_session *s, struct ln_sink *sink);
/* A sink that had said LN_EFULL has drained, or has gone. */
void ln_session_drained(struct ln_session *s);
/* A message to the client: on sink, or among the general ones when sink is NULL. */
void ln_session_send(struct ln_session *s, struct ln_sink *sink, struct ln_out *out, bool final);
/* The capability that the client would need to be asked this, when it has not declared it; else
 * NULL. */
const char *ln_session_lacks(const struct ln_session *s, struct ln_str method);
/* A request to the client on sink (NULL: general). reply gets the answer (or an error when the
 * session ends) and must unref it. Returns the id, 0 when it could not be sent (reply was not
 * called). */
int64_t ln_session_ask(struct ln_session *s, struct ln_sink *sink, struct ln_msg *request,
                       ln_reply_fn reply, void *arg);
/* Forgets a request to the client and tells the client so; with the server's own words where it
 * has said something (cancelled; may be NULL). */
void ln_session_ask_cancel(struct ln_session *s, int64_t id, struct ln_msg *cancelled);
/* The same, and who asked hears this reply (takes the reference). */
void ln_session_ask_withdraw(struct ln_session *s, int64_t id, struct ln_msg *reply);
/* A response from the client. Unknown ids are ignored. */
void ln_session_answer(struct ln_session *s, struct ln_msg *response);
/* Notes that the client subscribed (or not any more) with this request to the server. LN_ENOMEM,
 * LN_ELIMIT: it is not noted. */
int ln_session_subscribed(struct ln_session *s, struct ln_server *server, struct ln_msg *msg,
                          bool subscribed) LN_CHECK;
void ln_subscription_free(struct ln_subscription *sub);
/* The level of the log that it wants; -1: none. Servers are not told. */
void ln_session_set_level(struct ln_session *s, int level);
/* The exchange with this raw request id, or NULL. */
struct ln_exchange *ln_session_find(struct ln_session *s, struct ln_str id);
/* Too much is under way to begin with another notification or server's request. */
bool ln_session_crowded(const struct ln_session *s);
/* Stops or starts reading from the session's own servers, as clogged says. */
void ln_session_throttle(struct ln_session *s);

/* --- exchanges --- */

struct ln_exchange {
  struct ln_list link; /* in session->exchanges while under way */
  uint32_t refs;
  struct ln_session *session; /* counted */
  struct ln_generation *gen;  /* counted: what it began under */
  struct ln_msg *msg;         /* as it came */
  const struct ln_method *method;
  struct ln_sink *sink; /* counted; NULL: general, or internal */
  ln_reply_fn reply;    /* gets the reply instead of the sink */
  void *reply_arg;
  struct ln_bytes *headers; /* of the HTTP request (see exchange/headers.h), or NULL */

  /* What it is about, once resolved. */
  struct ln_view *view; /* counted; keeps entry alive */
  const struct ln_entry *entry;
  struct ln_server *server;

  struct ln_list requests; /* struct ln_call under way for it */
  struct ln_list chain;    /* struct ln_chain: the policy's hooks it goes through */
  bool from_server;
  struct ln_link *asker; /* from a server: who asked; NULL when it has gone */
  struct ln_list asker_link;
  int64_t ask_id;
  struct ln_exchange *cause; /* counted: the client's exchange a server's message is related to */

  double progress;     /* the last one told of it */
  unsigned holds;      /* notifications for it that a policy still has in hand */
  bool holding;        /* it is one of those of its cause */
  struct ln_msg *held; /* the reply that waits for them */
  unsigned called_off; /* forwards of its handlers that were over before their answer */
  bool greets;         /* the initialize that the session took */
  bool moved;          /* a handler forwarded it under another name: entry may be that one's */
  bool counted;        /* in session->in_flight */
  unsigned handlers;   /* of the policy's, that run for it */
  bool closing;        /* dealt with but for those */
  bool ended;
};

/* A step through the policy's hooks (a handler that runs, or one forward of it) or on a reply's way
 * back. Owned by the exchange and freed with it, so that a late answer never meets freed memory and
 * one that never comes leaves none behind. */
struct ln_chain {
  struct ln_list link;
  struct ln_exchange *x;
  struct ln_chain *outer; /* a forward's handler */
  size_t next_hook;
  struct ln_run *run; /* NULL when the handler has ended */
  uint64_t token;
  struct ln_msg *msg; /* counted: what this step works on */
  ln_reply_fn done;
  void *arg;
};

/* In the session's list, with one reference of its own, until it is finished or aborted. NULL: out
 * of memory. */
struct ln_exchange *ln_exchange_new(struct ln_session *s, struct ln_msg *msg,
                                    const struct ln_method *method, struct ln_sink *sink);
/* For a session that has asked for nothing: on its behalf, under g, rules that take ctx are asked
 * as if for this request without params. To be ended by ln_exchange_close. NULL: out of memory. */
struct ln_exchange *ln_exchange_stand_in(struct ln_session *s, struct ln_generation *g,
                                         const char *method);
void ln_exchange_ref(struct ln_exchange *x);
void ln_exchange_unref(struct ln_exchange *x);
/* The reply is here (takes its reference): goes out with the exchange's own id, and the exchange
 * ends. A second one is dropped. */
void ln_exchange_finish(struct ln_exchange *x, struct ln_msg *reply);
void ln_exchange_fail(struct ln_exchange *x, int code, const char *message);
/* True when a notifications/progress tells of more than *last, which then becomes it (rule 17);
 * true also when it tells no number. */
bool ln_progress_rises(double *last, const struct ln_msg *msg);
/* A notification has been dealt with, or will be when its handlers have ended. */
void ln_exchange_close(struct ln_exchange *x);
/* What servers, the client and the policy's own requests still work at for it is not needed any
 * more; the exchange itself goes on. What was looked up for it meanwhile compares called_off with
 * what it was at the start, and begins nothing. */
void ln_exchange_call_off(struct ln_exchange *x, const char *reason);
/* No reply will come: cancelled by its sender, or its session ended. */
void ln_exchange_abort(struct ln_exchange *x);
void ln_exchange_hold(struct ln_exchange *x);
void ln_exchange_release(struct ln_exchange *x);

#endif
