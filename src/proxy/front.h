/* Fronts: the ways in for clients. Each turns what its transport brings into sessions and
 * messages for the router, and is a sink for what comes back. */
#ifndef LN_PROXY_FRONT_H
#define LN_PROXY_FRONT_H

#include "proxy/session.h"

/* --- HTTP --- */

struct ln_front_http;
/* host is an address. LN_ESYSTEM with *why when it can't be listened on. */
int ln_front_http_start(struct ln_host *h, const char *host, uint16_t port,
                        struct ln_front_http **out, const char **why) LN_CHECK;
uint16_t ln_front_http_port(const struct ln_front_http *f);
/* No more connections, and no more sessions; those there are served. */
void ln_front_http_drain(struct ln_front_http *f);
/* Ends the streams that clients listen on, in order. */
void ln_front_http_hang_up(struct ln_front_http *f);
void ln_front_http_close(struct ln_front_http *f, void (*closed)(void *arg), void *arg);

/* --- the status pages (front_status.c)
 * -------------------------------------------------------------- */

/* Appends the body of /readyz; true when every server that must be is up. */
bool ln_front_ready(const struct ln_host *h, struct ln_buf *out);
/* Appends /metrics in Prometheus' text format. */
int ln_front_metrics(const struct ln_host *h, struct ln_buf *out) LN_CHECK;

#endif
