/* Who is at work on an HTTP request that stays open: its data points at the first member of that,
 * which is a pointer to one of these. */
#ifndef LN_PROXY_HTTP_HOLDER_H
#define LN_PROXY_HTTP_HOLDER_H

#include "transport/http_server.h"

struct ln_http_holder {
  void (*drained)(void *holder); /* may be NULL */
  void (*done)(void *holder, struct ln_http_request *r);
};

#endif
