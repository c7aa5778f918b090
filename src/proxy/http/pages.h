/* The pages about the host's state: /healthz, /readyz and /metrics. */
#ifndef LN_PROXY_HTTP_PAGES_H
#define LN_PROXY_HTTP_PAGES_H

#include "proxy/core/host.h"
#include "transport/http_server.h"

void ln_pages_health(struct ln_http_request *r);
/* 200 when no server is down but optional ones, and not draining; else 503. */
void ln_pages_ready(const struct ln_host *h, bool draining, struct ln_http_request *r);
void ln_pages_metrics(const struct ln_host *h, struct ln_http_request *r);

#endif
