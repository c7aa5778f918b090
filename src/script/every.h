/* lunette.every: the timers of a policy. */
#ifndef LN_SCRIPT_EVERY_H
#define LN_SCRIPT_EVERY_H

struct ln_policy;

void ln_every_start(struct ln_policy *p);
void ln_every_stop(struct ln_policy *p);

#endif
