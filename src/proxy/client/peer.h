/* Who a client is, in either era of MCP: what its initialize said, or, without a session, what its
 * request says of it. Exchanges read this and not the session, so that a request that has none
 * finds its place. */
#ifndef LN_PROXY_CLIENT_PEER_H
#define LN_PROXY_CLIENT_PEER_H

#include "rpc/message.h"

enum ln_era { LN_ERA_LEGACY, LN_ERA_MODERN };
extern const char *const ln_era_names[]; /* as ctx.session.era says it */

struct ln_peer {
  enum ln_era era;
  struct ln_msg *said;        /* counted: what the slices below are of; NULL: it has said nothing */
  struct ln_str version;      /* the revision in force */
  struct ln_str client_info;  /* raw object */
  struct ln_str capabilities; /* raw object */
  int level;                  /* of the log that it wants, see ln_level_of; -1: it has set none */
};

/* One that has said nothing: the latest revision of the era, no capabilities. */
void ln_peer_init(struct ln_peer *p, enum ln_era era);
void ln_peer_deinit(struct ln_peer *p);
/* Takes what an initialize request says (lifecycle, "Initialization"). NULL, or what is wrong with
 * it: then the peer is as it was. */
const char *ln_peer_read_init(struct ln_peer *p, struct ln_msg *init_request);
/* The capability that it would need to be asked this, when it has not declared it; else NULL. */
const char *ln_peer_lacks(const struct ln_peer *p, struct ln_str method);

#endif
