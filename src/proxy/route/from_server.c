/* Messages from servers; see from_server.h. */
#include "proxy/route/from_server.h"

#include <stdio.h>

#include "mcp/progress.h"
#include "proxy/client/pool.h"
#include "proxy/exchange/hooks.h"
#include "proxy/lists/index.h"
#include "proxy/names/elicitation.h"
#include "proxy/names/rewrite.h"
#include "proxy/names/rewrite_views.h"
#include "proxy/names/task.h"
#include "proxy/route/list_changed.h"
#include "proxy/route/relay.h"
#include "proxy/route/shared_state.h"
#include "proxy/route/subscription.h"
#include "proxy/route/tasks.h"

/* --- what it is related to --- */

/* The client's tasks/result request for this task, on whose stream messages of the task go, or
 * NULL. */
static struct ln_exchange *waiting_for(struct ln_link *link, const struct ln_task_entry *t) {
  size_t i = 0;
  struct ln_map_slot *slot;
  struct ln_exchange *x = NULL;
  while (!x && ln_map_next(&link->calls.sent, &i, &slot)) {
    struct ln_call *other = slot->value;
    if (!other->x || ln_exchange_ended(other->x) || !ln_str_is(other->msg->method, "tasks/result"))
      continue;
    struct ln_bytes *key = ln_json_text(other->msg->task_id);
    if (key && ln_task_by_shown(other->x->session, false, ln_bytes_str(key)) == t) x = other->x;
    ln_bytes_unref(key);
  }
  return x;
}

/* The exchange that a server's message is related to: the one whose stream it came on. Over stdio,
 * which has no streams, the tasks/result request for its task t, else the latest call under way.
 * NULL: none; or the link is used by several clients, and it can't be known which one is meant. */
static struct ln_exchange *cause_of(struct ln_link *link, struct ln_call *call,
                                    const struct ln_task_entry *t) {
  if (call) return call->x;
  if (link->calls.channel->streams) return NULL; /* it came on no call's stream: unrelated */
  struct ln_exchange *waiting = t ? waiting_for(link, t) : NULL;
  if (waiting || (t && ln_link_mixed(link))) return waiting;
  if (!link->owner && ln_link_mixed(link)) return NULL;
  struct ln_exchange *latest = NULL;
  int64_t id = 0;
  size_t i = 0;
  struct ln_map_slot *slot;
  while (ln_map_next(&link->calls.sent, &i, &slot)) {
    struct ln_call *other = slot->value;
    if (other->x && !ln_exchange_ended(other->x) && other->id > id) {
      id = other->id;
      latest = other->x;
    }
  }
  return latest;
}

/* The only client there is, of a shared link that nobody else has ever used: what the server says
 * can be about no other. NULL: there are several, or none. */
static struct ln_session *only_client(const struct ln_link *link) {
  struct ln_session *only = link->draining ? NULL : ln_pool_only_session(link->server);
  bool its = only && only->state == LN_SESSION_OPEN && (!link->user || link->user == only->key);
  return its ? only : NULL;
}

static struct ln_session *session_of(struct ln_link *link, struct ln_exchange *cause,
                                     const struct ln_task_entry *t) {
  if (link->owner) return link->owner;
  return t ? t->session : cause ? cause->session : only_client(link);
}

/* --- requests --- */

static void ask_native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (x->method->route == LN_ROUTE_PING) { /* not passed on */
    done(arg, ln_msg_result(LN_STR_LIT("{}")));
    return;
  }
  /* The server was offered the capability because of a handler, which forwarded the request, or
   * because of another client. */
  const char *lacking = ln_peer_lacks(x->peer, msg->method);
  if (lacking &&
      (ln_policy_offers(x->gen->policy, msg->method) || ln_server_is_shared(x->server))) {
    char text[80];
    snprintf(text, sizeof text, "The client has no %s", lacking);
    done(arg, ln_msg_error(-32601, text, LN_STR_NONE));
    return;
  }
  int64_t id = ln_outbox_ask(&x->session->outbox, ln_relay_sink(x->cause), msg, done, arg);
  ln_exchange_set_ask(x, id);
  if (!id) done(arg, ln_msg_error(-32603, "The client can't be asked", LN_STR_NONE));
}

static void ask_done(void *arg, struct ln_msg *reply) {
  struct ln_exchange *x = arg;
  ln_task_client_replied(x, x->ask_id, reply);
  /* The server knows more of this client than of others now. */
  if (x->asker && x->method->route != LN_ROUTE_PING) ln_link_use_now(x->asker);
  ln_exchange_set_ask(x, 0);
  if (x->method->route == LN_ROUTE_TASK_LIST)
    reply = ln_tasks_own_only(x->session, x->server, reply);
  else
    reply = ln_rewrite_answer(x->session, x->server, reply);
  ln_exchange_finish(x, reply);
}

