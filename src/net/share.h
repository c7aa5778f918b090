/* Whose turn it is. What comes from one peer, over however many connections, is worked at for some
 * ms of a turn of the loop; the rest of it waits for the next one, while what comes from others is
 * served at once. A stream's peer is its payer (ln_stream_set_payer): one account, so nobody waits
 * for another peer's connections. Among connections of one peer, of whom many may be behind one
 * proxy, each is read once before any is read again. */
#ifndef LN_NET_SHARE_H
#define LN_NET_SHARE_H

#include "base/account.h"

/* A turn is known by its loop time. What a stream knows of it; zeroed at first. */
struct ln_share_place {
  uint64_t turn;  /* loop time of its last read … */
  uint32_t round; /* … and the peer's round, in which it was */
};

/* Whether a stream of that peer may read now; never asked without a peer. */
bool ln_share_turn(struct ln_account *a, uint64_t turn, struct ln_share_place *p);
/* Around work for it; NULL is fine. Of one inside another only the outer one counts. */
bool ln_share_begin(struct ln_account *a, uint64_t turn) LN_CHECK;
void ln_share_end(struct ln_account *a, bool begun);
/* Whether it has had its part of this turn: asked between two pieces of work. */
bool ln_share_over(struct ln_account *a, uint64_t turn);

#endif
