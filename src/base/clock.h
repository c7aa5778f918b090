/* The clock that limits and deadlines are reckoned by: it only goes forward, whatever is done to
 * the time of day. Timers of the loop are in net/loop.h. */
#ifndef LN_BASE_CLOCK_H
#define LN_BASE_CLOCK_H

#include "base/base.h"

/* Nanoseconds since some moment. */
uint64_t ln_clock_ns(void);

#endif
