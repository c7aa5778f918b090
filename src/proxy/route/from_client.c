/* Messages from clients; see from_client.h. */
#include "proxy/route/from_client.h"

#include <stdio.h>

#include "mcp/content.h"
#include "mcp/flaw.h"
#include "proxy/exchange/hooks.h"
#include "proxy/lists/index.h"
#include "proxy/names/resolve.h"
#include "proxy/names/task.h"
#include "proxy/route/forward.h"
#include "proxy/route/initialize.h"
#include "proxy/route/level.h"
#include "proxy/route/lists.h"
#include "proxy/route/tasks.h"
#include "proxy/route/use.h"

enum { MAX_NESTED = 16 }; /* requests that a policy makes in handlers of each other */

/* --- requests, after the handlers --- */

static void native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  bool alone = x->gen->n_servers == 1;
  switch (x->method->route) {
    case LN_ROUTE_INITIALIZE: ln_initialize(x, msg, done, arg); return;
    case LN_ROUTE_PING: done(arg, ln_msg_result(LN_STR_LIT("{}"))); return;
    case LN_ROUTE_LIST: ln_lists_request(x, msg, done, arg); return;
    case LN_ROUTE_TASK: ln_tasks_request(x, msg, done, arg); return;
    case LN_ROUTE_TASK_LIST: ln_tasks_list(x, msg, done, arg); return;
    case LN_ROUTE_SET_LEVEL:
      if (!alone && !ln_index_any_has(x->session, "logging")) break;
      ln_level_request(x, msg, done, arg);
      return;
    case LN_ROUTE_COMPLETE:
      if (!alone && !ln_index_any_has(x->session, "completions")) break;
      /* fall through */
    case LN_ROUTE_USE:
    case LN_ROUTE_SUBSCRIBE: ln_use_forwarded(x, msg, done, arg); return;
    default: break;
  }
  ln_forward_to_only(x, msg, done, arg);
}

static void finished(void *arg, struct ln_msg *reply) {
  struct ln_exchange *x = arg;
  struct ln_session *s = x->session;
  /* A handler made an error of the answer to initialize. */
  if (x->initializes && reply->kind == LN_MSG_ERROR && s->state != LN_SESSION_GONE)
    ln_session_set_state(s, LN_SESSION_NEW);
  if (reply->kind == LN_MSG_RESULT && s->state != LN_SESSION_GONE) {
    const char *flaw = x->method->route == LN_ROUTE_USE ? ln_flaw_of_result(reply->result) : NULL;
    if (flaw)
      LN_LOG(x->session->host->log, WARN, x->server ? x->server->conf->name : "policy",
             "%.*s: %s; official clients refuse the whole result", LN_STR_ARG(x->msg->method),
             flaw);
    if (x->method->route == LN_ROUTE_USE && ln_content_version_lacks(x->peer->version))
      reply = ln_content_for_version(reply, x->peer->version);
  }
  ln_exchange_finish(x, reply);
}

static void through_hooks(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  static const struct ln_hooks_end end = {.native = native, .resolve = ln_resolve};
  ln_hooks_run(x, 0, msg, &end, done, arg);
}

static void start(struct ln_exchange *x) {
  switch (x->method->route) {
    case LN_ROUTE_USE:
    case LN_ROUTE_SUBSCRIBE:
    case LN_ROUTE_COMPLETE:
      /* A completion that no server can answer isn't resolved. */
      if (x->method->route != LN_ROUTE_COMPLETE || x->gen->n_servers == 1 ||
          ln_index_any_has(x->session, "completions")) {
        ln_resolve(x, x->msg, through_hooks, finished, x);
        return;
      }
      through_hooks(x, x->msg, finished, x);
      return;
    default: through_hooks(x, x->msg, finished, x); return;
  }
}

/* --- incoming messages --- */

