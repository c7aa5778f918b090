/* See share.h. A peer's round begins when nobody of it had to wait in the turn before: then each of
 * its streams may read again. */
#include "net/share.h"

#include "base/clock.h"

enum { SHARE_NS = 4 * 1000 * 1000 };

static struct ln_share *share_now(struct ln_account *a, uint64_t turn) {
  struct ln_share *s = &a->share;
  if (s->turn == turn) return s;
  if (!s->waits) s->round++;
  s->turn = turn;
  s->spent = 0;
  s->waits = false;
  return s;
}

bool ln_share_turn(struct ln_account *a, uint64_t turn, struct ln_share_place *p) {
  struct ln_share *s = share_now(a, turn);
  if (s->spent >= SHARE_NS) {
    if (p->round != s->round) s->waits = true;
    return false;
  }
  if (p->round == s->round && p->turn != s->turn) return false;
  p->round = s->round;
  p->turn = s->turn;
  return true;
}

bool ln_share_begin(struct ln_account *a, uint64_t turn) {
  if (!a || a->share.since) return false;
  share_now(a, turn)->since = ln_clock_ns();
  return true;
}

void ln_share_end(struct ln_account *a, bool begun) {
  if (!begun) return;
  a->share.spent += ln_clock_ns() - a->share.since;
  a->share.since = 0;
}

bool ln_share_over(struct ln_account *a, uint64_t turn) {
  if (!a) return false;
  const struct ln_share *s = share_now(a, turn);
  return s->spent + (s->since ? ln_clock_ns() - s->since : 0) >= SHARE_NS;
}
