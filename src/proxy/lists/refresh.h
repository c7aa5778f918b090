/* What is done before a client is shown a list: servers whose lists may have changed without
 * anybody having been told are asked again. */
#ifndef LN_PROXY_LISTS_REFRESH_H
#define LN_PROXY_LISTS_REFRESH_H

#include "proxy/client/session.h"

/* then is called once the lists of that kind are as new as they can be had: at once when there is
 * nothing to ask. With several servers none is waited for longer than start_timeout. s and gen:
 * whose list it is; they live until then. */
void ln_refresh(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                void (*then)(void *arg), void *arg);

#endif
