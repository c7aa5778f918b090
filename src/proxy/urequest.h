/* Between an upstream session and its requests: what usession.c and urequest.c do for each other.
 */
#ifndef LN_PROXY_UREQUEST_H
#define LN_PROXY_UREQUEST_H

#include "proxy/upstream.h"

/* The key of a number in the table of requests; borrows it. */
static inline struct ln_str ln_urequest_key(const int64_t *id) {
  return (struct ln_str){(const char *)id, sizeof *id};
}
/* A request with its deadline running, not yet sent. NULL: out of memory. */
struct ln_urequest *ln_urequest_new(struct ln_usession *us, struct ln_msg *msg, ln_reply_fn fn,
                                    void *arg);
/* Numbers it and sends it. */
void ln_urequest_send(struct ln_usession *us, struct ln_urequest *r);
/* Its reply is here (takes the reference): gone when this returns. */
void ln_urequest_end(struct ln_urequest *r, struct ln_msg *reply);
/* Its reply is an error that names the server; fmt has one %s, for why. */
void ln_urequest_fail(struct ln_urequest *r, const char *fmt, const char *why);
/* Sends what waited, after notifications/initialized. */
void ln_usession_flush(struct ln_usession *us);

#endif
