/* The end of sessions; see session_end.h. */
#include "proxy/route/session_end.h"

#include "proxy/client/pool.h"
#include "proxy/exchange/exchange.h"
#include "proxy/lists/index.h"
#include "proxy/lists/view.h"
#include "proxy/names/elicitation.h"
#include "proxy/names/task.h"
#include "proxy/route/level.h"
#include "proxy/route/subscription.h"

void ln_session_end(struct ln_session *s) {
  if (s->state == LN_SESSION_GONE) return;
  ln_session_set_state(s, LN_SESSION_GONE);
  ln_session_ref(s);
  LN_LIST_EACH(l, &s->exchanges) {
    ln_exchange_abort(LN_CONTAINER(l, struct ln_exchange, link));
    LN_LIST_RESTART(l, &s->exchanges);
  }
  while (s->in_flight) ln_session_end_request(s); /* some are counted without an exchange */
  ln_outbox_close(&s->outbox);
  ln_subscription_session_ends(s);
  ln_level_session_ends(s);
  ln_task_session_ends(s);
  ln_elicitation_free_all(s);
  /* From the start each time: closing a link may close others. */
  while (!ln_list_empty(&s->links))
    ln_link_close(LN_CONTAINER(s->links.next, struct ln_link, owner_link),
                  "the client's session has ended");
  ln_pool_drop_slots(s, ln_index_unref);
  ln_view_forget(s);
  ln_policy_session_end(s->gen->policy, s->key);
  ln_list_remove(&s->link);
  s->host->n_sessions--;
  ln_session_uncount(s);
  if (s->on_end) s->on_end(s, s->front);
  ln_host_check_closed(s->host);
  ln_session_unref(s);
}
