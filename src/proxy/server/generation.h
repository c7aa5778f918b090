/* What is in force between two reloads: a policy and the servers that it declared. Immutable but
 * for the servers' own state; sessions and whatever is under way hold the one they work by. */
#ifndef LN_PROXY_SERVER_GENERATION_H
#define LN_PROXY_SERVER_GENERATION_H

#include "base/map.h"
#include "proxy/server/server.h"

struct ln_generation {
  uint32_t refs;
  struct ln_host *host;
  struct ln_policy *policy; /* counted */
  const struct ln_policy_decls *decls;
  struct ln_server **servers; /* in the order declared; counted */
  char **prefixes;            /* of their names, NULL: none; without the separator */
  size_t n_servers;
  bool components[LN_KINDS]; /* the policy has components of its own of this kind */
  struct ln_map told; /* what ln_generation_tell has logged: struct ln_bytes, by topic and text */
};

/* With the servers of the one in force where they are declared as they were. Takes the policy's
 * reference, also when it fails: NULL with *why. One reference, the caller's. */
struct ln_generation *ln_generation_new(struct ln_host *h, struct ln_policy *policy,
                                        const char **why);
struct ln_generation *ln_generation_ref(struct ln_generation *g);
void ln_generation_unref(struct ln_generation *g); /* NULL is fine */
/* The server is one of its servers. */
bool ln_generation_has(const struct ln_generation *g, const struct ln_server *server);
/* Warns in the log of what is found anew with every list that is made: once while this policy is
 * in force. */
void ln_generation_tell(struct ln_generation *g, const char *topic, const char *fmt, ...)
    LN_PRINTF(3, 4);

#endif
