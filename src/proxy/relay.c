/* Messages from servers: requests to the client that caused them, notifications to whom they
 * concern, in order and on the stream where they belong. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/catalogue.h"
#include "proxy/elicited.h"
#include "proxy/hooks.h"
#include "proxy/resolve.h"
#include "proxy/rewrite.h"
#include "proxy/router.h"
#include "proxy/share.h"
#include "proxy/task.h"

static struct ln_str str_of(const struct ln_bytes *b) {
  return (struct ln_str){b->data, b->len};
}

/* --- whom it concerns --- */

/* The request that waits for the result of this task: what the task has to say goes along with it.
 */
static struct ln_exchange *waiting_for(struct ln_link *link, const struct ln_task_entry *t) {
  size_t i = 0;
  struct ln_map_slot *slot;
  struct ln_exchange *x = NULL;
  while (!x && ln_map_next(&link->requests, &i, &slot)) {
    struct ln_call *r = slot->value;
    if (!r->x || r->x->ended || !ln_str_is(r->msg->method, "tasks/result")) continue;
    struct ln_bytes *key = ln_resolve_key(r->msg->task_id);
    if (key && ln_task_shown(r->x->session, false, (struct ln_str){key->data, key->len}) == t)
      x = r->x;
    ln_bytes_unref(key);
  }
  return x;
}

/* The exchange that a server's message is related to: the one whose stream it came on; without
 * streams (a child) the one that waits for the task t that it is related to, else the only one
 * under way, else the latest. NULL: none, or nobody can tell whose of those that share the child.
 */
static struct ln_exchange *cause_of(struct ln_link *link, struct ln_call *request,
                                    const struct ln_task_entry *t) {
  if (request) return request->x;
  if (link->channel->streams) return NULL; /* it would have told us: unrelated */
  struct ln_exchange *waiting = t ? waiting_for(link, t) : NULL;
  if (waiting || (t && link->mixed)) return waiting;
  if (!link->owner && link->mixed) return NULL;
  struct ln_exchange *latest = NULL;
  int64_t id = 0;
  size_t i = 0;
  struct ln_map_slot *slot;
  while (ln_map_next(&link->requests, &i, &slot)) {
    struct ln_call *r = slot->value;
    if (r->x && !r->x->ended && r->id > id) {
      id = r->id;
      latest = r->x;
    }
  }
  return latest;
}

/* The client's own exchange behind one that a policy or the command line made. */
static struct ln_exchange *root_of(struct ln_exchange *x) {
  while (x && x->cause && !x->from_server) x = x->cause;
  return x;
}

static struct ln_sink *sink_of(struct ln_exchange *cause) {
  struct ln_exchange *x = root_of(cause);
  return x && !x->ended ? x->sink : NULL;
}

static struct ln_session *session_of(struct ln_link *link, struct ln_exchange *cause,
                                     const struct ln_task_entry *t) {
  return link->owner ? link->owner : t ? t->session : cause ? cause->session : NULL;
}

/* --- requests --- */

static void ask_native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (x->method->route == LN_ROUTE_PING) { /* each hop answers its own */
    done(arg, ln_msg_result(LN_STR_LIT("{}")));
    return;
  }
  /* Asked because there is a handler, not because the client offered it. */
  const char *lacking = ln_session_lacks(x->session, msg->method);
  if (lacking && ln_policy_handles(x->gen->policy, msg->method)) {
    char text[80];
    snprintf(text, sizeof text, "The client has no %s", lacking);
    done(arg, ln_msg_error(-32601, text, LN_STR_NONE));
    return;
  }
  x->ask_id = ln_session_ask(x->session, sink_of(x->cause), msg, done, arg);
  if (!x->ask_id) done(arg, ln_msg_error(-32603, "The client can't be asked", LN_STR_NONE));
}

static void ask_done(void *arg, struct ln_msg *reply) {
  struct ln_exchange *x = arg;
  ln_task_answered(x, x->ask_id, reply);
  x->ask_id = 0;
  if (x->method->route == LN_ROUTE_TASK_LIST)
    reply = ln_task_own_only(x->session, x->server, reply);
  else
    reply = ln_rewrite_answer(x->session, x->server, reply);
  ln_exchange_finish(x, reply);
}

static void respond_error(struct ln_link *link, struct ln_str id, int code, const char *text) {
  struct ln_msg *m = ln_msg_error(code, text, LN_STR_NONE);
  if (m) ln_link_respond(link, id, m);
  ln_msg_unref(m);
}

