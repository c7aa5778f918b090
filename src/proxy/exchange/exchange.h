/* One message under way, from a client or a server: from its arrival, through the policy's
 * handlers, to its reply.
 *
 * Counted by the session while it is under way, by runs of the policy, and by calls to servers made
 * for it. A request is answered exactly once, by ln_exchange_finish, or not at all after
 * ln_exchange_abort. It keeps the generation that it began under, also after a reload. */
#ifndef LN_PROXY_EXCHANGE_EXCHANGE_H
#define LN_PROXY_EXCHANGE_EXCHANGE_H

#include "proxy/client/session.h"
#include "proxy/lists/view_get.h"
#include "proxy/server/link.h"

enum ln_exchange_state {
  LN_EXCHANGE_UNDER_WAY,
  LN_EXCHANGE_CLOSING, /* a notification that was delivered, while handlers still run */
  LN_EXCHANGE_ENDED
};

struct ln_exchange {
  struct ln_list link; /* in session->exchanges until it has ended */
  uint32_t refs;
  enum ln_exchange_state state;
  struct ln_session *session; /* counted: of the client that it comes from or goes to */
  const struct ln_peer *peer; /* that client; lives as long as the session */
  struct ln_generation *gen;  /* counted: the one it began under */
  struct ln_msg *msg;         /* as it came; in a server's message names are the client's */
  const struct ln_method *method;
  struct ln_sink
      *sink;         /* where its reply and related messages go; counted. NULL: the general one */
  ln_reply_fn reply; /* of an internal request: gets the reply instead of the sink */
  void *reply_arg;
  struct ln_bytes *headers; /* of the HTTP request (headers.h), counted, or NULL */

  /* The component that it names, once resolved. */
  struct ln_view *view; /* counted: entry is in it */
  const struct ln_entry *entry;
  struct ln_server *server; /* that it goes to or comes from; not counted: gen counts it */
  struct ln_msg *named; /* counted: the message whose name view, entry and server are of: msg, or
                           what a handler made of it */

  struct ln_list calls;      /* struct ln_call under way for it */
  struct ln_list waits;      /* struct ln_exchange_wait */
  struct ln_list chain;      /* struct ln_chain */
  struct ln_exchange *cause; /* counted: the one that a server's message is related to, or that a
                                policy's own request was made for */
  bool abandoned;    /* its client has given it up; it goes on for others' handlers, who wait
                        for one of its own, and is not answered */
  bool counted;      /* a request of the client: counted in session->in_flight */
  bool initializes;  /* route/initialize.c: the initialize request that the session was
                        initialized with */
  double progress;   /* mcp/progress.c: the last that was sent for it */
  unsigned handlers; /* hooks.c: of the policy that run for it */

  /* Notifications related to a request are sent before its reply, though handlers delay them. */
  unsigned holds;      /* notifications related to it that are in handlers */
  bool holding;        /* this is such a notification: its cause counts it in holds */
  struct ln_msg *held; /* the reply, while there are such notifications */

  /* From a server. */
  bool from_server;
  struct ln_link *asker; /* the link it came in; NULL when that has ended, or wants no answer */
  struct ln_list asker_link;
  int64_t ask_id; /* in the outbox, while the client is being asked; 0: it is not */
};

/* Something that waits for what is no call on behalf of an exchange, a server's list say. */
struct ln_exchange_wait {
  struct ln_list link; /* in x->waits */
  void (*over)(struct ln_exchange_wait *w);
};

/* State of something that waits for a reply on behalf of an exchange: a handler that runs, one
 * forward of it, or a request to several servers (route/). Owned by the exchange and freed with it,
 * so that a late reply finds its memory and one that never comes leaks none. */
struct ln_chain {
  struct ln_list link;
  struct ln_exchange *x;
  struct ln_chain *outer; /* a forward's handler */
  size_t next_hook;
  struct ln_run *run; /* NULL when the handler has ended */
  uint64_t token;
  struct ln_msg *msg; /* counted */
  ln_reply_fn done;
  void *arg;
};

/* The session counts it until it is finished, closed or aborted. msg and sink (NULL: the general
 * one) are counted by it; method is a row of mcp/method.c. NULL: out of memory. */
struct ln_exchange *ln_exchange_new(struct ln_session *s, struct ln_msg *msg,
                                    const struct ln_method *method, struct ln_sink *sink);
/* An exchange for making a session's lists without a request: rules that take ctx get it as the ctx
 * of a request of this method without params, under g. To be ended by ln_exchange_close. NULL: out
 * of memory. */
struct ln_exchange *ln_exchange_stand_in(struct ln_session *s, struct ln_generation *g,
                                         const char *method);
