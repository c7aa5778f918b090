/* Messages from clients: gates, then hooks, then the way their row says. */
#include "proxy/router.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/content.h"
#include "mcp/flaw.h"
#include "mcp/template.h"
#include "mcp/uri.h"
#include "proxy/catalogue.h"
#include "proxy/freshen.h"
#include "proxy/handshake.h"
#include "proxy/hooks.h"
#include "proxy/resolve.h"
#include "proxy/rewrite.h"
#include "proxy/state.h"
#include "proxy/task.h"
#include "proxy/view.h"

enum { MAX_NESTED = 16 }; /* requests made for requests */

static struct ln_str str_of(const struct ln_bytes *b) {
  return b ? (struct ln_str){b->data, b->len} : LN_STR_NONE;
}

static void fail(ln_reply_fn done, void *arg, int code, const char *text) {
  done(arg, ln_msg_error(code, text, LN_STR_NONE));
}

/* --- to a server --- */

void ln_router_send(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                    struct ln_str name_at, struct ln_bytes *name_with, ln_reply_fn done,
                    void *arg) {
  const char *why = "out of memory";
  /* A level and subscriptions hold for the session with the server that lasts. */
  bool lasting = x->method->route == LN_ROUTE_SUBSCRIBE || x->method->route == LN_ROUTE_SET_LEVEL;
  if (msg->task.p && server->conf->session == LN_SHARING_REQUEST &&
      !ln_task_room(x->session, server)) {
    fail(done, arg, -32603, "Too many tasks at once: fetch the results of some, or cancel them");
    return;
  }
  struct ln_link *link = lasting ? ln_pool_link(x->session, server, &why)
                                 : ln_pool_link_for_call(x->session, server, &why);
  if (link) {
    link->tasked = link->single && msg->task.p;
    /* From now on what it changes may be this client's doing. */
    if (link->index && link->index->maker == link) link->index->maker = NULL;
    if (ln_link_request(link, msg, name_at, name_with, x, done, arg)) return;
  }
  char text[LN_WHY_MAX + 128];
  ln_server_blame(server, why, text, sizeof text);
  fail(done, arg, -32603, text);
}

/* With a single server whatever has no better place goes there. */
static void send_only(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (x->gen->n_servers == 1) {
    x->server = x->gen->servers[0];
    ln_router_send(x, x->server, msg, LN_STR_NONE, NULL, done, arg);
    return;
  }
  char text[320];
  snprintf(text, sizeof text, "Method not found: %.*s", LN_STR_ARG(msg->method));
  fail(done, arg, -32601, text);
}

/* --- using a component --- */

/* The server's own name for what the client named in the value `at`, as a JSON string. NULL: the
 * same (or out of memory: the server then refuses the name it doesn't know). One reference. */
static struct ln_bytes *native_for(const struct ln_exchange *x, const struct ln_entry *e,
                                   struct ln_str at) {
  if (!at.p || !e->native_json) return NULL;
  if (x->view->kind != LN_KIND_TEMPLATE) return ln_bytes_ref(e->native_json);
  struct ln_bytes *key = ln_resolve_key(at);
  if (!key) return NULL;
  if (ln_str_eq(str_of(key), str_of(e->key))) { /* a completion's ref */
    ln_bytes_unref(key);
    return ln_bytes_ref(e->native_json);
  }
  /* A URI made from a template that the server has another form of. */
  struct ln_str uri = {key->data, key->len}, from = str_of(e->key), to = str_of(e->item->key);
  struct ln_buf native, normal, quoted;
  ln_buf_init(&native, SIZE_MAX / 2);
  ln_buf_init(&normal, LN_URI_ROOM(uri.n));
  ln_buf_init(&quoted, SIZE_MAX / 2);
  int rc = ln_uri_climbs(uri) ? LN_ENOTFOUND : ln_template_convert(from, to, uri, &native, NULL);
  if (rc == LN_ENOTFOUND && !(rc = ln_uri_normal(uri, &normal)))
    rc = ln_template_convert(from, to, ln_buf_str(&normal), &native, NULL);
  if (!rc) rc = ln_json_quote(&quoted, ln_buf_str(&native));
  struct ln_bytes *out = rc ? NULL : ln_buf_take(&quoted);
  ln_buf_deinit(&quoted);
  ln_buf_deinit(&normal);
  ln_buf_deinit(&native);
  ln_bytes_unref(key);
  return out;
}

