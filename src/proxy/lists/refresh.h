/* Before a client gets a list, or is told that a name is in none: fetching lists again that may
 * have changed without list_changed. */
#ifndef LN_PROXY_LISTS_REFRESH_H
#define LN_PROXY_LISTS_REFRESH_H

#include "proxy/client/session.h"

/* Fetches those of that kind (ln_fetch_again), then calls then: at once when there are none. None
 * is waited for longer than start_timeout. */
void ln_refresh(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                void (*then)(void *arg), void *arg);

/* Before a name that no list shows is refused: fetches the lists of these kinds again, of one
 * server (NULL: of all), that are older than list_max_age, whether changes would be announced or
 * not. So names that are made up cost a request per list in that time. Then calls then, not at
 * once; the client is told of what is another list now. False: there are none, and then is not
 * called. */
bool ln_refresh_unknown(struct ln_session *s, struct ln_generation *gen, const enum ln_kind *kinds,
                        size_t n_kinds, const struct ln_server *only, void (*then)(void *arg),
                        void *arg);

#endif
