/* One message under way: from its arrival, through the policy's handlers and to whoever answers it,
 * to its reply.
 *
 * It lives while it is under way, while a run of the policy holds it, or while a call at a server
 * belongs to it. A request is answered exactly once: by ln_exchange_finish, or by nobody after
 * ln_exchange_abort. It works by the generation that it began under, whatever is reloaded. */
#ifndef LN_PROXY_EXCHANGE_EXCHANGE_H
#define LN_PROXY_EXCHANGE_EXCHANGE_H

#include "proxy/client/session.h"
#include "proxy/lists/view.h"
#include "proxy/server/link.h"

enum ln_exchange_state {
  LN_EXCHANGE_UNDER_WAY,
  LN_EXCHANGE_CLOSING, /* a notification that has been dealt with, but for handlers that still run
                        */
  LN_EXCHANGE_ENDED
};

struct ln_exchange {
  struct ln_list link; /* in session->exchanges until it has ended */
  uint32_t refs;
  enum ln_exchange_state state;
  struct ln_session *session; /* counted: whose client it is from, or for */
  const struct ln_peer *peer; /* who that client is; lives as long as the session */
  struct ln_generation *gen;  /* counted: what it began under */
  struct ln_msg *msg;         /* as it came; of a server's with the client's names in it */
  const struct ln_method *method;
  struct ln_sink *sink; /* counted; NULL: general, or internal */
  ln_reply_fn reply;    /* gets the reply instead of the sink */
  void *reply_arg;
  struct ln_bytes *headers; /* of the HTTP request (headers.h), counted, or NULL */

  /* What it is about, once resolved. */
  struct ln_view *view; /* counted; keeps entry alive */
  const struct ln_entry *entry;
  struct ln_server *server; /* where it goes or comes from; not counted: gen has it */
  bool moved;               /* route/use.c: a handler forwarded it under another name, which entry
                               may be of */

  struct ln_list calls;      /* struct ln_call under way for it */
  struct ln_list chain;      /* struct ln_chain */
  struct ln_exchange *cause; /* counted: what a server's message is related to, or what a policy's
                                own request was made for */
  bool counted;              /* it is a request of the client: in session->in_flight */
  bool initializes;          /* route/initialize.c: the initialize that the session took */
  double progress;           /* mcp/progress.c: the last one told of it */
  unsigned handlers;         /* hooks.c: of the policy's, that run for it */
  unsigned called_off;       /* forwards of its handlers that were over before their answer */

  /* Notifications go before the reply of what they are about. */
  unsigned holds;      /* notifications for it that a policy still has in hand */
  bool holding;        /* it is one of those of its cause */
  struct ln_msg *held; /* the reply that waits for them */

  /* From a server. */
  bool from_server;
  struct ln_link *asker; /* who asked; NULL when it has gone, or is to get no answer */
  struct ln_list asker_link;
  int64_t ask_id; /* in the outbox, while the client is being asked; 0: it is not */
};

/* A step through the policy's handlers (one that runs, or one forward of it) or on a reply's way
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
void ln_exchange_unref(struct ln_exchange *x); /* NULL is fine */
static inline bool ln_exchange_ended(const struct ln_exchange *x) {
  return x->state == LN_EXCHANGE_ENDED;
}
/* The session's request of the client under this raw id, or NULL. */
struct ln_exchange *ln_exchange_find(struct ln_session *s, struct ln_str id);

/* Gets the reply instead of the sink, once. */
void ln_exchange_set_reply(struct ln_exchange *x, ln_reply_fn reply, void *arg);
/* It is a message of this server's, for the session's client. */
void ln_exchange_set_from_server(struct ln_exchange *x, struct ln_server *server);
/* The message in another form, with the same id and token (takes the reference). */
void ln_exchange_set_msg(struct ln_exchange *x, struct ln_msg *msg);
/* The client is asked for its answer under this id of the outbox's; 0: no longer. */
void ln_exchange_set_ask(struct ln_exchange *x, int64_t id);

/* What it is about, and whose that is (v counted by the call; both NULL: nothing known). */
void ln_exchange_set_entry(struct ln_exchange *x, struct ln_view *v, const struct ln_entry *e);
/* The server that it goes to or comes from, or is meant for with no entry. */
void ln_exchange_set_server(struct ln_exchange *x, struct ln_server *server);
/* It is made for, or related to, another one (counted by the call; NULL: to none). */
void ln_exchange_set_cause(struct ln_exchange *x, struct ln_exchange *cause);
void ln_exchange_set_headers(struct ln_exchange *x, struct ln_bytes *headers); /* NULL is fine */
/* It counts as a request of the client until it ends. */
void ln_exchange_count(struct ln_exchange *x);
/* It came over this link: the answer goes there, and the link's end is its end. */
void ln_exchange_set_asker(struct ln_exchange *x, struct ln_link *link);
void ln_exchange_forget_asker(struct ln_exchange *x);
/* The link ends, and with it what the server asked there. */
void ln_exchange_link_ends(struct ln_link *link);
/* Its reply waits for x, a notification that is on its way to the client. */
void ln_exchange_hold_cause(struct ln_exchange *x);

/* A call for it, of msg with name_at replaced by name_with (NULL: as it is). reply gets the answer
 * as the client is to see it, once, unless x ends before. NULL: out of memory. */
struct ln_call *ln_exchange_call(struct ln_exchange *x, struct ln_link *link, struct ln_msg *msg,
                                 struct ln_str name_at, struct ln_bytes *name_with,
                                 ln_reply_fn reply, void *arg);

/* The reply is here (takes its reference): goes out with the exchange's own id, and the exchange
 * ends. A second one is dropped. */
void ln_exchange_finish(struct ln_exchange *x, struct ln_msg *reply);
void ln_exchange_fail(struct ln_exchange *x, int code, const char *message);
/* A notification has been dealt with, or will be when its handlers have ended. */
void ln_exchange_close(struct ln_exchange *x);
/* What servers, the client and the policy's own requests still work at for it is not needed any
 * more; the exchange itself goes on. What was looked up for it meanwhile compares called_off with
 * what it was at the start, and begins nothing. */
void ln_exchange_call_off(struct ln_exchange *x, const char *reason);
/* No reply will come: cancelled by its sender, or its session ended. */
void ln_exchange_abort(struct ln_exchange *x);

#endif