/* To the server, under the server's own name for it. */
static void to_server(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                      ln_reply_fn done, void *arg) {
  if (x->method->route == LN_ROUTE_SUBSCRIBE)
    ln_state_subscribe(x, server, msg, done, arg);
  else
    ln_router_send(x, server, msg, LN_STR_NONE, NULL, done, arg);
}

/* The request to whoever answers it, under the name it has there. */
static void use_native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  const struct ln_entry *e = x->entry;
  if (!e && !x->server) {
    fail(done, arg, -32602, "The request doesn't say what it is about");
    return;
  }
  if (!e) {
    to_server(x, x->server, msg, done, arg);
    return;
  }
  if (!e->server) {
    if (x->method->route == LN_ROUTE_USE) {
      if (!ln_policy_run_component(x->gen->policy, e->component, str_of(e->key), msg, x, done, arg))
        fail(done, arg, -32603, "Out of memory");
    } else if (x->method->route == LN_ROUTE_COMPLETE)
      done(arg, ln_msg_result(LN_STR_LIT("{\"completion\":{\"values\":[]}}")));
    else
      done(arg, ln_msg_result(LN_STR_LIT("{}")));
    return;
  }
  struct ln_str at = e->native_json ? ln_resolve_subject(x->method, msg).value : LN_STR_NONE;
  struct ln_bytes *with = native_for(x, e, at);
  if (!with) {
    to_server(x, e->server, msg, done, arg);
  } else if (x->method->route == LN_ROUTE_SUBSCRIBE) {
    struct ln_msg *native = ln_msg_edit(msg, &(struct ln_edit){at, str_of(with)}, 1);
    if (native)
      to_server(x, e->server, native, done, arg);
    else
      fail(done, arg, -32603, "Out of memory");
    ln_msg_unref(native);
  } else {
    ln_router_send(x, e->server, msg, at, with, done, arg);
  }
  ln_bytes_unref(with);
}

static void use(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (x->entry && x->entry->transform && x->method->route != LN_ROUTE_SUBSCRIBE)
    ln_hooks_transform(x, msg, use_native, done, arg);
  else
    use_native(x, msg, done, arg);
}

/* --- lists --- */

struct listing {
  struct ln_exchange *x; /* counted */
  struct ln_msg *msg;    /* counted */
  ln_reply_fn done;
  void *arg;
  struct ln_view *view; /* counted: once it is there */
  char why[LN_WHY_MAX + 128];
};

