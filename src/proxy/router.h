/* The router: every message from a client or a server passes here once, goes through the hooks
 * that match it, and on to where its row in the method table says. */
#ifndef LN_PROXY_ROUTER_H
#define LN_PROXY_ROUTER_H

#include "proxy/upstream.h"

/* A message from a client. sink: where the reply to it and what is related to it goes (counted when
 * needed; NULL: the session's general one). headers: JSON object of the HTTP request, or NULL
 * (borrowed). */
void ln_router_from_client(struct ln_session *s, struct ln_msg *msg, struct ln_sink *sink,
                           struct ln_bytes *headers);
/* A request on behalf of a session's client that no sink waits for: the command line's, a policy's.
 * msg's reference stays the caller's. reply is called at once or later. */
void ln_router_request(struct ln_session *s, struct ln_msg *msg, struct ln_exchange *cause,
                       ln_reply_fn reply, void *arg);
/* A client's request to a server: in the session that lasts where it is about that, else in the one
 * for a single request. name_at, name_with: see ln_call. */
void ln_router_send(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                    struct ln_str name_at, struct ln_bytes *name_with, ln_reply_fn done, void *arg);
/* A request or notification from a server; cause: the request on whose stream it came, or NULL. */
void ln_router_from_server(struct ln_link *link, struct ln_msg *msg, struct ln_call *cause);
/* A session with a server is there again after one that ended by itself: what it lists may be
 * something else now. Lists that had been fetched are fetched anew, and who sees another than
 * before is told (protocol rule 75). */
void ln_router_restarted(struct ln_link *link);
/* A list of that server has changed, and the session, which has none with it, couldn't hear: its
 * client is told. */
void ln_router_unheard(struct ln_session *s, struct ln_server *server, enum ln_kind kind);
/* The initialize request for a new upstream session. One reference, the caller's; NULL: out of
 * memory. */
struct ln_msg *ln_server_hello_request(struct ln_link *link);
/* The index for a session that has just been initialized with this reply (counted), and the
 * session of its owner is told. NULL: out of memory. */
struct ln_index *ln_router_index(struct ln_link *link, struct ln_msg *reply);
/* A server doesn't keep up with what is sent to it (or does again, or has gone): its client's
 * source stops. */
void ln_router_stalled(struct ln_link *link, bool stalled);

#endif
