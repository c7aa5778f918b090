/* Who is meant: from the name or URI in a request to the component it stands for, by the rules that
 * made the lists. What they hide can't be meant, under whatever name or spelling. */
#ifndef LN_PROXY_NAMES_RESOLVE_H
#define LN_PROXY_NAMES_RESOLVE_H

#include "proxy/exchange/exchange.h"

/* Finds what msg is about, waiting for lists where it must, and calls found once with the
 * exchange's view, entry and upstream set (no entry: the only server's, and nobody looked); or done
 * with the refusal. */
void ln_resolve(struct ln_exchange *x, struct ln_msg *msg,
                void (*found)(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done,
                              void *arg),
                ln_reply_fn done, void *arg);

#endif
