/* Which client's child ends when another client needs one and there are as many as may be: the
 * peer's that has most of them, of sessions that have asked nothing, then of the longest unused.
 * Its session lives on: it gets another child when it needs one. For ln_link_events. */
#ifndef LN_PROXY_CLIENT_MAKE_ROOM_H
#define LN_PROXY_CLIENT_MAKE_ROOM_H

#include "proxy/client/session.h"
#include "proxy/server/link.h"

/* The account that a link of this session is charged to; NULL: of no session. Counted; NULL: out of
 * memory. */
struct ln_account *ln_make_room_payer(struct ln_host *h, struct ln_session *owner);
/* True: the payer may have one more child of this server (NULL: of any), of which there may be max,
 * though for a moment there are more. */
bool ln_make_room(struct ln_host *h, struct ln_server *server, struct ln_account *payer,
                  size_t max);

#endif
