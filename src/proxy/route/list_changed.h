/* notifications/…/list_changed: a server's list is fetched again, then clients hear of it, once for
 * however many changes there were meanwhile. */
#ifndef LN_PROXY_ROUTE_LIST_CHANGED_H
#define LN_PROXY_ROUTE_LIST_CHANGED_H

#include "proxy/server/link.h"

/* The server has said so (msg is borrowed). */
void ln_list_changed_in(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind);
/* A link is there again after one that ended by itself: what it lists now may be something else.
 * Lists that had been fetched are fetched anew, and who sees another than before is told (protocol
 * rule 75). */
void ln_list_changed_reopened(struct ln_link *link);
/* A list of that server has changed, and the session, which has no link with it, couldn't hear: its
 * client is told. */
void ln_list_changed_notify(struct ln_session *s, struct ln_server *server, enum ln_kind kind);
/* To a client: the lists of the kinds that this server's capabilities promise are other ones. */
void ln_list_changed_announce(struct ln_session *s, struct ln_str capabilities);

#endif