static void list_end(struct listing *l) {
  struct ln_view *v = l->view;
  struct ln_json_item cursor;
  struct ln_str at = LN_STR_NONE;
  if (l->msg->params.p && ln_json_get(l->msg->params, "cursor", &cursor) &&
      cursor.type != LN_JSON_NULL)
    at = cursor.value;
  struct ln_msg *reply =
      v ? ln_view_page(v, l->x->session, at) : ln_msg_error(-32603, l->why, LN_STR_NONE);
  l->done(l->arg, reply ? reply : ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
  ln_view_unref(v);
  ln_msg_unref(l->msg);
  ln_exchange_unref(l->x);
  free(l);
}

static void list_resources(void *arg, struct ln_view *v, const char *why) {
  (void)v, (void)why; /* without it tools keep the URIs they have */
  list_end(arg);
}

static void list_view(void *arg, struct ln_view *v, const char *why) {
  struct listing *l = arg;
  l->view = v ? ln_view_ref(v) : NULL;
  if (!v) snprintf(l->why, sizeof l->why, "%s", why);
  /* The client may know the resources that show tools by other URIs. */
  if (v && v->shows && ln_view_needed(l->x->gen, LN_KIND_RESOURCE))
    ln_view_get(l->x->session, LN_KIND_RESOURCE, l->x, list_resources, l);
  else
    list_end(l);
}

/* True when nobody offers such lists: one server says so itself, for several we do. */
static bool list_unoffered(const struct ln_session *s, enum ln_kind kind) {
  const struct ln_generation *h = s->gen;
  bool own = h->components[kind] || (kind == LN_KIND_RESOURCE && h->components[LN_KIND_TEMPLATE]) ||
             (kind == LN_KIND_TEMPLATE && h->components[LN_KIND_RESOURCE]);
  for (size_t i = 0; i < h->n_servers; i++) {
    const struct ln_index *c = ln_session_index(s, h->servers[i]);
    own |= !c || ln_index_offers(c, kind);
  }
  return !own;
}

static void list_fresh(void *arg) {
  struct listing *l = arg;
  ln_view_get(l->x->session, l->x->method->kind, l->x, list_view, l);
}

static void list(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (list_unoffered(x->session, x->method->kind)) {
    send_only(x, msg, done, arg);
    return;
  }
  struct listing *l = calloc(1, sizeof *l);
  if (!l) {
    fail(done, arg, -32603, "Out of memory");
    return;
  }
  ln_exchange_ref(x);
  *l = (struct listing){.x = x, .msg = ln_msg_ref(msg), .done = done, .arg = arg};
  struct ln_json_item cursor;
  if (msg->params.p && ln_json_get(msg->params, "cursor", &cursor))
    list_fresh(l); /* a further page of what the client has seen the beginning of */
  else
    ln_refresh(x, x->method->kind, list_fresh, l);
}

/* --- the rest --- */

/* What a handler forwards may name something else than the client did: found anew, by the same
 * rules. */
static bool same_subject(const struct ln_exchange *x, const struct ln_msg *msg) {
  if (msg == x->msg) return true;
  struct ln_subject a = ln_resolve_subject(x->method, x->msg),
                    b = ln_resolve_subject(x->method, msg);
  return a.kind == b.kind && a.value.p && b.value.p && ln_str_eq(a.value, b.value);
}

static void native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  switch (x->method->route) {
    case LN_ROUTE_INITIALIZE: ln_handshake_start(x, msg, done, arg); return;
    case LN_ROUTE_PING: done(arg, ln_msg_result(LN_STR_LIT("{}"))); return;
    case LN_ROUTE_LIST: list(x, msg, done, arg); return;
    case LN_ROUTE_SET_LEVEL:
      if (x->gen->n_servers == 1 || ln_state_some_have(x->session, "logging"))
        ln_state_set_level(x, msg, done, arg);
      else
        send_only(x, msg, done, arg);
      return;
    case LN_ROUTE_TASK: ln_task_route(x, msg, done, arg); return;
    case LN_ROUTE_TASK_LIST: ln_task_list(x, msg, done, arg); return;
    case LN_ROUTE_COMPLETE:
      if (!ln_state_some_have(x->session, "completions") && x->gen->n_servers != 1) {
        send_only(x, msg, done, arg);
        return;
      }
      /* fall through */
    case LN_ROUTE_USE:
    case LN_ROUTE_SUBSCRIBE:
      if (!x->moved && same_subject(x, msg) && (x->entry || x->server)) {
        use(x, msg, done, arg);
      } else {
        x->moved = true;
        ln_resolve(x, msg, use, done, arg);
      }
      return;
    default: send_only(x, msg, done, arg); return;
  }
}

