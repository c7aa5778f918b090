/* An echo server and a client, for the scenarios of streams and of connecting. */
#ifndef SPEC_NET_DRIVER_ECHO_H
#define SPEC_NET_DRIVER_ECHO_H

#include "driver.h"

struct server {
  struct ln_loop *l;
  struct ln_listener *listener;
  int accepted, closed, full, drained, ends, end_errors;
  size_t max_queued;
  bool stays; /* else it listens until its first connection has closed */
};

/* Listens on 127.0.0.1; the port. accept_fn is echo_accept (an echo that stops reading while its
 * queue is full), or the scenario's own. */
uint16_t serve(struct ln_loop *l, struct server *v, void (*accept_fn)(void *, struct ln_stream *));
void echo_accept(void *arg, struct ln_stream *s);

struct client {
  struct ln_loop *l;
  struct ln_stream *s;
  struct ln_timer timer;
  struct ln_listener *closes; /* closed when the client is gone */
  const char *message;        /* sent when connected, if any */
  size_t want;                /* bytes to receive before ending our side */
  size_t got;
  size_t low;   /* the low mark, when it isn't the default */
  uint64_t sum; /* of what came: order and bytes */
  int connects, err, ends, end_err, drains, closed;
  char why[256];
};

extern const struct ln_stream_ops client_ops;
void client_start(struct client *c, struct ln_loop *l, const char *host, uint16_t port,
                  uint64_t timeout_ms);
void say_client(const struct client *c);
uint64_t mix(uint64_t h, const char *p, size_t n);

#endif
