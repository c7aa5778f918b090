/* Completions (server/utilities/completion) under rules on resources: what a client may not read is
 * not proposed to it either. */
#ifndef LN_PROXY_ROUTE_COMPLETION_H
#define LN_PROXY_ROUTE_COMPLETION_H

#include "proxy/exchange/exchange.h"

/* Where there are such rules, puts in *done and *arg what is to get the server's reply to msg (a
 * completion/complete that x has been resolved for) in place of them, and hands it on without those
 * values
 * - of a template's variable of which only URIs come that rules hide (where others of its variables
 * are not known yet, globs on URIs alone can tell);
 * - that are URIs of hidden resources.
 * LN_ENOMEM: nothing was changed, and the reply must not be handed on. */
int ln_completion_filter(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn *done,
                         void **arg) LN_CHECK;

#endif
