/* The policy's transforms of one tool, one layer for each: calls pass them, which changes argument
 * names to the server's own, adds constants and defaults, and runs `call` functions. */
#ifndef LN_SCRIPT_TRANSFORM_H
#define LN_SCRIPT_TRANSFORM_H

#include "base/base.h"

struct ln_transform;

/* Counted; must not outlive the policy. */
struct ln_transform *ln_transform_ref(struct ln_transform *t);
void ln_transform_unref(struct ln_transform *t); /* NULL is fine */
/* How many layers it has: a call passes them from the last to the first. */
size_t ln_transform_layers(const struct ln_transform *t);

#endif
