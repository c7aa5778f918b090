/* Fronts: the ways in for clients. Each turns what its transport brings into sessions and
 * messages for the router, and is a sink for what comes back. */
#ifndef LN_PROXY_FRONT_H
#define LN_PROXY_FRONT_H

#include "proxy/session.h"

/* --- messages in --- */

/* The limits for what clients send. */
struct ln_msg_limits ln_front_limits(const struct ln_host *h);
/* The error for a text that is no message: {"jsonrpc":"2.0",["id":…,]"error":{…}}. One reference;
 * NULL when out of memory. Releases the fault's id. */
struct ln_bytes *ln_front_fault(struct ln_msg_fault *f);

/* A batch (2025-03-26): its responses go out together, as one array, when the last is there. What
 * is not a response goes to the outer sink at once. */
/* text is an array. Takes each element as a message of the session; answers through outer.
 * *requests says how many responses will come. LN_EINVALID with fault when the whole is no batch.
 */
int ln_front_batch(struct ln_session *s, struct ln_bytes *bytes, struct ln_str text,
                   struct ln_sink *outer, struct ln_bytes *headers, size_t *requests,
                   struct ln_msg_fault *fault) LN_CHECK;

/* --- stdio --- */

struct ln_front_stdio;
/* Serves one client on two descriptors, which are closed at the end. ended is called (from the
 * loop) when the client has closed its side and what it had asked was answered, or when writing to
 * it failed. NULL: out of memory. */
struct ln_front_stdio *ln_front_stdio_start(struct ln_host *h, int in, int out,
                                            void (*ended)(void *arg), void *arg);
/* No more input is read. */
void ln_front_stdio_drain(struct ln_front_stdio *f);
/* Ends the session and closes; closed is called last, from the loop. */
void ln_front_stdio_close(struct ln_front_stdio *f, void (*closed)(void *arg), void *arg);

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
