/* What many clients have said to the one session with a server that they share (mode "shared"): the
 * level of its log and the resources that they listen to. The server is told what is right for all
 * of them: the most verbose level that somebody has set, and of a resource while somebody listens.
 * What it knows already is not said again; what a client's end leaves nobody to want is taken back;
 * a server that is started again is told everything (protocol rule 75). A client that has set no
 * level has no say in it.
 *
 * One request at a time for each of these: two on connections of their own could arrive in another
 * order, and one client's doing undo another's. */
#ifndef LN_PROXY_ROUTE_SHARED_STATE_H
#define LN_PROXY_ROUTE_SHARED_STATE_H

#include "proxy/exchange/exchange.h"

/* A resource that a client listens to. */
struct ln_subscription {
  struct ln_list link;           /* in session->subscriptions */
  struct ln_list topic_link;     /* in topic->listeners … */
  struct ln_shared_topic *topic; /* … of a shared server, while that lives; else NULL */
  struct ln_session *session;
  uint64_t server;      /* its serial: it may have gone */
  struct ln_bytes *key; /* the server's own URI, unescaped */
  struct ln_msg *msg;   /* counted: resources/subscribe as the server gets it */
};

/* A client's request for what msg says: logging/setLevel (the session's level is the new one
 * already), resources/subscribe or unsubscribe (msg has the server's own URI; a success is to be
 * noted as a subscription). done is called at once or later, unless x ends before. The reply
 * is the server's where it was asked, under its own names. */
void ln_shared_state_request(struct ln_server *server, struct ln_exchange *x, struct ln_msg *msg,
                             ln_reply_fn done, void *arg);
/* Sessions' levels are others than before; told to every shared server. */
void ln_shared_state_level_changed(struct ln_host *h);
/* A subscription at this server begins (its session and key are set), or ends: both for servers of
 * any mode. listen: LN_ENOMEM, and its session gets no updates. */
int ln_shared_state_listen(struct ln_subscription *sub, struct ln_server *server) LN_CHECK;
void ln_shared_state_unlisten(struct ln_subscription *sub);
/* The shared link is open and can be told, or is no more. */
void ln_shared_state_ready(struct ln_link *link);
void ln_shared_state_lost(struct ln_link *link);
/* Calls fn for each session that listens to the resource (the server's own URI, unescaped) or to
 * one that it is a part of, once. */
void ln_shared_state_updated(struct ln_link *link, struct ln_str uri,
                             void (*fn)(void *arg, struct ln_session *s), void *arg);
/* The server is freed. */
void ln_shared_state_free(struct ln_server *server);

#endif