static void request_in(struct ln_session *s, struct ln_msg *msg, struct ln_sink *sink,
                       struct ln_bytes *headers) {
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_CLIENT);
  if (ln_exchange_find(s, msg->id)) {
    /* The client would take an error with that id for the answer to the first request. */
    LN_LOG(s->host->log, WARN, s->id,
           "dropped %.*s: a request with its id %.*s is under way already", LN_STR_ARG(msg->method),
           (int)LN_MIN(msg->id.n, (size_t)80), msg->id.p);
    if (sink && sink->ops->give_up) sink->ops->give_up(sink);
    return;
  }
  struct ln_exchange *x = ln_exchange_new(s, msg, method, sink);
  if (!x) {
    ln_outbox_fail(&s->outbox, sink, msg->id);
    return;
  }
  s->host->count.requests++;
  ln_exchange_set_headers(x, headers);
  if (headers) ln_session_set_headers(s, headers);
  ln_exchange_count(x);
  char text[640];
  const char *cased = ln_method_case_twin(method, msg->method);
  if (cased) {
    snprintf(text, sizeof text, "method \"%.*s\" differs from \"%s\" only by case",
             LN_STR_ARG(msg->method), cased);
    LN_LOG(s->host->log, WARN, s->id, "refused a message: %s", text);
    ln_exchange_fail(x, -32600, text);
  } else if (ln_str_starts(msg->method, "notifications/")) {
    ln_exchange_fail(x, -32601, "A notification has no id");
  } else if (s->state == LN_SESSION_NEW && method->route == LN_ROUTE_OTHER) {
    snprintf(text, sizeof text, "Method not found: %.*s", LN_STR_ARG(msg->method));
    ln_exchange_fail(x, -32601, text);
  } else if (s->state == LN_SESSION_NEW && method->route != LN_ROUTE_INITIALIZE &&
             method->route != LN_ROUTE_PING) {
    ln_exchange_fail(x, -32600, "Not initialized: send initialize first");
  } else if (s->in_flight > s->host->settings.max_in_flight) {
    ln_exchange_fail(x, -32603, "Too many requests at once");
  } else {
    start(x);
  }
}

static void cancelled_in(struct ln_session *s, struct ln_msg *msg) {
  struct ln_json_item id;
  if (!msg->params.p || !ln_json_get(msg->params, "requestId", &id)) return;
  struct ln_exchange *x = ln_exchange_find(s, id.value);
  if (!x || x->method->route == LN_ROUTE_INITIALIZE) return;
  if (ln_policy_followed(x->gen->policy, x)) {
    ln_exchange_abandon(x);
    return;
  }
  LN_LIST_EACH(l, &x->calls) {
    ln_call_cancel(LN_CONTAINER(l, struct ln_call, in_exchange), msg);
  }
  ln_exchange_abort(x);
}

/* A client's progress on a server's request, which has our token. */
static void progress_in(struct ln_session *s, struct ln_msg *msg) {
  int64_t token;
  if (!msg->progress_token.p || !ln_json_int(msg->progress_token, &token) || !token) return;
  LN_LIST_EACH(l, &s->exchanges) {
    struct ln_exchange *x = LN_CONTAINER(l, struct ln_exchange, link);
    if (!x->from_server || !x->asker || x->ask_id != token || !x->msg->progress_token.p) continue;
    struct ln_msg *m =
        ln_msg_edit(msg, &(struct ln_edit){msg->progress_token, x->msg->progress_token}, 1);
    if (m) ln_link_notify(x->asker, m);
    ln_msg_unref(m);
    return;
  }
  LN_LIST_EACH(l, &s->tasks) { /* the request was answered with a task */
    struct ln_task_entry *t = LN_CONTAINER(l, struct ln_task_entry, in_session);
    if (!t->of_client || t->over || !t->link || t->token != token) continue;
    struct ln_str asked = ln_bytes_str(t->asked_token);
    struct ln_msg *m = ln_msg_edit(msg, &(struct ln_edit){msg->progress_token, asked}, 1);
    if (m) ln_link_notify(t->link, m);
    ln_msg_unref(m);
    return;
  }
}

/* The status of a task that runs at the client, to the server that made the request. */
static bool task_status_in(struct ln_session *s, struct ln_msg *msg) {
  struct ln_bytes *id = msg->task_id.p ? ln_json_text(msg->task_id) : NULL;
  struct ln_task_entry *t = id ? ln_task_by_shown(s, true, ln_bytes_str(id)) : NULL;
  ln_bytes_unref(id);
  if (!t || !t->link) return false;
  ln_link_notify(t->link, msg);
  ln_task_note_status(t, msg);
  return true;
}

static void initialized_in(struct ln_session *s, struct ln_msg *msg) {
  if (s->state != LN_SESSION_INITIALIZED) return;
  ln_session_set_state(s, LN_SESSION_OPEN);
  LN_LIST_EACH(l, &s->links) {
    struct ln_link *link = LN_CONTAINER(l, struct ln_link, owner_link);
    if (link->state != LN_LINK_READY) continue;
    ln_link_client_initialized(link, msg);
    LN_LIST_RESTART(l, &s->links); /* sending may have ended other links */
  }
  ln_outbox_flush(&s->outbox);
}

