/* Between an upstream session and its requests: what link.c and call.c do for each other.
 */
#ifndef LN_PROXY_UREQUEST_H
#define LN_PROXY_UREQUEST_H

#include "proxy/upstream.h"

/* The key of a number in the table of requests; borrows it. */
static inline struct ln_str ln_call_key(const int64_t *id) {
  return (struct ln_str){(const char *)id, sizeof *id};
}
/* A request with its deadline running, not yet sent. NULL: out of memory. */
struct ln_call *ln_call_new(struct ln_link *link, struct ln_msg *msg, ln_reply_fn fn, void *arg);
/* Numbers it and sends it. */
void ln_call_send(struct ln_link *link, struct ln_call *r);
/* Its reply is here (takes the reference): gone when this returns. */
void ln_call_end(struct ln_call *r, struct ln_msg *reply);
/* Its reply is an error that names the server; fmt has one %s, for why. */
void ln_call_fail(struct ln_call *r, const char *fmt, const char *why);
/* Sends what waited, after notifications/initialized. */
void ln_link_flush(struct ln_link *link);

#endif
