/* resources/subscribe and unsubscribe (server/resources, "Subscriptions"): a client's
 * subscriptions, as long as its session lasts. */
#ifndef LN_PROXY_ROUTE_SUBSCRIPTION_H
#define LN_PROXY_ROUTE_SUBSCRIPTION_H

#include "proxy/route/shared_state.h"

/* A request with the server's own URI in it; done gets the server's answer. */
void ln_subscription_request(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                             ln_reply_fn done, void *arg);
/* The link, which its owner doesn't share, is open: makes the client's subscriptions there. */
void ln_subscription_restore(struct ln_link *link);
/* Ends the session's subscriptions. */
void ln_subscription_session_ends(struct ln_session *s);
/* The session has another policy: ends those of its subscriptions that would be refused now, at the
 * server, too, once the lists are there that say so. */
void ln_subscription_reloaded(struct ln_session *s);
/* True while that goes on for some at this server: an update of this URI (its own) waits until
 * then.
 */
bool ln_subscription_unsure(struct ln_session *s, const struct ln_server *server,
                            struct ln_str uri);
/* False when an update of this URI (the server's own) is not for the session's client: rules hide
 * it from whatever request of it subscribed to it, and from one without headers or like its last.
 */
bool ln_subscription_shows(struct ln_session *s, const struct ln_server *server, struct ln_str uri,
                           uint64_t *steps);
/* Makes it one at another server; NULL: ends it. */
void ln_subscription_move(struct ln_subscription *sub, struct ln_server *to);

#endif
