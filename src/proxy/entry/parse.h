/* Parsing clients' messages, for all transports. */
#ifndef LN_PROXY_ENTRY_PARSE_H
#define LN_PROXY_ENTRY_PARSE_H

#include "proxy/core/host.h"
#include "rpc/message.h"

/* The limits for clients' messages. */
struct ln_msg_limits ln_parse_limits(const struct ln_host *h);
/* The error response for a text that is no message. One reference; NULL when out of memory.
 * Releases the fault's id. */
struct ln_bytes *ln_parse_fault(struct ln_msg_fault *f);

#endif
