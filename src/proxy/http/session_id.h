/* The session id of Streamable HTTP: an encrypted text (net/seal.h) with all that another process
 * needs to continue the session. SDK clients keep their id as long as they run and do not send
 * initialize again on 404 (2025-11-25, basic/transports, "Session Management"), so without this a
 * restart would cut all of them off.
 *
 * A session id is no authorization: it has only what the client said in initialize. Each request
 * must prove for itself whom it may act for; a principal known when the id is written belongs into
 * the seal's context, so that the id can be read for no other. No I/O but the seal's random
 * numbers. */
#ifndef LN_PROXY_HTTP_SESSION_ID_H
#define LN_PROXY_HTTP_SESSION_ID_H

#include "net/seal.h"

enum {
  LN_SESSION_ID_PARAMS =
      2048, /* bytes of initialize's params; of longer ones only the needed members are kept … */
  /* … so that the longest id, 2,795 characters, fits into the 4 KiB that HTTP proxies in front of
   * us (nginx by default) have for a response's head. */
  LN_SESSION_ID_MAX = 2816,
  LN_SESSION_ID_DAYS = 30, /* after which it is not valid any more */
  LN_SESSION_ID_NAME =
      LN_SEAL_NAME /* characters at its beginning, which are unique: tables go by them */
};

struct ln_session_id {
  uint32_t epoch;       /* the process that wrote it */
  uint64_t issued;      /* seconds since 1970 */
  struct ln_str params; /* of the client's initialize, or their needed members */
};

#ifndef LN_FFI
/* What tables of ids go by: to hash all of an id would take a thirtieth of a request's time. Who
 * was given an id still compares all of it, for others may know the name. */
static inline struct ln_str ln_session_id_name(struct ln_str id) {
  return (struct ln_str){id.p, LN_MIN(id.n, (size_t)LN_SESSION_ID_NAME)};
}
#endif

/* Appends the id to out. Of longer params only protocolVersion, capabilities and clientInfo's name
 * and version are kept; LN_ELIMIT when that is too long too. LN_ENOMEM, LN_ESYSTEM. */
int ln_session_id_write(const unsigned char key[LN_SEAL_KEY], const struct ln_session_id *id,
                        struct ln_buf *out) LN_CHECK;
/* Reads an id; params is a slice of plain, which must be empty. LN_EINVALID, whatever the reason:
 * not ours, altered, another key, too old. LN_ENOMEM. */
int ln_session_id_read(const unsigned char key[LN_SEAL_KEY], struct ln_str text, uint64_t now,
                       struct ln_buf *plain, struct ln_session_id *id) LN_CHECK;

#endif
