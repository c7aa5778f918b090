/* The guard: a process that outlives Lunette by a moment, to end the groups of its children when it
 * was killed and couldn't. One per loop, forked with the loop's first child. */
#ifndef LN_NET_GUARD_H
#define LN_NET_GUARD_H

#include "net/loop_impl.h"

/* Embedded in what owns a process group. */
struct ln_guarded {
  struct ln_list link;
  int group;
};

/* Sees to it that a guard runs. LN_ESYSTEM. */
int ln_guard_ready(struct ln_loop *l) LN_CHECK;
void ln_guard_add(struct ln_loop *l, struct ln_guarded *g, int group);
/* Fine for one that was never added (zeroed) and for one removed before. */
void ln_guard_remove(struct ln_loop *l, struct ln_guarded *g);

#endif
