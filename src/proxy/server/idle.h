/* Sessions with servers that have nothing to do are ended after the server's idle_timeout, counted
 * from the last answer. What keeps one: calls, what the server asks, tasks, subscriptions of those
 * that it serves. That it ends is no failure: the next need opens another. */
#ifndef LN_PROXY_SERVER_IDLE_H
#define LN_PROXY_SERVER_IDLE_H

#include "proxy/server/link.h"

/* It is ready, or the server's idle_timeout is another. */
void ln_idle_start(struct ln_link *link);
/* A call has ended. */
void ln_idle_answered(struct ln_link *link);

#endif
