/* How many children there may be: of one server (max_children of its declaration) and in all. A
 * child counts until its link is freed, also while it ends. */
#ifndef LN_PROXY_SERVER_CHILDREN_H
#define LN_PROXY_SERVER_CHILDREN_H

#include "proxy/server/events.h"
#include "proxy/server/server.h"

/* A link of this session (NULL: of none) may start a child, which counts from now on: *payer is
 * whose it is (counted; NULL where none is started). False with *why (until the next call): there
 * are as many as may be, and nobody gives way. */
bool ln_children_take(struct ln_server *server, struct ln_session *owner, struct ln_account **payer,
                      const char **why);
/* It has gone. Takes the reference; NULL is fine. */
void ln_children_give(struct ln_server *server, struct ln_account *payer);

#endif