static void notification_native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done,
                                void *arg) {
  struct ln_session *s = x->session;
  switch (x->method->route) {
    case LN_ROUTE_INITIALIZED: initialized_in(s, msg); break;
    case LN_ROUTE_CANCELLED: cancelled_in(s, msg); break;
    case LN_ROUTE_PROGRESS: progress_in(s, msg); break;
    case LN_ROUTE_TASK_STATUS:
      if (task_status_in(s, msg)) break;
      /* fall through */
    default:
      if (x->method->route != LN_ROUTE_BROADCAST && s->gen->n_servers != 1) break;
      LN_LIST_EACH(l, &s->links) {
        struct ln_link *link = LN_CONTAINER(l, struct ln_link, owner_link);
        if (link->state == LN_LINK_OPEN) ln_link_notify(link, msg);
      }
  }
  done(arg, NULL);
}

static void notified(void *arg, struct ln_msg *reply) {
  ln_msg_unref(reply);
  ln_exchange_close(arg);
}

static void notification_in(struct ln_session *s, struct ln_msg *msg, struct ln_sink *sink,
                            struct ln_bytes *headers) {
  s->host->count.notifications++;
  if (s->state == LN_SESSION_NEW) return;
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_CLIENT);
  if (ln_method_is_request(method) || ln_method_case_twin(method, msg->method)) {
    /* A lax server might carry it out as a request, or take another case for the same method; rules
     * would not have been applied to it. */
    LN_LOG(s->host->log, WARN, s->id, "%.*s as a notification was dropped",
           LN_STR_ARG(msg->method));
    return;
  }
  struct ln_exchange *x = ln_session_crowded(s) ? NULL : ln_exchange_new(s, msg, method, sink);
  if (!x) {
    LN_LOG(s->host->log, WARN, s->id, "too many notifications at once: dropped %.*s",
           LN_STR_ARG(msg->method));
    return;
  }
  ln_exchange_set_headers(x, headers);
  static const struct ln_hooks_end end = {.native = notification_native};
  ln_hooks_run(x, 0, msg, &end, notified, x);
}

/* Whether a session that has got this message is of use to its client. */
static bool asks(const struct ln_msg *msg) {
  return msg->kind == LN_MSG_REQUEST && !ln_str_is(msg->method, "initialize") &&
         !ln_str_is(msg->method, "ping");
}

void ln_from_client(struct ln_session *s, struct ln_msg *msg, struct ln_sink *sink,
                    struct ln_bytes *headers) {
  if (s->state == LN_SESSION_GONE) return;
  ln_session_touch(s, asks(msg));
  ln_loop_doing(s->host->loop, s->id,
                msg->method.p ? msg->method : LN_STR_LIT("a reply to a server"));
  ln_session_ref(s); /* it may end by this */
  switch (msg->kind) {
    case LN_MSG_REQUEST: request_in(s, msg, sink, headers); break;
    case LN_MSG_NOTIFICATION: notification_in(s, msg, sink, headers); break;
    default: ln_outbox_answer(&s->outbox, msg); break;
  }
  ln_session_unref(s);
}

/* The length of the chain of causes. */
static size_t depth_of(const struct ln_exchange *x) {
  size_t n = 0;
  for (; x; x = x->cause) n++;
  return n;
}

void ln_from_client_request(struct ln_session *s, struct ln_msg *msg, struct ln_exchange *cause,
                            ln_reply_fn reply, void *arg) {
  if (depth_of(cause) >= MAX_NESTED) {
    LN_LOG(s->host->log, ERROR, s->id, "a policy's own requests cause each other without end: %.*s",
           LN_STR_ARG(msg->method));
    reply(arg, ln_msg_error(-32603, "The policy calls itself too deeply", LN_STR_NONE));
    return;
  }
  struct ln_exchange *x =
      s->state == LN_SESSION_GONE
          ? NULL
          : ln_exchange_new(s, msg, ln_method_find(msg->method, LN_FROM_CLIENT), NULL);
  if (!x) {
    reply(arg, ln_msg_error(-32603, "The session has ended", LN_STR_NONE));
    return;
  }
  ln_exchange_set_reply(x, reply, arg);
  ln_exchange_set_cause(x, cause);
  if (cause) ln_exchange_set_headers(x, cause->headers);
  start(x);
}
