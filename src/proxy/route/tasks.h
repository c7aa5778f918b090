/* Requests about tasks (basic/utilities/tasks of 2025-11-25): tasks/get, result and cancel go to
 * the task's server; tasks/list is made of all servers' lists. */
#ifndef LN_PROXY_ROUTE_TASKS_H
#define LN_PROXY_ROUTE_TASKS_H

#include "proxy/exchange/exchange.h"

/* A client's tasks/get, result or cancel; its tasks/list. */
void ln_tasks_request(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);
void ln_tasks_list(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);
/* Why a server's request about a task of the client is refused; NULL: it is not. */
const char *ln_tasks_refusal(const struct ln_session *s, const struct ln_link *link,
                             const struct ln_msg *msg);
/* A client's reply to a server's tasks/list without the tasks of other servers. Takes and gives a
 * reference. */
struct ln_msg *ln_tasks_own_only(const struct ln_session *s, const struct ln_server *server,
                                 struct ln_msg *reply);

#endif
