/* lunette.every: timers that run a function of the policy in a coroutine, without a client. The
 * interval counts from the end of the last run, so that slow runs never overlap. */
#include "script/every.h"

#include <stdlib.h>

#include "script/run_impl.h"

static void arm(struct ln_policy_timer *t);

static void on_done(void *arg, struct ln_msg *reply) {
  struct ln_policy_timer *t = arg;
  ln_msg_unref(reply);
  if (!t->policy->retired) arm(t);
}

static void on_due(struct ln_timer *timer) {
  struct ln_policy_timer *t = LN_CONTAINER(timer, struct ln_policy_timer, timer);
  struct ln_run *run = ln_run_new(t->policy, LN_RUN_TIMER, t->index);
  if (!run) {
    arm(t);
    return;
  }
  run->done = on_done;
  run->arg = t;
  ln_run_begin(run);
}

static void arm(struct ln_policy_timer *t) {
  ln_timer_start(t->policy->host.loop, &t->timer, t->every_ms, on_due);
}

void ln_every_start(struct ln_policy *p) {
  if (!p->host.loop) return;
  LN_LIST_EACH(it, &p->timers) arm(LN_CONTAINER(it, struct ln_policy_timer, link));
}

/* Also called when the policy is freed: then the timers are freed too. */
void ln_every_stop(struct ln_policy *p) {
  LN_LIST_EACH(it, &p->timers) {
    struct ln_policy_timer *t = LN_CONTAINER(it, struct ln_policy_timer, link);
    ln_timer_stop(&t->timer);
    if (p->refs) continue;
    ln_list_remove(it);
    free(t);
  }
}
