/* The tables of tasks; see task.h. They are bounded: the progress of a task that was dropped is not
 * passed on any more. */
#include "proxy/names/task.h"

#include <float.h>
#include <stdlib.h>

enum {
  MAX_TASKS = 1024,
  MAX_TTL_MS = 7 * 86400 * 1000,
  MAX_KEPT = 64 /* links of mode "request" kept for tasks, of one client with one server */
};

void ln_task_free(struct ln_task_entry *t) {
  ln_timer_stop(&t->expiry);
  ln_list_remove(&t->in_session);
  ln_list_remove(&t->in_link);
  t->session->n_tasks--;
  if (!t->of_client) t->session->host->forgot_tasks = true;
  ln_server_unref(t->server);
  ln_bytes_unref(t->id);
  ln_bytes_unref(t->shown);
  ln_bytes_unref(t->asked_token);
  free(t);
}

/* With the session with the server that was kept for it alone, unless that is still in use. */
static void forget(struct ln_task_entry *t, const struct ln_link *used) {
  struct ln_link *link = t->link;
  ln_task_free(t);
  if (link && link != used) ln_link_close_if_idle(link);
}

static void on_expiry(struct ln_timer *timer) {
  forget(LN_CONTAINER(timer, struct ln_task_entry, expiry), NULL);
}

/* Makes room for one more, of this link: drops a task that is over, else the oldest. */
static void make_room(struct ln_session *s, const struct ln_link *link) {
  if (s->n_tasks < MAX_TASKS) return;
  struct ln_task_entry *victim = LN_CONTAINER(s->tasks.next, struct ln_task_entry, in_session);
  LN_LIST_EACH(l, &s->tasks) {
    struct ln_task_entry *t = LN_CONTAINER(l, struct ln_task_entry, in_session);
    if (t->over && !victim->over) victim = t;
  }
  forget(victim, link);
}

static struct ln_task_entry *track(struct ln_session *s, struct ln_link *link, bool of_client,
                                   struct ln_bytes *id) {
  struct ln_task_entry *t = calloc(1, sizeof *t);
  struct ln_bytes *shown =
      of_client ? ln_bytes_ref(id) : ln_task_name(s, link->server, ln_bytes_str(id));
  if (!t || !shown) {
    free(t);
    ln_bytes_unref(shown);
    return NULL;
  }
  make_room(s, link);
  t->session = s;
  t->server = ln_server_ref(link->server);
  t->link = link;
  t->of_client = of_client;
  t->id = ln_bytes_ref(id);
  t->shown = shown;
  t->progress = -DBL_MAX;
  ln_timer_init(&t->expiry);
  ln_list_push(&s->tasks, &t->in_session);
  ln_list_push(&link->tasks, &t->in_link);
  s->n_tasks++;
  return t;
}

/* Takes over what a Task object says. */
static void update(struct ln_task_entry *t, struct ln_str task) {
  static const char *const terminal[] = {"completed", "failed", "cancelled"};
  struct ln_json_item it;
  int64_t ttl;
  if (ln_json_get(task, "status", &it) && it.type == LN_JSON_STRING)
    for (size_t i = 0; i < LN_COUNT(terminal); i++)
      t->over |= ln_json_str_is(ln_json_inside(it.value), terminal[i]);
  if (!ln_timer_running(&t->expiry) && ln_json_get(task, "ttl", &it) &&
      ln_json_int(it.value, &ttl) && ttl >= 0)
    ln_timer_start(t->session->host->loop, &t->expiry, (uint64_t)LN_MIN(ttl, MAX_TTL_MS),
                   on_expiry);
}

/* The id in a Task, unescaped. One reference, or NULL. */
static struct ln_bytes *id_of(struct ln_str task) {
  struct ln_json_item it;
  if (!ln_json_get(task, "taskId", &it) || it.type != LN_JSON_STRING) return NULL;
  return ln_json_text(it.value);
}

/* Puts the task of a reply into the table. */
static void add_made(struct ln_session *s, struct ln_link *link, bool of_client,
                     const struct ln_msg *request, int64_t token, const struct ln_msg *reply) {
  struct ln_json_item task;
  if (!ln_json_get(reply->result, "task", &task)) return;
  struct ln_bytes *id = id_of(task.value);
  struct ln_task_entry *t = id ? track(s, link, of_client, id) : NULL;
  ln_bytes_unref(id);
  if (!t) return;
  if (request->progress_token.p && token) {
    t->asked_token = ln_bytes_copy(request->progress_token.p, request->progress_token.n);
    t->token = t->asked_token ? token : 0;
  }
  update(t, task.value);
}