static void ask_shown(void *arg, struct ln_msg *shown) { /* id and token stay */
  struct ln_exchange *x = arg;
  if (shown->kind == LN_MSG_ERROR) {
    ln_exchange_finish(x, shown);
    return;
  }
  ln_msg_unref(x->msg);
  x->msg = shown;
  ln_hooks_run(x, 0, x->msg, ask_native, ask_done, x);
}

static void request_in(struct ln_link *link, struct ln_msg *msg, struct ln_exchange *cause,
                       struct ln_session *s) {
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_SERVER);
  bool nobody = !s || s->state == LN_SESSION_GONE, crowded = !nobody && ln_session_crowded(s);
  if (method->route == LN_ROUTE_PING && (nobody || crowded)) { /* no handler's business */
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
  const char *refused = method->route == LN_ROUTE_TASK ? ln_task_refusal(s, link, msg) : NULL;
  if (refused) {
    respond_error(link, msg->id, -32602, refused);
    return;
  }
  struct ln_exchange *x = ln_exchange_new(s, msg, method, NULL);
  if (!x) {
    respond_error(link, msg->id, -32603, "Out of memory");
    return;
  }
  x->from_server = true;
  x->asker = link;
  x->server = link->server;
  ln_list_push(&link->asks, &x->asker_link);
  if (cause) {
    ln_exchange_ref(cause);
    x->cause = cause;
  }
  ln_rewrite(x, link->server, msg, ask_shown, x);
}

static void cancelled_in(struct ln_link *link, struct ln_msg *msg) {
  struct ln_json_item id;
  if (!msg->params.p || !ln_json_get(msg->params, "requestId", &id)) return;
  LN_LIST_EACH(l, &link->asks) {
    struct ln_exchange *x = LN_CONTAINER(l, struct ln_exchange, asker_link);
    if (x->ended || !ln_str_eq(x->msg->id, id.value)) continue;
    if (x->ask_id) ln_session_ask_cancel(x->session, x->ask_id, msg);
    x->ask_id = 0;
    x->asker = NULL; /* wants no answer */
    ln_exchange_abort(x);
    return;
  }
}

/* --- notifications --- */

static void notify(struct ln_session *s, struct ln_exchange *cause, struct ln_msg *msg) {
  struct ln_exchange *root = root_of(cause);
  /* Nothing of a request comes after its end. */
  if (root && ln_str_is(msg->method, "notifications/progress") &&
      (root->ended || !ln_progress_rises(&root->progress, msg)))
    return;
  /* What an internal request causes has no client to go to, unless one stands behind it. */
  if (root && root->reply && !root->sink && s->general == NULL) return;
  struct ln_out out;
  ln_out_init(&out, msg);
  ln_session_send(s, sink_of(cause), &out, false);
  ln_out_deinit(&out);
}

static void notify_native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  notify(x->session, x->cause, msg);
  done(arg, NULL);
}

static void notify_done(void *arg, struct ln_msg *reply) {
  ln_msg_unref(reply);
  ln_exchange_close(arg);
}

/* To one session, through its hooks; the reply of what it is related to waits for it. */
static void relay_shown(struct ln_link *link, struct ln_session *s, struct ln_exchange *cause,
                        struct ln_msg *msg) {
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_SERVER);
  if (s->gen->decls->n_hooks == 0) {
    notify(s, cause, msg);
    return;
  }
  struct ln_exchange *x = ln_session_crowded(s) ? NULL : ln_exchange_new(s, msg, method, NULL);
  if (!x) {
    LN_LOG_RATIONED(s->host->log, &link->ration, ln_loop_now(s->host->loop), WARN, link->topic,
                    "too many notifications at once: dropped %.*s", LN_STR_ARG(msg->method));
    return;
  }
  x->from_server = true;
  x->server = link->server;
  if (cause) {
    ln_exchange_ref(cause);
    x->cause = cause;
    x->holding = true;
    ln_exchange_hold(cause);
  }
  ln_hooks_run(x, 0, msg, notify_native, notify_done, x);
}

/* Each session has its own names for what the message is about. */
static void relay(struct ln_link *link, struct ln_session *s, struct ln_exchange *cause,
                  struct ln_msg *msg) {
  struct ln_msg *m = ln_rewrite_message(s, link->server, msg);
  if (m->kind != LN_MSG_ERROR) relay_shown(link, s, cause, m);
  ln_msg_unref(m);
}

static bool shared(const struct ln_link *link) {
  return link->server->conf->session == LN_SHARING_SHARED;
}

/* What a shared server logs for the most curious of its clients is too much for the others. */
static bool too_quiet(const struct ln_link *link, const struct ln_session *s,
                      const struct ln_msg *msg) {
  int level = shared(link) && ln_str_is(msg->method, "notifications/message")
                  ? ln_level_of(msg->params)
                  : -1;
  return level >= 0 && level < s->level;
}

