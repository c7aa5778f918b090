/* What holds an HTTP request that stays open, and gets its events: request->data points to a struct
 * whose first member is a pointer to one of these. */
#ifndef LN_PROXY_HTTP_HOLDER_H
#define LN_PROXY_HTTP_HOLDER_H

#include "transport/http_server.h"

struct ln_http_holder {
  void (*drained)(void *holder); /* may be NULL */
  void (*done)(void *holder, struct ln_http_request *r);
};

#endif
