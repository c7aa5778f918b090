/* The policy's `on` handlers around a message: those that match run in the order written, the first
 * outermost; what one forwards goes to the next, and from the last to `native`. When it names
 * another component than before, that is looked up first: the handlers after it are those of what
 * is named now, and learn what it is. */
#ifndef LN_PROXY_EXCHANGE_HOOKS_H
#define LN_PROXY_EXCHANGE_HOOKS_H

#include "proxy/exchange/exchange.h"

/* What is done with a message after the last handler: calls done(arg, reply) once, with NULL for
 * notifications. msg is borrowed. */
typedef void (*ln_hooks_native)(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done,
                                void *arg);

/* Looks up what msg names, for x, then calls found with what it was given itself; or done, with an
 * error. */
typedef void (*ln_hooks_resolve)(struct ln_exchange *x, struct ln_msg *msg, ln_hooks_native found,
                                 ln_reply_fn done, void *arg);
struct ln_hooks_end {
  ln_hooks_native native;
  ln_hooks_resolve resolve; /* NULL: its messages name nothing that could be looked up */
  bool last;                /* the way there leads through the `last` handlers, else the others */
};

/* Runs msg through the handlers from index `from` on that match it. end outlives x. */
void ln_hooks_run(struct ln_exchange *x, size_t from, struct ln_msg *msg,
                  const struct ln_hooks_end *end, ln_reply_fn done, void *arg);

/* Runs a tools/call through its tool's whole transform (x->entry->transform), then to native.
 */
void ln_hooks_transform(struct ln_exchange *x, struct ln_msg *msg, ln_hooks_native native,
                        ln_reply_fn done, void *arg);

#endif
