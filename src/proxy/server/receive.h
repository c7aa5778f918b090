/* What comes in over a link: bytes become messages, responses find their calls, everything else
 * goes up. */
#ifndef LN_PROXY_SERVER_RECEIVE_H
#define LN_PROXY_SERVER_RECEIVE_H

#include "proxy/server/link.h"

/* As ln_channel_events.message: takes the reference. A batch (2025-03-26) is several messages. */
void ln_receive(struct ln_link *link, struct ln_bytes *bytes, uint64_t related);
/* A message was dropped, unread: the call that it must have answered, if that can be told,
 * fails with why. */
void ln_receive_dropped(struct ln_link *link, const char *why);

#endif
