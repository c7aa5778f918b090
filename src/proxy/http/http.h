/* The transports of clients over HTTP. */
#ifndef LN_PROXY_HTTP_HTTP_H
#define LN_PROXY_HTTP_HTTP_H

#include "proxy/core/host.h"

struct ln_http_front;
/* host is an address; port 0: any that is free. On failure *why says what: LN_EPARAMS (no address),
 * LN_ESYSTEM, LN_ENOMEM. */
int ln_http_front_start(struct ln_host *h, const char *host, uint16_t port,
                        struct ln_http_front **out, const char **why) LN_CHECK;
uint16_t ln_http_front_port(const struct ln_http_front *f);
/* Whether only this machine reaches it. While it listens. */
bool ln_http_front_on_loopback(const struct ln_http_front *f);
/* Accepts no more connections and sessions; those there are go on. */
void ln_http_front_drain(struct ln_http_front *f);
/* Ends the listening streams (GET), each in order. */
void ln_http_front_end_listening(struct ln_http_front *f);
/* Ends all sessions and closes all connections; closed is called last, from the loop. */
void ln_http_front_close(struct ln_http_front *f, void (*closed)(void *arg), void *arg);

#endif
