/* The host itself; see host.h. Its beginning and its end are in serve/host_life.c. */
#include "proxy/core/host.h"

#include "script/shared.h"
#include "script/watchdog.h"
#include "transport/fetch.h"

void ln_host_init(struct ln_host *h, struct ln_loop *loop, struct ln_log *log) {
  *h = (struct ln_host){.loop = loop, .log = log};
  ln_list_init(&h->sessions);
  ln_ledger_init(&h->ledger);
  ln_list_init(&h->views);
  ln_list_init(&h->variants);
  ln_list_init(&h->servers);
  ln_list_init(&h->policies);
  h->fetcher = ln_fetcher_new(loop);
  h->shared = ln_shared_new();
  h->watchdog = ln_watchdog_new(log);
  if (!h->watchdog) LN_LOG(log, WARN, "watchdog", "not running: no thread for it");
}

void ln_host_set_settings(struct ln_host *h, const struct ln_settings *s) {
  h->settings = *s;
  h->ledger.limits[LN_SHORT_SESSIONS] =
      (struct ln_limits){s->max_sessions, s->max_sessions_per_peer};
  h->ledger.limits[LN_SHORT_BYTES] = (struct ln_limits){s->max_buffered_bytes, 0};
}

void ln_host_check_closed(struct ln_host *h) {
  if (!h->closing || !h->closed || !ln_list_empty(&h->sessions)) return;
  if (!ln_list_empty(&h->servers) || h->fetcher) return;
  void (*closed)(void *) = h->closed;
  h->closed = NULL;
  closed(h->closed_arg);
}

void ln_host_deinit(struct ln_host *h) {
  LN_ASSERT(ln_list_empty(&h->servers) && ln_list_empty(&h->views) && ln_list_empty(&h->variants));
  ln_ledger_deinit(&h->ledger);
  ln_shared_unref(h->shared);
  ln_watchdog_free(h->watchdog);
  *h = (struct ln_host){0};
}
