/* Starting and closing hosts; see host_life.h. */
#include "proxy/serve/host_life.h"

#include "proxy/route/link_events.h"
#include "proxy/route/list_changed.h"
#include "proxy/route/session_end.h"
#include "proxy/server/generation.h"
#include "proxy/server/link.h"
#include "transport/fetch.h"

int ln_host_life_start(struct ln_host *h, struct ln_policy *policy, const char **why) {
  ln_host_set_settings(h, &ln_policy_decls(policy)->settings);
  h->end_session = ln_session_end;
  h->link_events = &ln_link_events;
  h->list_changed = ln_list_changed_notify;
  h->gen = ln_generation_new(h, policy, why);
  return h->gen ? LN_OK : LN_EINVALID;
}

static void fetcher_closed(void *arg) {
  struct ln_host *h = arg;
  h->fetcher = NULL;
  ln_host_check_closed(h);
}

void ln_host_life_close(struct ln_host *h, void (*closed)(void *arg), void *arg) {
  LN_ASSERT(!h->closing);
  h->closing = true;
  LN_LIST_EACH(l, &h->sessions) {
    ln_session_end(LN_CONTAINER(l, struct ln_session, link));
  }
  LN_LIST_EACH(l, &h->servers) {
    struct ln_server *server = LN_CONTAINER(l, struct ln_server, link);
    LN_LIST_EACH(m, &server->links) {
      ln_link_close(LN_CONTAINER(m, struct ln_link, link), "Lunette is shutting down");
    }
  }
  h->closed = closed;
  h->closed_arg = arg;
  LN_LIST_EACH(l, &h->policies) ln_policy_end(ln_policy_of_link(l));
  ln_generation_unref(h->gen);
  h->gen = NULL;
  if (h->fetcher) ln_fetcher_close(h->fetcher, fetcher_closed, h);
  ln_host_check_closed(h);
}
