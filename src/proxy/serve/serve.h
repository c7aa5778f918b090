/* Serving: clients' transports, signals, and an orderly end. */
#ifndef LN_PROXY_SERVE_SERVE_H
#define LN_PROXY_SERVE_SERVE_H

#include "proxy/core/host.h"

struct ln_serve_conf {
  bool stdio;
  const char *host; /* an address to serve HTTP on, or NULL */
  uint16_t port;
  /* Loads the policy again, for SIGHUP and changed files: NULL with *why, to be freed. Adds the
   * files that it read to read, also on failure. */
  struct ln_policy *(*load)(void *arg, char **why, struct ln_sources *read);
  void *load_arg;
  bool watch; /* reload when a file that the policy was read from changes */
};

/* Serves until a signal, the end of the stdio client, or an error; runs the host's loop meanwhile,
 * and leaves the host closed. Returns the exit code: 0, or 1 with *why.
 *
 * SIGHUP reloads. SIGINT and SIGTERM end it once requests under way are answered, at most
 * drain_timeout later; a second SIGINT ends the process at once. */
int ln_serve(struct ln_host *h, const struct ln_serve_conf *conf, const char **why);

#endif
