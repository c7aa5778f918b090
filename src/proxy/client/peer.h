/* What is known of a client, in either era of MCP: from its initialize request, or, without a
 * session, from the request itself. Exchanges read this and not the session, so that there can be
 * requests without a session. */
#ifndef LN_PROXY_CLIENT_PEER_H
#define LN_PROXY_CLIENT_PEER_H

#include "rpc/message.h"

enum ln_era { LN_ERA_LEGACY, LN_ERA_MODERN };
extern const char *const ln_era_names[]; /* as ctx.session.era says it */

struct ln_peer {
  enum ln_era era;
  struct ln_msg *said;       /* counted: the message that the slices below are in; NULL: none yet */
  struct ln_str version;     /* the revision in force */
  struct ln_str client_info; /* raw object */
  struct ln_str capabilities; /* raw object */
  int level;                  /* its log level (logging/setLevel), see ln_level_of; -1: none set */
};

/* Before its initialize: the latest revision of the era, no capabilities. */
void ln_peer_init(struct ln_peer *p, enum ln_era era);
void ln_peer_deinit(struct ln_peer *p);
/* Takes over what an initialize request says (lifecycle, "Initialization"). NULL, or what is wrong
 * with it: then the peer is unchanged. */
const char *ln_peer_read_init(struct ln_peer *p, struct ln_msg *init_request);
/* The client capability that a request of this method to it needs and that it lacks; NULL: none. */
const char *ln_peer_lacks(const struct ln_peer *p, struct ln_str method);

#endif