static void finished(void *arg, struct ln_msg *reply) {
  struct ln_exchange *x = arg;
  struct ln_session *s = x->session;
  /* A handler refused what Lunette would have agreed to. */
  if (x->greets && reply->kind == LN_MSG_ERROR && s->state != LN_SESSION_GONE)
    s->state = LN_SESSION_NEW;
  if (reply->kind == LN_MSG_RESULT && s->state != LN_SESSION_GONE) {
    const char *flaw = x->method->route == LN_ROUTE_USE ? ln_flaw_of_result(reply->result) : NULL;
    if (flaw)
      LN_LOG(x->session->host->log, WARN, x->server ? x->server->conf->name : "policy",
             "%.*s: %s; official clients refuse the whole result", LN_STR_ARG(x->msg->method),
             flaw);
    if (x->method->route == LN_ROUTE_USE && ln_content_version_lacks(x->session->version))
      reply = ln_content_for_version(reply, x->session->version);
  }
  ln_exchange_finish(x, reply);
}

static void through_hooks(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  ln_hooks_run(x, 0, msg, native, done, arg);
}

static void start(struct ln_exchange *x) {
  switch (x->method->route) {
    case LN_ROUTE_USE:
    case LN_ROUTE_SUBSCRIBE:
    case LN_ROUTE_COMPLETE:
      /* With nobody to complete it there is nothing to look for. */
      if (x->method->route != LN_ROUTE_COMPLETE || x->gen->n_servers == 1 ||
          ln_state_some_have(x->session, "completions")) {
        ln_resolve(x, x->msg, through_hooks, finished, x);
        return;
      }
      through_hooks(x, x->msg, finished, x);
      return;
    default: through_hooks(x, x->msg, finished, x); return;
  }
}

/* --- gates --- */

static void request_in(struct ln_session *s, struct ln_msg *msg, struct ln_sink *sink,
                       struct ln_bytes *headers) {
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_CLIENT);
  if (ln_session_find(s, msg->id)) {
    /* An error under that id would be taken for the answer that is still to come. */
    LN_LOG_RATIONED(s->host->log, &s->ration, ln_loop_now(s->host->loop), WARN, s->id,
                    "dropped %.*s: a request with its id %.*s is under way already",
                    LN_STR_ARG(msg->method), (int)LN_MIN(msg->id.n, (size_t)80), msg->id.p);
    if (sink && sink->ops->give_up) sink->ops->give_up(sink);
    return;
  }
  struct ln_exchange *x = ln_exchange_new(s, msg, method, sink);
  if (!x) return;
  s->host->count.requests++;
  x->headers = headers ? ln_bytes_ref(headers) : NULL;
  if (headers) { /* for lists that are made on nobody's request */
    ln_bytes_unref(s->headers);
    s->headers = ln_bytes_ref(headers);
  }
  x->counted = true;
  s->in_flight++;
  char text[640];
  const char *cased = ln_method_case_twin(method, msg->method);
  if (cased) {
    snprintf(text, sizeof text, "method \"%.*s\" differs from \"%s\" only by case",
             LN_STR_ARG(msg->method), cased);
    LN_LOG_RATIONED(s->host->log, &s->ration, ln_loop_now(s->host->loop), WARN, s->id,
                    "refused a message: %s", text);
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
  struct ln_exchange *x = ln_session_find(s, id.value);
  if (!x || x->method->route == LN_ROUTE_INITIALIZE) return;
  LN_LIST_EACH(l, &x->requests) {
    ln_call_cancel(LN_CONTAINER(l, struct ln_call, x_link), msg);
  }
  ln_exchange_abort(x);
}

/* A client's progress on what a server asked of it, under the token that we gave; none is 0. */
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
  LN_LIST_EACH(l, &s->tasks) { /* a request that became a task */
    struct ln_task_entry *t = LN_CONTAINER(l, struct ln_task_entry, in_session);
    if (!t->of_client || t->over || !t->link || t->token != token) continue;
    struct ln_str asked = str_of(t->asked_token);
    struct ln_msg *m = ln_msg_edit(msg, &(struct ln_edit){msg->progress_token, asked}, 1);
    if (m) ln_link_notify(t->link, m);
    ln_msg_unref(m);
    return;
  }
}

