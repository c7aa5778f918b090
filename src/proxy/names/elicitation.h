/* Ids of elicitations by URL (client/elicitation), which a server makes up and names again when the
 * page is done: whose they are, so that notifications/elicitation/complete finds the client that
 * was asked, and so that two servers' equal ids are two to the client. */
#ifndef LN_PROXY_NAMES_ELICITATION_H
#define LN_PROXY_NAMES_ELICITATION_H

#include "proxy/client/session.h"

struct ln_elicitation {
  struct ln_list link;    /* in session->elicitations */
  uint64_t server;        /* its serial */
  struct ln_bytes *id;    /* the server's own, unescaped */
  struct ln_bytes *shown; /* the client's; may be the same block */
};

/* The client's name for a server's id, noted when it is new. Borrowed until the next call; NULL:
 * out of memory. The oldest are forgotten. */
struct ln_bytes *ln_elicitation_name(struct ln_session *s, const struct ln_server *server,
                                     struct ln_str id);
/* True when this client was asked under that id. */
bool ln_elicitation_asked(const struct ln_session *s, const struct ln_server *server,
                          struct ln_str id);
void ln_elicitation_free_all(struct ln_session *s);

#endif