/* A shared server's word that nobody can tell whose it is: a log message is for the only one who
 * has used it, or for who set a level before anybody has. Of several nobody hears it: it may be of
 * another's call. */
static void to_listeners(struct ln_link *link, struct ln_msg *msg) {
  bool log = shared(link) && ln_str_is(msg->method, "notifications/message"), told = false;
  LN_LIST_EACH(l, &link->server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    bool wants = link->user ? !link->mixed && link->user == s->key : s->level >= 0;
    if (!log || !wants || s->state != LN_SESSION_OPEN || !ln_session_index(s, link->server))
      continue;
    told = true;
    if (!too_quiet(link, s, msg)) relay(link, s, NULL, msg);
  }
  if (!told)
    LN_LOG(link->server->host->log, DEBUG, link->topic, "%.*s concerns no client: dropped",
           LN_STR_ARG(msg->method));
}

static void relay_to_all(struct ln_link *link, struct ln_msg *msg) {
  if (link->owner) {
    relay(link, link->owner, NULL, msg);
    return;
  }
  LN_LIST_EACH(l, &link->server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (s->state == LN_SESSION_OPEN) relay(link, s, NULL, msg);
  }
}

struct update {
  struct ln_link *link;
  struct ln_msg *msg;
};

static void one_updated(void *arg, struct ln_session *s) {
  struct update *up = arg;
  relay(up->link, s, NULL, up->msg);
}

/* To those who listen to it; who has the server alone has said so there. */
static void updated_in(struct ln_link *link, struct ln_msg *msg) {
  if (!shared(link)) {
    relay_to_all(link, msg);
    return;
  }
  struct ln_bytes *uri = msg->uri.p ? ln_resolve_key(msg->uri) : NULL;
  if (uri) ln_share_updated(link, str_of(uri), one_updated, &(struct update){link, msg});
  ln_bytes_unref(uri);
}

/* The token of the request that became a task holds until the task's end. */
static void task_progress_in(struct ln_link *link, struct ln_task_entry *t, struct ln_msg *msg) {
  if (!ln_progress_rises(&t->progress, msg)) return;
  struct ln_exchange *waiting = waiting_for(link, t);
  if (waiting) {
    LN_LIST_EACH(l, &waiting->requests) {
      ln_call_progress(LN_CONTAINER(l, struct ln_call, x_link));
    }
  }
  struct ln_str token = {t->asked_token->data, t->asked_token->len};
  struct ln_msg *m = ln_msg_edit(msg, &(struct ln_edit){msg->progress_token, token}, 1);
  if (m) relay(link, t->session, link->channel->streams ? NULL : waiting, m);
  ln_msg_unref(m);
}

static void progress_in(struct ln_link *link, struct ln_msg *msg) {
  int64_t id;
  if (!msg->progress_token.p || !ln_json_int(msg->progress_token, &id)) return;
  struct ln_call *r = ln_map_get(&link->requests, (struct ln_str){(const char *)&id, sizeof id});
  if (!r) { /* after the response: dropped, but for a task's */
    struct ln_task_entry *t = ln_task_by_token(&link->tasks, id);
    if (t && !t->over) task_progress_in(link, t, msg);
    return;
  }
  ln_call_progress(r);
  if (!r->x || r->x->ended || !r->msg->progress_token.p) return;
  struct ln_msg *m =
      ln_msg_edit(msg, &(struct ln_edit){msg->progress_token, r->msg->progress_token}, 1);
  if (m) relay(link, r->x->session, r->x, m);
  ln_msg_unref(m);
}

static void task_status_in(struct ln_link *link, struct ln_msg *msg, struct ln_exchange *cause) {
  struct ln_bytes *id = msg->task_id.p ? ln_resolve_key(msg->task_id) : NULL;
  struct ln_task_entry *t =
      id ? ln_task_native(link->owner, link->server, (struct ln_str){id->data, id->len}) : NULL;
  ln_bytes_unref(id);
  if (t) ln_task_told(t, msg);
  struct ln_session *s = link->owner ? link->owner : t ? t->session : NULL;
  if (s) relay(link, s, cause, msg);
}

/* To the clients that were asked under this id. */
static void elicitation_done_in(struct ln_link *link, struct ln_msg *msg,
                                struct ln_exchange *cause) {
  struct ln_json_item it;
  if (link->owner) {
    relay(link, link->owner, cause, msg);
    return;
  }
  struct ln_bytes *id = msg->params.p && ln_json_get(msg->params, "elicitationId", &it)
                            ? ln_resolve_key(it.value)
                            : NULL;
  LN_LIST_EACH(l, &link->server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (id && ln_elicitation_here(s, link->server, (struct ln_str){id->data, id->len}))
      relay(link, s, NULL, msg);
  }
  ln_bytes_unref(id);
}

