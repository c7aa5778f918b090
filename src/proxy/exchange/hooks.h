/* The policy's `on` handlers around a message: each that matches runs in the order written, the
 * first outermost; what it forwards goes to the next, and in the end to `native`. */
#ifndef LN_PROXY_EXCHANGE_HOOKS_H
#define LN_PROXY_EXCHANGE_HOOKS_H

#include "proxy/exchange/exchange.h"

/* Where a message goes when no handler is left: calls done(arg, reply) once, with NULL for
 * notifications. msg is borrowed. */
typedef void (*ln_hooks_native)(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done,
                                void *arg);

/* Runs msg through the handlers that match from index `from` on. */
void ln_hooks_run(struct ln_exchange *x, size_t from, struct ln_msg *msg, ln_hooks_native native,
                  ln_reply_fn done, void *arg);

/* Runs the call msg through all layers of the transform of the tool that x is about
 * (x->entry->transform), then to native. */
void ln_hooks_transform(struct ln_exchange *x, struct ln_msg *msg, ln_hooks_native native,
                        ln_reply_fn done, void *arg);

#endif
