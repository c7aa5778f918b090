/* notifications/…/list_changed from servers (server/tools, server/resources and server/prompts,
 * "List Changed Notification"): the list is fetched again, then clients are notified, once for all
 * changes meanwhile. */
#ifndef LN_PROXY_ROUTE_LIST_CHANGED_H
#define LN_PROXY_ROUTE_LIST_CHANGED_H

#include "proxy/server/link.h"

/* The server sent it in this link (msg is borrowed). */
void ln_list_changed_in(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind);
/* A link has no owner any more, or ends: what was to be fetched in it is not. */
void ln_list_changed_link_ends(struct ln_link *link);
/* A link is ready after one that was lost, and the server may list other things now: fetches again
 * the lists that are indexed, and notifies clients of those that differ. */
void ln_list_changed_reopened(struct ln_link *link);
/* For host->list_changed: notifies one client. */
void ln_list_changed_notify(struct ln_session *s, struct ln_server *server, enum ln_kind kind);

#endif