/* --- changed lists --- */

struct change {
  struct ln_server *server;
  struct ln_session *session; /* counted; NULL: shared */
  struct ln_msg *msg;         /* counted */
  enum ln_kind kind;
  unsigned pending;
  bool ours; /* nobody said so: it is passed on if it is so */
  bool differs;
};

static void list_changed_in(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind, bool ours);

static void changed(void *arg, bool differs) {
  struct change *c = arg;
  c->differs |= differs;
  if (--c->pending) return;
  /* The server's word is passed on either way, as a client would hear it directly. */
  bool tell = !c->ours || c->differs;
  struct ln_host *h = c->server->host;
  struct ln_link as = {.server = c->server, .owner = c->session};
  if (tell && !h->closing && (!c->session || c->session->state != LN_SESSION_GONE))
    relay_to_all(&as, c->msg);
  struct ln_link *link = c->session ? ln_session_link(c->session, c->server) : c->server->shared;
  bool again = link && link->changed_again[c->kind];
  if (link) link->changing[c->kind] = link->changed_again[c->kind] = false;
  if (again) list_changed_in(link, c->msg, c->kind, c->ours);
  ln_msg_unref(c->msg);
  if (c->session) ln_session_unref(c->session);
  free(c);
}

static void list_changed_in(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind,
                            bool ours) {
  /* However often a server says so: one fetch at a time, and one more for all that came meanwhile.
   */
  if (link->changing[kind]) {
    link->changed_again[kind] = true;
    return;
  }
  struct change *c = calloc(1, sizeof *c);
  if (!c) return;
  link->changing[kind] = true;
  bool resources = kind == LN_KIND_RESOURCE;
  *c = (struct change){link->server,
                       link->owner ? ln_session_ref(link->owner) : NULL,
                       ln_msg_ref(msg),
                       kind,
                       resources ? 2 : 1,
                       ours,
                       false};
  ln_fetch_changed(link, kind, changed, c);
  if (resources) ln_fetch_changed(link, LN_KIND_TEMPLATE, changed, c);
}

void ln_router_restarted(struct ln_link *link) {
  static const enum ln_kind kinds[] = {LN_KIND_TOOL, LN_KIND_RESOURCE, LN_KIND_PROMPT};
  struct ln_index *c = link->owner ? ln_session_index(link->owner, link->server) : link->index;
  for (size_t i = 0; c && i < LN_COUNT(kinds); i++) {
    bool listed =
        c->listings[kinds[i]] || (kinds[i] == LN_KIND_RESOURCE && c->listings[LN_KIND_TEMPLATE]);
    struct ln_msg *m =
        listed ? ln_msg_notification(ln_kind_rows[kinds[i]].changed, LN_STR_NONE) : NULL;
    if (m) list_changed_in(link, m, kinds[i], true);
    ln_msg_unref(m);
  }
}

void ln_router_unheard(struct ln_session *s, struct ln_server *server, enum ln_kind kind) {
  struct ln_msg *m = s->state == LN_SESSION_OPEN
                         ? ln_msg_notification(ln_kind_rows[kind].changed, LN_STR_NONE)
                         : NULL;
  struct ln_link as = {.server = server, .owner = s};
  if (m) relay_to_all(&as, m);
  ln_msg_unref(m);
}

void ln_router_from_server(struct ln_link *link, struct ln_msg *msg, struct ln_call *request) {
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_SERVER);
  const struct ln_task_entry *t = ln_task_related(link, msg);
  struct ln_exchange *cause = cause_of(link, request, t);
  struct ln_session *s = session_of(link, cause, t);
  if (msg->kind == LN_MSG_REQUEST) {
    request_in(link, msg, cause, s);
    return;
  }
  link->server->host->count.notifications++;
  switch (method->route) {
    case LN_ROUTE_CANCELLED: cancelled_in(link, msg); break;
    case LN_ROUTE_PROGRESS: progress_in(link, msg); break;
    case LN_ROUTE_LIST_CHANGED: list_changed_in(link, msg, method->kind, false); break;
    case LN_ROUTE_UPDATED: updated_in(link, msg); break;
    case LN_ROUTE_TASK_STATUS: task_status_in(link, msg, cause); break;
    case LN_ROUTE_ELICITED: elicitation_done_in(link, msg, cause); break;
    default:
      if (!s)
        to_listeners(link, msg);
      else if (!too_quiet(link, s, msg))
        relay(link, s, cause, msg);
  }
}
