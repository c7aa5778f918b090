/* The session id of Streamable HTTP: sealed into it (net/seal.h) is what a process that never saw
 * the session must know to go on with it. SDK clients keep their id for as long as they run and do
 * not initialize anew on 404, so an id that died with its process would take every client with it
 * (2025-11-25, basic/transports, "Session Management").
 *
 * A session id is no authorization: it says what its client said of itself. Whom a request may act
 * for is the request's own to prove; a principal known when the id is written belongs into the
 * seal's context, so that it opens for nobody else. No I/O but the seal's random numbers. */
#ifndef LN_PROXY_HTTP_SESSION_ID_H
#define LN_PROXY_HTTP_SESSION_ID_H

#include "net/seal.h"

enum {
  LN_SESSION_ID_PARAMS =
      2048, /* bytes of initialize's params; of longer ones the essence is kept … */
  /* … so that the longest id, 2,795 characters, fits into a head of the 4 KiB that HTTP proxies
   * before us (nginx by default) have room for. */
  LN_SESSION_ID_MAX = 2816,
  LN_SESSION_ID_DAYS = 30, /* after which it is not read any more */
  LN_SESSION_ID_NAME =
      LN_SEAL_NAME /* characters at its front that are nobody else's: a name for logs */
};

struct ln_session_id {
  uint32_t epoch;       /* the process that wrote it */
  uint64_t issued;      /* seconds since 1970 */
  struct ln_str params; /* of the client's initialize, or the essence of them */
};

/* Appends the id to out. Of longer params only protocolVersion, capabilities and clientInfo's name
 * and version are kept; LN_ELIMIT when that is too long too. LN_ENOMEM, LN_ESYSTEM. */
int ln_session_id_write(const unsigned char key[LN_SEAL_KEY], const struct ln_session_id *id,
                        struct ln_buf *out) LN_CHECK;
/* Reads an id; params is a slice of plain, which must be empty. LN_EINVALID, whatever the reason:
 * not ours, altered, another key, too old. LN_ENOMEM. */
int ln_session_id_read(const unsigned char key[LN_SEAL_KEY], struct ln_str text, uint64_t now,
                       struct ln_buf *plain, struct ln_session_id *id) LN_CHECK;

#endif