void ln_exchange_ref(struct ln_exchange *x);
void ln_exchange_unref(struct ln_exchange *x); /* NULL is fine */
static inline bool ln_exchange_ended(const struct ln_exchange *x) {
  return x->state == LN_EXCHANGE_ENDED;
}
/* The client's request under way with this raw id, or NULL. */
struct ln_exchange *ln_exchange_find(struct ln_session *s, struct ln_str id);

/* Gets the reply instead of the sink, once. */
void ln_exchange_set_reply(struct ln_exchange *x, ln_reply_fn reply, void *arg);
/* It is a message of this server's, for the session's client. */
void ln_exchange_set_from_server(struct ln_exchange *x, struct ln_server *server);
/* The message in another form, with the same id and token (takes the reference). */
void ln_exchange_set_msg(struct ln_exchange *x, struct ln_msg *msg);
/* The client is asked for its answer under this id of the outbox's; 0: no longer. */
void ln_exchange_set_ask(struct ln_exchange *x, int64_t id);

/* Sets the component that it names, and its server (v counted by the call; both NULL: unknown). */
void ln_exchange_set_entry(struct ln_exchange *x, struct ln_view *v, const struct ln_entry *e);
/* What this message names was looked up last. */
void ln_exchange_set_named(struct ln_exchange *x, struct ln_msg *msg);
/* Sets the server that it goes to or comes from. */
void ln_exchange_set_server(struct ln_exchange *x, struct ln_server *server);
/* Sets the exchange that it is related to, or was made for (counted by the call; NULL: none). */
void ln_exchange_set_cause(struct ln_exchange *x, struct ln_exchange *cause);
/* What it asks for when it needs a view. */
static inline struct ln_view_request ln_exchange_views(struct ln_exchange *x, enum ln_kind kind,
                                                       enum ln_view_use use) {
  return (struct ln_view_request){.session = x->session,
                                  .gen = x->gen,
                                  .headers = x->headers,
                                  .x = x,
                                  .kind = kind,
                                  .use = use};
}
void ln_exchange_set_headers(struct ln_exchange *x, struct ln_bytes *headers); /* NULL is fine */
/* Counts it in session->in_flight until it ends. */
void ln_exchange_count(struct ln_exchange *x);
/* It came in this link: the answer goes there, and it is aborted when the link ends. */
void ln_exchange_set_asker(struct ln_exchange *x, struct ln_link *link);
void ln_exchange_forget_asker(struct ln_exchange *x);
/* The link ends: aborts the server's requests that came in it. */
void ln_exchange_link_ends(struct ln_link *link);
/* The reply of x's cause waits until x, a notification to the client, has ended. */
void ln_exchange_hold_cause(struct ln_exchange *x);

/* A call to a server for it, of msg with name_at replaced by name_with (NULL: unchanged). reply
 * gets the reply with the client's names, once, unless x ends before. NULL: out of memory. */
struct ln_call *ln_exchange_call(struct ln_exchange *x, struct ln_link *link, struct ln_msg *msg,
                                 struct ln_str name_at, struct ln_bytes *name_with,
                                 ln_reply_fn reply, void *arg);

/* over is called once, from inside what does that, when x ends or is called off, unless it is
 * unwatched before: nobody wants then what was waited for. w is its owner's until then. */
void ln_exchange_watch(struct ln_exchange *x, struct ln_exchange_wait *w,
                       void (*over)(struct ln_exchange_wait *w));
void ln_exchange_unwatch(struct ln_exchange_wait *w);

/* Sends the reply (takes its reference) with the exchange's id, and ends it. A second reply is
 * dropped. */
void ln_exchange_finish(struct ln_exchange *x, struct ln_msg *reply);
/* The same with an error of ours; code: JSON-RPC's. */
void ln_exchange_fail(struct ln_exchange *x, int code, const char *message);
/* Ends a notification, once its handlers have ended. */
void ln_exchange_close(struct ln_exchange *x);
/* Cancels everything under way for it: calls to servers, what is waited for, the request to the
 * client, the policy's own requests. The exchange itself goes on. */
void ln_exchange_call_off(struct ln_exchange *x, const char *reason);
/* Its client gave it up, but others wait for what it gives: it goes on, and ends with
 * ln_exchange_deserted. */
void ln_exchange_abandon(struct ln_exchange *x);
/* Nobody else waits for it now: ends it if its client has given it up. */
void ln_exchange_deserted(struct ln_exchange *x);
/* Ends it without a reply to the client: its sender cancelled it, or its session ended. The reply
 * function of an internal request gets an error, and so does a server that clients share. */
void ln_exchange_abort(struct ln_exchange *x);

#endif
