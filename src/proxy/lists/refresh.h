/* Before a client gets a list: fetching lists again that may have changed without list_changed. */
#ifndef LN_PROXY_LISTS_REFRESH_H
#define LN_PROXY_LISTS_REFRESH_H

#include "proxy/client/session.h"

/* Fetches those of that kind (ln_fetch_again), then calls then: at once when there are none. With
 * several servers none is waited for longer than start_timeout. s and gen, whose list it is, must
 * live until then. */
void ln_refresh(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                void (*then)(void *arg), void *arg);

#endif
