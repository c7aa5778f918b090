/* What is in force between two reloads: a policy and the servers that it declared. Immutable but
 * for the servers' own state; sessions and exchanges count the one they began under. */
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
  struct ln_map by_prefix;    /* the first server of each prefix: where it is in servers */
  size_t longest_prefix;
  size_t n_servers;
  bool components[LN_KINDS]; /* the policy has components of its own of this kind */
  struct ln_map warned;      /* by ln_generation_warn_once: struct ln_bytes, by topic and text */
};

/* Servers that are declared as in the generation in force are taken over from it. Takes the
 * policy's reference, also when it fails: NULL with *why. One reference, the caller's. */
struct ln_generation *ln_generation_new(struct ln_host *h, struct ln_policy *policy,
                                        const char **why);
struct ln_generation *ln_generation_ref(struct ln_generation *g);
void ln_generation_unref(struct ln_generation *g); /* NULL is fine */
/* True when the server is one of its servers. */
bool ln_generation_has(const struct ln_generation *g, const struct ln_server *server);
/* Whose a presented name is by its beginning, wherever it comes from: the first server of the
 * longest prefix that fits it. An index into servers; n_servers: nobody's. */
size_t ln_generation_owner(const struct ln_generation *g, struct ln_str name);
/* A presented name without the prefix of this server, if it has that. */
struct ln_str ln_generation_native(const struct ln_generation *g, const struct ln_server *server,
                                   struct ln_str name);
/* Logs a warning once while this policy is in force: for what is found each time a list is made. */
void ln_generation_warn_once(struct ln_generation *g, const char *topic, const char *fmt, ...)
    LN_PRINTF(3, 4);

#endif