static void respond_error(struct ln_link *link, struct ln_str id, int code, const char *text) {
  struct ln_msg *m = ln_msg_error(code, text, LN_STR_NONE);
  if (m) ln_link_respond(link, id, m);
  ln_msg_unref(m);
}

/* The request with the client's names; its id and token are unchanged. */
static void ask_shown(void *arg, struct ln_msg *shown) {
  struct ln_exchange *x = arg;
  if (shown->kind == LN_MSG_ERROR) {
    ln_exchange_finish(x, shown);
    return;
  }
  static const struct ln_hooks_end end = {.native = ask_native};
  ln_exchange_set_msg(x, shown);
  ln_hooks_run(x, 0, x->msg, &end, ask_done, x);
}

static void request_in(struct ln_link *link, struct ln_msg *msg, struct ln_exchange *cause,
                       struct ln_session *s) {
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_SERVER);
  bool nobody = !s || s->state == LN_SESSION_GONE, crowded = !nobody && ln_session_crowded(s);
  if (method->route == LN_ROUTE_PING && (nobody || crowded)) { /* answered without handlers */
    struct ln_msg *m = ln_msg_result(LN_STR_LIT("{}"));
    if (m) ln_link_respond(link, msg->id, m);
    ln_msg_unref(m);
    return;
  }
  if (nobody) {
    respond_error(link, msg->id, -32601, "No client to ask: this connection is shared");
    return;
  }
  if (crowded) {
    respond_error(link, msg->id, -32603, "Too many requests at once");
    return;
  }
  const char *refused = method->route == LN_ROUTE_TASK ? ln_tasks_refusal(s, link, msg) : NULL;
  if (refused) {
    respond_error(link, msg->id, -32602, refused);
    return;
  }
  struct ln_exchange *x = ln_exchange_new(s, msg, method, NULL);
  if (!x) {
    respond_error(link, msg->id, -32603, "Out of memory");
    return;
  }
  ln_exchange_set_from_server(x, link->server);
  ln_exchange_set_asker(x, link);
  ln_exchange_set_cause(x, cause);
  ln_rewrite(x, link->server, msg, ask_shown, x);
}

static void cancelled_in(struct ln_link *link, struct ln_msg *msg) {
  struct ln_json_item id;
  if (!msg->params.p || !ln_json_get(msg->params, "requestId", &id)) return;
  LN_LIST_EACH(l, &link->asks) {
    struct ln_exchange *x = LN_CONTAINER(l, struct ln_exchange, asker_link);
    if (ln_exchange_ended(x) || !ln_str_eq(x->msg->id, id.value)) continue;
    if (x->ask_id) ln_outbox_ask_cancel(&x->session->outbox, x->ask_id, msg);
    ln_exchange_set_ask(x, 0);
    ln_exchange_forget_asker(x); /* a cancelled request gets no answer */
    ln_exchange_abort(x);
    return;
  }
}

/* --- notifications --- */

/* True for a log message of a shared server below this client's log level: the server has the most
 * verbose level of all its clients. */
static bool below_level(const struct ln_link *link, const struct ln_session *s,
                        const struct ln_msg *msg) {
  int level = ln_server_is_shared(link->server) && ln_str_is(msg->method, "notifications/message")
                  ? ln_level_of(msg->params)
                  : -1;
  return level >= 0 && level < s->peer.level;
}

/* A notification in a shared link that can't be attributed to a client. A log message goes to the
 * only client that has used the link, or, before any has, to those that set a level. When several
 * clients have used it, it goes to none, as it may be about another client's call. */
static void unattributed_in(struct ln_link *link, struct ln_msg *msg) {
  bool log = ln_server_is_shared(link->server) && ln_str_is(msg->method, "notifications/message"),
       told = false;
  LN_LIST_EACH(l, &link->server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    bool wants = link->user ? link->user == s->key : s->peer.level >= 0;
    if (!log || !wants || s->state != LN_SESSION_OPEN || !ln_index_of(s, link->server)) continue;
    told = true;
    if (!below_level(link, s, msg)) ln_relay(link->server, s, NULL, msg);
  }
  if (!told)
    LN_LOG(link->server->host->log, DEBUG, link->server->topic, "%.*s concerns no client: dropped",
           LN_STR_ARG(msg->method));
}

struct update {
  struct ln_link *link;
  struct ln_msg *msg;
  struct ln_bytes *uri; /* NULL: it has none */
  uint64_t steps;
};

static void one_updated(void *arg, struct ln_session *s) {
  struct update *up = arg;
  struct ln_server *server = up->link->server;
  if (!up->steps) return;
  if (up->uri && ln_subscription_unsure(s, server, ln_bytes_str(up->uri))) return;
  if (!up->uri || ln_subscription_shows(s, server, ln_bytes_str(up->uri), &up->steps))
    ln_relay_to_one_of_many(server, s, up->msg, &up->steps);
  else if (!up->steps)
    LN_LOG(s->host->log, WARN, server->topic,
           "its message was refused: more than %d steps of looking its URIs up", LN_MATCH_STEPS);
}

