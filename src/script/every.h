/* lunette.every: the timers of a policy. */
#ifndef LN_SCRIPT_EVERY_H
#define LN_SCRIPT_EVERY_H

struct ln_policy;

void ln_policy_start_timers(struct ln_policy *p);
void ln_policy_stop_timers(struct ln_policy *p);

#endif
