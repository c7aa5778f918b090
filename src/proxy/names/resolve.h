/* From the name or URI in a request to the component that it names, by the lists that clients see.
 * What rules hide can't be used, under any name or spelling. */
#ifndef LN_PROXY_NAMES_RESOLVE_H
#define LN_PROXY_NAMES_RESOLVE_H

#include "proxy/exchange/exchange.h"

/* Finds the component that msg names, after fetching lists if needed (again where they are old,
 * before it is refused), sets it in x and calls found; or calls done with an error. With one server
 * and no rules only x->server is set, without a look into lists. */
void ln_resolve(struct ln_exchange *x, struct ln_msg *msg,
                void (*found)(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done,
                              void *arg),
                ln_reply_fn done, void *arg);

#endif
