/* Servers that are started with Lunette (start = "eager"). One that all clients share is opened as
 * for the first of them. A child of a client's own is only started: who its client is, and what
 * that can do, is said to it when there is one. */
#ifndef LN_PROXY_SERVER_START_H
#define LN_PROXY_SERVER_START_H

#include "proxy/server/link.h"

/* Starts it, if it is declared so and nothing of it is there yet. */
void ln_start_eager(struct ln_server *server);
/* The one that was started ahead, as a link that was just opened for this use; NULL: none. */
struct ln_link *ln_start_take(struct ln_server *server, struct ln_session *owner,
                              enum ln_link_use use);

#endif
