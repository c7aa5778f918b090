/* What counts as use of a session with a server: after it the server may list other things to this
 * client than to others (lists/share.h). */
#ifndef LN_PROXY_SERVER_USE_H
#define LN_PROXY_SERVER_USE_H

#include "rpc/message.h"

/* True when this request or notification, sent to a server, is use. initialize, ping, list requests
 * and completions are not, nor is taking one of these back; everything else is, known or not. */
bool ln_use_is(const struct ln_msg *msg);

#endif
