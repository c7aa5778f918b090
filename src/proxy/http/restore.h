/* Sessions that outlive the process: an id that another process gave (the one before this, or one
 * of several with the same key) says enough to have its session again (session_id.h). */
#ifndef LN_PROXY_HTTP_RESTORE_H
#define LN_PROXY_HTTP_RESTORE_H

#include "proxy/http/session_id.h"
#include "proxy/http/session_table.h"

/* Sessions of other processes that have ended in this one, by the names of their ids: so many, then
 * the oldest is forgotten (and a client that keeps using it would have it again). */
enum { LN_RESTORE_ENDED_MAX = 16384 };

struct ln_restorer {
  struct ln_session_table *table;
  struct ln_map ended;              /* by name, to its place in ring */
  char (*ring)[LN_SESSION_ID_NAME]; /* NULL: none yet */
  size_t next;
};

/* Serves a request that waited, as it would have been served at once. */
typedef void (*ln_restore_serve_fn)(struct ln_restorer *rs, struct ln_http_request *r);

/* The table's, which tells it of sessions that end. */
void ln_restore_init(struct ln_restorer *rs, struct ln_session_table *table);
void ln_restore_deinit(struct ln_restorer *rs);
/* A request for a session that is not there (hs NULL) or not ready. With an id that another process
 * gave, the session is made again under it: the client's own initialize is repeated, and who asks
 * for the session meanwhile waits, to be given to serve afterwards. refusal is set to that
 * (LN_REFUSAL_DEFERRED), or to why not: an id that says nothing and one of a session that ended are
 * told the same. */
void ln_restore_session(struct ln_restorer *rs, struct ln_http_request *r, struct ln_str id,
                        struct ln_http_session *hs, ln_restore_serve_fn serve,
                        struct ln_refusal *refusal);
/* Ends a session of another process that is not there: it won't be restored. False: it could not
 * have been. */
bool ln_restore_end(struct ln_restorer *rs, struct ln_str id);

#endif