/* The task that a call names. One that the table doesn't have, as it was made before a restart, is
 * put into it. */
static struct ln_task_entry *named_by(const struct ln_call *call, const struct ln_msg *reply,
                                      bool failed) {
  struct ln_session *s = call->x->session;
  struct ln_bytes *shown = ln_json_text(call->msg->task_id);
  struct ln_task_entry *t = shown ? ln_task_by_shown(s, false, ln_bytes_str(shown)) : NULL;
  struct ln_bytes *id = t || !shown || failed ? NULL : id_of(reply->result);
  if (id) t = track(s, ln_link_of(call->calls), false, id);
  ln_bytes_unref(id);
  ln_bytes_unref(shown);
  return t;
}

void ln_task_server_replied(struct ln_call *call, const struct ln_msg *reply) {
  struct ln_exchange *x = call->x;
  struct ln_link *link = ln_link_of(call->calls);
  bool single = link->use == LN_LINK_SINGLE || link->use == LN_LINK_SINGLE_TASK;
  /* The result of a task can be an error. */
  bool failed = reply->kind == LN_MSG_ERROR && call->answered &&
                ln_str_is(call->msg->method, "tasks/result") && single;
  if ((reply->kind != LN_MSG_RESULT && !failed) || x->session->state == LN_SESSION_GONE ||
      link->state == LN_LINK_CLOSING)
    return;
  if (call->msg->task_id.p && !call->msg->task.p) {
    struct ln_task_entry *t = named_by(call, reply, failed);
    if (!t) return;
    if (ln_str_is(call->msg->method, "tasks/result"))
      t->over = true; /* there is a result only then */
    else
      update(t, reply->result);
    /* In mode "request" its link isn't needed any more. */
    if (single && !ln_str_is(call->msg->method, "tasks/get")) ln_task_free(t);
  } else if (call->msg->task.p) {
    double so_far = x->progress;
    add_made(x->session, link, false, call->msg, call->id, reply);
    struct ln_task_entry *t = ln_task_by_token(&link->tasks, call->id);
    if (t) t->progress = so_far;
  }
}

void ln_task_client_replied(struct ln_exchange *x, int64_t token, const struct ln_msg *reply) {
  if (reply->kind == LN_MSG_RESULT && x->msg->task.p && x->asker && !ln_exchange_ended(x))
    add_made(x->session, x->asker, true, x->msg, token, reply);
}

void ln_task_note_status(struct ln_task_entry *t, const struct ln_msg *msg) {
  update(t, msg->params);
}

/* --- finding --- */

struct ln_task_entry *ln_task_by_shown(const struct ln_session *s, bool of_client,
                                       struct ln_str shown) {
  LN_LIST_EACH(l, &s->tasks) {
    struct ln_task_entry *t = LN_CONTAINER(l, struct ln_task_entry, in_session);
    if (t->of_client == of_client && ln_str_eq(ln_bytes_str(t->shown), shown)) return t;
  }
  return NULL;
}

struct ln_task_entry *ln_task_by_native(const struct ln_session *s, const struct ln_server *server,
                                        struct ln_str id) {
  if (s) {
    LN_LIST_EACH(l, &s->tasks) {
      struct ln_task_entry *t = LN_CONTAINER(l, struct ln_task_entry, in_session);
      if (!t->of_client && t->server == server && ln_str_eq(ln_bytes_str(t->id), id)) return t;
    }
    return NULL;
  }
  struct ln_task_entry *t = NULL;
  LN_LIST_EACH(l, &server->host->sessions) {
    if (!t) t = ln_task_by_native(LN_CONTAINER(l, struct ln_session, link), server, id);
  }
  return t;
}

struct ln_task_entry *ln_task_related(const struct ln_link *link, const struct ln_msg *msg) {
  struct ln_bytes *id = msg->related_task.p ? id_of(msg->related_task) : NULL;
  struct ln_task_entry *t =
      id ? ln_task_by_native(link->owner, link->server, ln_bytes_str(id)) : NULL;
  ln_bytes_unref(id);
  return t;
}

struct ln_task_entry *ln_task_by_token(const struct ln_list *tasks, int64_t token) {
  if (!token) return NULL; /* tasks without a token have 0 */
  LN_LIST_EACH(l, tasks) {
    struct ln_task_entry *t = LN_CONTAINER(l, struct ln_task_entry, in_link);
    if (!t->of_client && t->token == token) return t;
  }
  return NULL;
}

