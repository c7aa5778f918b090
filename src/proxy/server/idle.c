/* Ending what is idle; see idle.h. No timer is touched by a call: the one that runs looks, when it
 * is over, how long ago the last answer was. */
#include "proxy/server/idle.h"

enum { LOOK_MS = 1000 }; /* how often at most it is seen whether what keeps one awake is over */

static uint64_t now_of(const struct ln_link *link) {
  return ln_loop_now(link->server->host->loop);
}

static bool is_needed(const struct ln_link *link) {
  return ln_link_busy(link) || !ln_list_empty(&link->asks) || !ln_list_empty(&link->tasks) ||
         link->paused || link->stalled || link->server->host->link_events->needed(link);
}

static void on_idle(struct ln_timer *t) {
  struct ln_link *link = LN_CONTAINER(t, struct ln_link, idle);
  uint64_t ms = link->server->conf->idle_ms, since = now_of(link) - link->answered_at;
  if (!ms || !ln_link_ready(link) || link->draining) return;
  uint64_t left = since < ms ? ms - since : 0;
  if (!left && is_needed(link)) left = LN_MIN(ms, (uint64_t)LOOK_MS);
  if (left) {
    ln_timer_start(link->server->host->loop, t, left, on_idle);
    return;
  }
  LN_LOG(link->server->host->log, INFO, link->server->topic,
         "a session ends: there was nothing to do for %g s (idle_timeout)", (double)ms / 1000);
  ln_link_sleep(link, "there was nothing to do for idle_timeout");
}

void ln_idle_start(struct ln_link *link) {
  uint64_t ms = link->server->conf->idle_ms;
  ln_timer_stop(&link->idle);
  if (!link->answered_at) link->answered_at = now_of(link);
  if (ms && link->use == LN_LINK_LASTING && ln_link_ready(link))
    ln_timer_start(link->server->host->loop, &link->idle, ms, on_idle);
}

void ln_idle_answered(struct ln_link *link) {
  link->answered_at = now_of(link);
}
