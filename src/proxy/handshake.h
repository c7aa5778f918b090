/* initialize: each hop negotiates for itself. The client's request goes to every server that its
 * session needs (or is answered from what such a client's servers said before), and the answers
 * become one. */
#ifndef LN_PROXY_HANDSHAKE_H
#define LN_PROXY_HANDSHAKE_H

#include "proxy/router.h"

/* Starts the session with the client's initialize; done gets the reply. */
void ln_handshake_start(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);

/* Works out anew what the session's servers are offered: the client's capabilities plus what the
 * policy's handlers answer. For servers that are started from now on. */
int ln_handshake_offer(struct ln_session *s) LN_CHECK;

#endif