struct ln_bytes *ln_task_name(const struct ln_session *s, const struct ln_server *server,
                              struct ln_str id) {
  struct ln_task_entry *t = ln_task_by_native(s, server, id);
  if (t) return ln_bytes_ref(t->shown);
  if (s->gen->n_servers < 2) return ln_bytes_copy(id.p, id.n);
  struct ln_str name = ln_str_c(server->conf->name);
  struct ln_bytes *b = ln_bytes_new(name.n + 1 + id.n);
  if (!b) return NULL;
  memcpy(b->data, name.p, name.n);
  b->data[name.n] = ':'; /* servers' names have none */
  memcpy(b->data + name.n + 1, id.p, id.n);
  return b;
}

struct ln_server *ln_task_owner(const struct ln_session *s, struct ln_str shown,
                                struct ln_str *id) {
  const struct ln_generation *g = s->gen;
  *id = shown;
  struct ln_server *server = NULL;
  if (g->n_servers == 1) {
    server = g->servers[0];
  } else {
    const char *colon = memchr(shown.p, ':', shown.n);
    struct ln_str name = {shown.p, colon ? (size_t)(colon - shown.p) : 0};
    for (size_t i = 0; colon && !server && i < g->n_servers; i++)
      if (ln_str_is(name, g->servers[i]->conf->name)) server = g->servers[i];
    if (server) *id = (struct ln_str){colon + 1, shown.n - name.n - 1};
  }
  /* Of a shared link only tasks in the table are known to be this client's. */
  return server && !ln_server_is_shared(server) ? server : NULL;
}

/* --- ends --- */

bool ln_task_make_room(struct ln_session *s, const struct ln_server *server) {
  size_t n = 0;
  struct ln_task_entry *done = NULL;
  LN_LIST_EACH(l, &s->links) {
    const struct ln_link *link = LN_CONTAINER(l, struct ln_link, owner_link);
    if (link->server != server || link->use != LN_LINK_SINGLE_TASK) continue;
    n++;
    if (!done && !ln_list_empty(&link->tasks) && !ln_link_busy(link))
      done = LN_CONTAINER(link->tasks.next, struct ln_task_entry, in_link);
    if (done && !done->over) done = NULL;
  }
  if (n < MAX_KEPT) return true;
  if (!done) return false;
  forget(done, NULL);
  return true;
}

/* The reply of an abandoned call: its task is cancelled. */
static void on_abandoned_reply(void *arg, struct ln_msg *reply) {
  struct ln_link *link = ln_link_of(arg);
  struct ln_json_item task, id;
  if (reply->kind == LN_MSG_RESULT && ln_json_get(reply->result, "task", &task) &&
      ln_json_get(task.value, "taskId", &id) && ln_link_ready(link)) {
    struct ln_buf b;
    ln_buf_init(&b, SIZE_MAX / 2);
    ln_buf_append_c(&b, "{\"taskId\":");
    ln_buf_append_str(&b, id.value);
    ln_buf_append_c(&b, "}");
    struct ln_msg *m = ln_buf_error(&b) ? NULL : ln_msg_request("tasks/cancel", ln_buf_str(&b));
    if (m) ln_link_request(link, m, ln_reply_ignore, NULL);
    ln_msg_unref(m);
    ln_buf_deinit(&b);
  }
  ln_msg_unref(reply);
}

ln_reply_fn ln_task_abandoned(const struct ln_call *call) {
  const struct ln_link *link = ln_link_of(call->calls);
  struct ln_json_item it;
  bool wanted = call->msg->task.p && ln_capability(link->capabilities, "tasks", &it) &&
                ln_capability(it.value, "requests", &it);
  return wanted ? on_abandoned_reply : NULL;
}

void ln_task_session_ends(struct ln_session *s) {
  LN_LIST_EACH(l, &s->tasks) ln_task_free(LN_CONTAINER(l, struct ln_task_entry, in_session));
}

void ln_task_link_ends(struct ln_link *link) {
  LN_LIST_EACH(l, &link->tasks) {
    struct ln_task_entry *t = LN_CONTAINER(l, struct ln_task_entry, in_link);
    ln_list_remove(&t->in_link);
    t->link = NULL;
    t->token = 0;
    if (t->of_client || link->use != LN_LINK_LASTING) ln_task_free(t);
  }
}
