/* The guard. */
#include "net/loop_impl.h"
void ln_guard_free(struct ln_loop *l) {
  (void)l;
}
