/* How many descriptors the process may have. All that the system allows, but children start with
 * what we were given: some count on few. The last are kept back, for whom there must always be one.
 */
#ifndef LN_NET_DESCRIPTORS_H
#define LN_NET_DESCRIPTORS_H

#include "net/loop.h"

/* Raises the soft limit to the hard one. */
void ln_descriptors_raise(struct ln_loop *l);
/* For as long as a child is started the limit is the one that we were given, unless starting it
 * would not be possible then: true. restore sets the child's in that case. */
bool ln_descriptors_lower(struct ln_loop *l);
void ln_descriptors_restore(struct ln_loop *l, bool lowered, int pid /* 0: none */);
/* A number from which on they are kept back. */
int ln_descriptors_kept(const struct ln_loop *l);
/* Whether the next one would be one of those. Asks the kernel. */
bool ln_descriptors_scarce(const struct ln_loop *l);

#endif
