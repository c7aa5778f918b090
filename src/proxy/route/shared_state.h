/* Log level and subscriptions of the clients that share a link (mode "shared"). The server gets the
 * most verbose level that a client has set, and is subscribed to a resource while any client is. It
 * gets a request only when that changes: also when a client's session ends, and for a new link.
 *
 * There is one request at a time for the level and for each resource: two at once on different
 * connections could arrive in another order. */
#ifndef LN_PROXY_ROUTE_SHARED_STATE_H
#define LN_PROXY_ROUTE_SHARED_STATE_H

#include "proxy/exchange/exchange.h"

/* A resource that a client is subscribed to. */
struct ln_subscription {
  struct ln_list link;           /* in session->subscriptions */
  struct ln_list topic_link;     /* in topic->listeners … */
  struct ln_shared_topic *topic; /* … of a shared server, while that lives; else NULL */
  struct ln_session *session;
  uint64_t server;          /* its serial: it may have gone */
  struct ln_bytes *key;     /* the server's own URI, unescaped */
  struct ln_msg *msg;       /* counted: resources/subscribe as the server gets it */
  struct ln_bytes *headers; /* counted, or NULL: of the client's request, by which rules see it */
  bool unsure;              /* subscription.c: made under another policy, not looked at since … */
  bool missed;              /* … while an update came */
};

/* A client's logging/setLevel (its session has the new level already), resources/subscribe or
 * unsubscribe (msg has the server's own URI; the caller notes the subscription when it succeeds).
 * done is called at once or later, unless x ends before. The reply is the server's where a request
 * was needed, with the client's names. */
void ln_shared_state_request(struct ln_server *server, struct ln_exchange *x, struct ln_msg *msg,
                             ln_reply_fn done, void *arg);
/* Some session's level has changed: tells every shared server whose level changes by that. */
void ln_shared_state_level_changed(struct ln_host *h);
/* A subscription at this server begins (its session and key are set), or ends: both for servers of
 * any mode. listen: LN_ENOMEM, and its session gets no updates. */
int ln_shared_state_listen(struct ln_subscription *sub, struct ln_server *server) LN_CHECK;
void ln_shared_state_unlisten(struct ln_subscription *sub);
/* The shared link is open, or lost. */
void ln_shared_state_ready(struct ln_link *link);
void ln_shared_state_lost(struct ln_link *link);
/* Calls fn once for each session that is subscribed to the resource (the server's own URI,
 * unescaped) or to one whose URI it begins with. */
void ln_shared_state_updated(struct ln_link *link, struct ln_str uri,
                             void (*fn)(void *arg, struct ln_session *s), void *arg);
/* The server is freed. */
void ln_shared_state_free(struct ln_server *server);

#endif
