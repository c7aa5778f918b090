/* Restoring sessions after a restart: an id that another process made (the one before this, or
 * another with the same key) has all that is needed to make its session again (session_id.h). */
#ifndef LN_PROXY_HTTP_RESTORE_H
#define LN_PROXY_HTTP_RESTORE_H

#include "proxy/http/session_id.h"
#include "proxy/http/session_table.h"

/* How many restored sessions that have ended are remembered, so that they are not restored again.
 * The oldest is forgotten (and would be restored). */
enum { LN_RESTORE_ENDED_MAX = 16384 };

struct ln_restorer {
  struct ln_session_table *table;
  struct ln_map ended;              /* by name, to its place in ring */
  char (*ring)[LN_SESSION_ID_NAME]; /* NULL: none yet */
  size_t next;
};

/* Serves a request that has waited. */
typedef void (*ln_restore_serve_fn)(struct ln_restorer *rs, struct ln_http_request *r);

/* Sets table->on_end. */
void ln_restore_init(struct ln_restorer *rs, struct ln_session_table *table);
void ln_restore_deinit(struct ln_restorer *rs);
/* A request for a session that is not in the table (hs NULL), or is being restored. If another
 * process made the id, the session is made again under it: the client's initialize is repeated, and
 * requests that come meanwhile wait and are then passed to serve. refusal is set to
 * LN_REFUSAL_DEFERRED, or to why it can't be restored: the same for an invalid id and for a session
 * that has ended. */
void ln_restore_session(struct ln_restorer *rs, struct ln_http_request *r, struct ln_str id,
                        struct ln_http_session *hs, ln_restore_serve_fn serve,
                        struct ln_refusal *refusal);
/* Ends a session of another process that was not restored, so that it will not be. False: it could
 * not be restored anyway. */
bool ln_restore_end(struct ln_restorer *rs, struct ln_str id);

#endif
