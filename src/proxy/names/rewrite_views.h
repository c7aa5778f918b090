/* ln_rewrite_message for a message of an exchange: when it has URIs, the views by which they are
 * replaced are got first, as far as the session doesn't have them yet. */
#ifndef LN_PROXY_NAMES_REWRITE_VIEWS_H
#define LN_PROXY_NAMES_REWRITE_VIEWS_H

#include "proxy/exchange/exchange.h"

/* ready is called with the message (a reference), at once or later; not at all when x has ended
 * meanwhile. */
void ln_rewrite(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                ln_reply_fn ready, void *arg);

#endif
