/* Serving: fronts on a host, signals, and an orderly end. */
#ifndef LN_PROXY_SERVE_SERVE_H
#define LN_PROXY_SERVE_SERVE_H

#include "proxy/core/host.h"

struct ln_serve_conf {
  bool stdio;
  const char *host; /* an address to serve HTTP on, or NULL */
  uint16_t port;
  /* Loads the policy anew, for SIGHUP and for changed files: NULL with *why, to be freed. read is
   * told of what it read, also on failure. */
  struct ln_policy *(*load)(void *arg, char **why, struct ln_sources *read);
  void *load_arg;
  bool watch; /* reload when a file that the policy was read from changes */
};

/* Serves until a signal, the end of the stdio client, or an error; blocks, running the host's loop,
 * and leaves the host closed. Returns the exit code: 0, or 1 with *why.
 *
 * SIGHUP reloads. SIGINT and SIGTERM end it when what is in flight is answered, at most
 * drain_timeout later; a second SIGINT ends the process at once. */
int ln_serve(struct ln_host *h, const struct ln_serve_conf *conf, const char **why);

#endif
