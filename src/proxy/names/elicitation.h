/* Ids of elicitations by URL (client/elicitation). A server sends the id again in
 * notifications/elicitation/complete: the table of a session says whether its client was asked
 * under it. Equal ids of two servers are different ones to the client. */
#ifndef LN_PROXY_NAMES_ELICITATION_H
#define LN_PROXY_NAMES_ELICITATION_H

#include "proxy/client/session.h"

struct ln_elicitation {
  struct ln_list link;    /* in session->elicitations */
  uint64_t server;        /* its serial */
  struct ln_bytes *id;    /* the server's own, unescaped */
  struct ln_bytes *shown; /* the client's; may be the same block */
};

/* The client's id for a server's id, put into the table when it is new. Borrowed until the next
 * call; NULL: out of memory. A full table drops its oldest. */
struct ln_bytes *ln_elicitation_name(struct ln_session *s, const struct ln_server *server,
                                     struct ln_str id);
/* True when this client was asked under that id. */
bool ln_elicitation_asked(const struct ln_session *s, const struct ln_server *server,
                          struct ln_str id);
void ln_elicitation_free_all(struct ln_session *s);

#endif
