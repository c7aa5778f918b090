/* Progress must increase with each notification of it (the specification's "Progress"). */
#ifndef LN_MCP_PROGRESS_H
#define LN_MCP_PROGRESS_H

#include "rpc/message.h"

/* True when msg, a notifications/progress, reports more than *last, which it then becomes. Without
 * a number to compare it is true, and *last stays. */
bool ln_progress_increases(double *last, const struct ln_msg *msg);

#endif