/* What a client says of a task that it works at concerns the server that asked for it. */
static bool task_status_in(struct ln_session *s, struct ln_msg *msg) {
  struct ln_bytes *id = msg->task_id.p ? ln_resolve_key(msg->task_id) : NULL;
  struct ln_task_entry *t = id ? ln_task_shown(s, true, str_of(id)) : NULL;
  ln_bytes_unref(id);
  if (!t || !t->link) return false;
  ln_link_notify(t->link, msg);
  ln_task_told(t, msg);
  return true;
}

static void initialized_in(struct ln_session *s, struct ln_msg *msg) {
  if (s->state != LN_SESSION_INITIALIZED) return;
  s->state = LN_SESSION_OPEN;
  LN_LIST_EACH(l, &s->own) {
    struct ln_link *link = LN_CONTAINER(l, struct ln_link, owner_link);
    if (link->state != LN_LINK_READY || link->initialized_sent) continue;
    ln_link_client_initialized(link, msg);
    l_next = s->own.next; /* what it sent may have brought others to their end */
  }
  ln_session_set_general(s, s->general); /* what waited for this goes out */
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
      LN_LIST_EACH(l, &s->own) {
        struct ln_link *link = LN_CONTAINER(l, struct ln_link, owner_link);
        if (link->initialized_sent) ln_link_notify(link, msg);
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
    /* A server that looks at the method alone, or matches it without case, would carry it out, and
     * no rule would have seen it. */
    LN_LOG_RATIONED(s->host->log, &s->ration, ln_loop_now(s->host->loop), WARN, s->id,
                    "%.*s as a notification was dropped", LN_STR_ARG(msg->method));
    return;
  }
  struct ln_exchange *x = ln_session_crowded(s) ? NULL : ln_exchange_new(s, msg, method, sink);
  if (!x) {
    LN_LOG_RATIONED(s->host->log, &s->ration, ln_loop_now(s->host->loop), WARN, s->id,
                    "too many notifications at once: dropped %.*s", LN_STR_ARG(msg->method));
    return;
  }
  x->headers = headers ? ln_bytes_ref(headers) : NULL;
  ln_hooks_run(x, 0, msg, notification_native, notified, x);
}

void ln_router_from_client(struct ln_session *s, struct ln_msg *msg, struct ln_sink *sink,
                           struct ln_bytes *headers) {
  if (s->state == LN_SESSION_GONE) return;
  s->last_used = ln_loop_now(s->host->loop);
  ln_loop_doing(s->host->loop, s->id,
                msg->method.p ? msg->method : LN_STR_LIT("a reply to a server"));
  ln_session_ref(s); /* it may end by this */
  switch (msg->kind) {
    case LN_MSG_REQUEST: request_in(s, msg, sink, headers); break;
    case LN_MSG_NOTIFICATION: notification_in(s, msg, sink, headers); break;
    default: ln_session_answer(s, msg); break;
  }
  ln_session_unref(s);
}

/* How many requests stand behind this one, each made for the one before. */
static size_t depth_of(const struct ln_exchange *x) {
  size_t n = 0;
  for (; x; x = x->cause) n++;
  return n;
}

void ln_router_request(struct ln_session *s, struct ln_msg *msg, struct ln_exchange *cause,
                       ln_reply_fn reply, void *arg) {
  if (depth_of(cause) >= MAX_NESTED) {
    LN_LOG(s->host->log, ERROR, s->id, "a policy's own calls go round in a circle: %.*s",
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
  x->reply = reply;
  x->reply_arg = arg;
  if (cause) {
    ln_exchange_ref(cause);
    x->cause = cause;
    x->headers = cause->headers ? ln_bytes_ref(cause->headers) : NULL;
  }
  start(x);
}

void ln_router_stalled(struct ln_link *link, bool stalled) {
  if (link->stalled == stalled) return;
  link->stalled = stalled;
  struct ln_session *s = link->owner;
  if (!s) return;
  s->stalled += stalled ? 1 : (unsigned)-1;
  if (s->on_stall && (s->stalled == 0 || (stalled && s->stalled == 1)))
    s->on_stall(s, s->stalled > 0);
}
