/* Callbacks of links; see link_events.h. */
#include "proxy/route/link_events.h"

#include "proxy/client/make_room.h"
#include "proxy/client/pool.h"
#include "proxy/lists/share.h"
#include "proxy/names/rewrite_views.h"
#include "proxy/names/task.h"
#include "proxy/route/from_server.h"
#include "proxy/route/init_request.h"
#include "proxy/route/level.h"
#include "proxy/route/list_changed.h"
#include "proxy/route/subscription.h"
#include "proxy/server/receive.h"

/* A new link gets the log level and subscriptions that its clients set before. */
static void opened(struct ln_link *link) {
  if (ln_server_is_shared(link->server) && link->server->shared == link)
    ln_shared_state_ready(link);
  if (!link->owner) return;
  ln_level_restore(link);
  bool single = link->use == LN_LINK_SINGLE || link->use == LN_LINK_SINGLE_TASK;
  if (!single) ln_subscription_restore(link);
}

/* First the table of tasks is updated, since rewriting needs it. */
static void replied(struct ln_call *call, struct ln_msg *reply) {
  ln_task_server_replied(call, reply);
  ln_rewrite(call->x, call->calls->server, reply, call->reply, call->arg);
  ln_msg_unref(reply);
}

/* What a server says is kept for the client whose link it is, until it is passed on. */
static void received(struct ln_link *link, struct ln_bytes *bytes, uint64_t related) {
  if (link->owner) ln_bytes_charge(bytes, link->owner->purse);
  ln_receive(link, bytes, related);
}

static void release(struct ln_exchange *x) {
  ln_exchange_unref(x);
}

static void disconnected(struct ln_call *call, uint64_t retry_ms) {
  struct ln_exchange *x = call->x;
  if (!ln_exchange_ended(x) && x->sink && x->session->on_disconnected)
    x->session->on_disconnected(x->session, x->sink, retry_ms);
}

static bool listens(const struct ln_session *s, const struct ln_server *server) {
  LN_LIST_EACH(l, &s->subscriptions) {
    if (LN_CONTAINER(l, struct ln_subscription, link)->server == server->serial) return true;
  }
  return false;
}

static bool needed(const struct ln_link *link) {
  if (link->owner) return listens(link->owner, link->server);
  LN_LIST_EACH(l, &link->server->host->sessions) {
    if (listens(LN_CONTAINER(l, struct ln_session, link), link->server)) return true;
  }
  return false;
}

static void stalled(struct ln_link *link, bool now) {
  if (link->owner) ln_session_stall(link->owner, now);
}

static void lost(struct ln_link *link) {
  ln_pool_link_lost(link);
  ln_share_lost(link);
}

static void detached(struct ln_link *link) {
  if (ln_server_is_shared(link->server)) ln_shared_state_lost(link);
  ln_pool_link_detached(link);
  ln_list_changed_link_ends(link);
}

static void ended(struct ln_link *link) {
  ln_exchange_link_ends(link);
  ln_task_link_ends(link);
}

static void freed(struct ln_link *link) {
  ln_index_set_link(link, NULL);
}

static void server_ends(struct ln_server *server) {
  ln_shared_state_free(server);
  ln_share_server_ends(server);
}

const struct ln_link_events ln_link_events = {
    .payer = ln_make_room_payer,
    .make_room = ln_make_room,
    .init_request = ln_init_request_for,
    .initialized = ln_init_request_answered,
    .opened = opened,
    .used = ln_share_used,
    .reopened = ln_list_changed_reopened,
    .received = received,
    .dropped = ln_receive_dropped,
    .message = ln_from_server,
    .replied = replied,
    .abandoned = ln_task_abandoned,
    .release = release,
    .disconnected = disconnected,
    .needed = needed,
    .stalled = stalled,
    .forgotten = ln_pool_link_forgotten,
    .lost = lost,
    .asleep = ln_pool_link_lost,
    .detached = detached,
    .ended = ended,
    .freed = freed,
    .server_ends = server_ends,
};