/* resources/updated: of a shared server to the clients that have subscribed; to nobody of what
 * rules hide, whether it was ever subscribed to or not. */
static void updated_in(struct ln_link *link, struct ln_msg *msg) {
  struct ln_bytes *uri = msg->uri.p ? ln_json_text(msg->uri) : NULL;
  struct update up = {link, msg, uri, LN_MATCH_STEPS};
  if (!ln_server_is_shared(link->server) && link->owner)
    one_updated(&up, link->owner);
  else if (!ln_server_is_shared(link->server))
    ln_relay_to_all(link->server, NULL, msg);
  else if (uri)
    ln_shared_state_updated(link, ln_bytes_str(uri), one_updated, &up);
  ln_bytes_unref(uri);
}

/* Progress of a task, which has the token of the request that made it. */
static void task_progress_in(struct ln_link *link, struct ln_task_entry *t, struct ln_msg *msg) {
  if (!ln_progress_increases(&t->progress, msg)) return;
  struct ln_exchange *waiting = waiting_for(link, t);
  if (waiting) {
    LN_LIST_EACH(l, &waiting->calls) {
      ln_call_progress(LN_CONTAINER(l, struct ln_call, in_exchange));
    }
  }
  struct ln_str token = {t->asked_token->data, t->asked_token->len};
  struct ln_msg *m = ln_msg_edit(msg, &(struct ln_edit){msg->progress_token, token}, 1);
  if (m) ln_relay(link->server, t->session, link->calls.channel->streams ? NULL : waiting, m);
  ln_msg_unref(m);
}

static void progress_in(struct ln_link *link, struct ln_msg *msg) {
  int64_t id;
  if (!msg->progress_token.p || !ln_json_int(msg->progress_token, &id)) return;
  struct ln_call *call = ln_calls_find(&link->calls, id);
  if (!call) { /* after the response: only a task can have progress */
    struct ln_task_entry *t = ln_task_by_token(&link->tasks, id);
    if (t && !t->over) task_progress_in(link, t, msg);
    return;
  }
  ln_call_progress(call);
  if (!call->x || ln_exchange_ended(call->x) || !call->msg->progress_token.p) return;
  struct ln_msg *m =
      ln_msg_edit(msg, &(struct ln_edit){msg->progress_token, call->msg->progress_token}, 1);
  if (m) ln_relay(link->server, call->x->session, call->x, m);
  ln_msg_unref(m);
}

static void task_status_in(struct ln_link *link, struct ln_msg *msg, struct ln_exchange *cause) {
  struct ln_bytes *id = msg->task_id.p ? ln_json_text(msg->task_id) : NULL;
  struct ln_task_entry *t =
      id ? ln_task_by_native(link->owner, link->server, ln_bytes_str(id)) : NULL;
  ln_bytes_unref(id);
  if (t) ln_task_note_status(t, msg);
  struct ln_session *s = link->owner ? link->owner : t ? t->session : NULL;
  if (s) ln_relay(link->server, s, cause, msg);
}

/* notifications/elicitation/complete, to the clients that were asked under this id. */
static void elicitation_done_in(struct ln_link *link, struct ln_msg *msg,
                                struct ln_exchange *cause) {
  struct ln_json_item it;
  if (link->owner) {
    ln_relay(link->server, link->owner, cause, msg);
    return;
  }
  struct ln_bytes *id = msg->params.p && ln_json_get(msg->params, "elicitationId", &it)
                            ? ln_json_text(it.value)
                            : NULL;
  LN_LIST_EACH(l, &link->server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (id && ln_elicitation_asked(s, link->server, ln_bytes_str(id)))
      ln_relay(link->server, s, NULL, msg);
  }
  ln_bytes_unref(id);
}

void ln_from_server(struct ln_link *link, struct ln_msg *msg, struct ln_call *call) {
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_SERVER);
  const struct ln_task_entry *t = ln_task_related(link, msg);
  struct ln_exchange *cause = cause_of(link, call, t);
  struct ln_session *s = session_of(link, cause, t);
  if (msg->kind == LN_MSG_REQUEST) {
    request_in(link, msg, cause, s);
    return;
  }
  link->server->host->count.notifications++;
  switch (method->route) {
    case LN_ROUTE_CANCELLED: cancelled_in(link, msg); break;
    case LN_ROUTE_PROGRESS: progress_in(link, msg); break;
    case LN_ROUTE_LIST_CHANGED: ln_list_changed_in(link, msg, method->kind); break;
    case LN_ROUTE_UPDATED: updated_in(link, msg); break;
    case LN_ROUTE_TASK_STATUS: task_status_in(link, msg, cause); break;
    case LN_ROUTE_ELICITED: elicitation_done_in(link, msg, cause); break;
    default:
      if (!s)
        unattributed_in(link, msg);
      else if (!below_level(link, s, msg))
        ln_relay(link->server, s, cause, msg);
  }
}
