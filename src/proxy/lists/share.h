/* Which clients share what a server lists, and its answer to initialize.
 *
 * What one client's session with a server makes the server list or say is never another client's.
 * So an index is shared only by sessions that the server can't tell apart (ln_index_key) and that
 * have used nothing (server/use.h); it holds what such a session fetched before it was used. With
 * the first use a session gets an index of its own, for good, and what is fetched from then on goes
 * there: nobody else reads an own index. A listing that two of them have is one in memory
 * (ln_listing_intern), as it is the same bytes from both. Completions are no use, so that a client
 * that asks for them goes on sharing what is known; but it publishes nothing any more: they carry
 * its words, and what it lists otherwise than known is its own use of the session.
 *
 * A server that answers two such clients differently is told apart from then on: nobody shares
 * anything of it until it is replaced. `lists = "own"` declares so from the start. Where all
 * clients share one link (session = "shared") its index is everybody's.
 */
#ifndef LN_PROXY_LISTS_SHARE_H
#define LN_PROXY_LISTS_SHARE_H

#include "proxy/lists/index.h"

/* For ln_link_events: the first use of a link; it ended and we didn't close it. That, or its being
 * cleared by the policy, ends with its session what that listed. */
void ln_share_used(struct ln_link *link);
void ln_share_lost(struct ln_link *link);
/* A link was initialized: it gets an index, and so do its session and others that have none for the
 * server and may share it. Clients are told where that changes what they see. LN_ENOMEM. */
int ln_share_initialized(struct ln_link *link) LN_CHECK;

/* A fetched listing, whose reference it takes. index: what it was fetched for; session: whose link
 * it came in, NULL: of a shared link; asker: the key of the session whose list request caused it,
 * 0: none. True when it is not what that session saw. doubted: the server may tell clients apart,
 * to be found out by asking both again. */
struct ln_share_fetched {
  struct ln_index *index;
  struct ln_session *session;
  struct ln_listing *listing;
  uint64_t asker;
  bool announced;           /* the server said in that link that it has changed */
  struct ln_index *doubted; /* set by the callee: counted, the shared index whose doubt began */
};
bool ln_share_took(struct ln_share_fetched *f);
/* The link that a list is to be asked for in again for this session, as what is indexed may not be
 * true any more: it is older than list_max_age and nobody would hear of changes (older: or would),
 * it went with its link, or the session's own has never listed. NULL: it is, or can't be asked. */
struct ln_link *ln_share_ask_again(struct ln_session *s, struct ln_index *index, enum ln_kind kind,
                                   bool older);
/* The link that index->by names, if it is open and nothing was used in it; else NULL. */
struct ln_link *ln_share_maker(const struct ln_index *index, enum ln_kind kind);
/* The server was seen to answer two clients differently that it can't tell apart: what differed. */
void ln_share_apart(struct ln_server *server, const char *what);
/* The server is declared with lists = "own" from now on: ends all sharing. */
void ln_share_none(struct ln_server *server);
/* The server is about to be freed. */
void ln_share_server_ends(struct ln_server *server);

#endif
