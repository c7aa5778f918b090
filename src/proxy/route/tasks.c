/* Requests about tasks; see tasks.h. */
#include "proxy/route/tasks.h"

#include <stdlib.h>

#include "proxy/client/pool.h"
#include "proxy/lists/index.h"
#include "proxy/names/task.h"

/* The server's capabilities have tasks, and in it `what` (NULL: anything). */
static bool offers(const struct ln_session *s, const struct ln_server *server, const char *what) {
  const struct ln_index *c = ln_index_of(s, server);
  struct ln_json_item it;
  return c && ln_capability(c->capabilities, "tasks", &it) &&
         (!what || ln_capability(it.value, what, &it));
}

static bool some_offer(const struct ln_session *s) {
  bool any = false;
  for (size_t i = 0; i < s->gen->n_servers; i++) any |= offers(s, s->gen->servers[i], NULL);
  return any;
}

/* Whatever is at this server was begun by the session that asks: it is a process of that session's
 * own. An HTTP server may show all clients' tasks in each of its sessions. */
static bool alone_with(const struct ln_server *server) {
  return !server->pool && server->conf->session == LN_SHARING_CLIENT;
}

/* --- one task --- */

/* The server's id as a JSON string; NULL: it is the same as the client's. */
static struct ln_bytes *native_json(struct ln_str shown, struct ln_str id) {
  if (ln_str_eq(shown, id)) return NULL;
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_json_quote(&b, id);
  return ln_buf_finish(&b);
}

static void to_server(struct ln_exchange *x, struct ln_msg *msg, struct ln_link *link,
                      struct ln_bytes *native, ln_reply_fn done, void *arg) {
  const char *why = "out of memory";
  if (!link) link = ln_pool_link_for_call(x->session, x->server, false, &why);
  if (link &&
      ln_exchange_call(x, link, msg, native ? msg->task_id : LN_STR_NONE, native, done, arg))
    return;
  char text[LN_WHY_MAX + 128];
  ln_server_error_text(x->server, why, text, sizeof text);
  ln_reply_error(done, arg, -32603, text);
}

void ln_tasks_request(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  struct ln_session *s = x->session;
  struct ln_bytes *key =
      msg->task_id.p && msg->task_id.p[0] == '"' ? ln_json_text(msg->task_id) : NULL;
  if (!key) {
    ln_reply_error(done, arg, -32602, "taskId must be a string");
    return;
  }
  struct ln_str id;
  struct ln_task_entry *t = ln_task_by_shown(s, false, ln_bytes_str(key));
  if (t && !ln_generation_has(x->gen, t->server)) t = NULL;
  struct ln_server *owner = t ? t->server : ln_task_owner(s, ln_bytes_str(key), &id);
  /* Not in this session's table: from before a restart, or guessed. Another client's is nobody's;
   * so is what may be of one that has gone, but to a session that is older than this process. */
  bool others = !t && owner && !alone_with(owner) &&
                (ln_task_by_native(NULL, owner, id) || (s->host->forgot_tasks && !s->restored));
  ln_exchange_set_server(x, others ? NULL : owner);
  if (x->server) {
    struct ln_bytes *native = native_json(ln_bytes_str(key), t ? ln_bytes_str(t->id) : id);
    to_server(x, msg, t ? t->link : NULL, native, done, arg);
    ln_bytes_unref(native);
  } else if (!others && x->gen->n_servers != 1 && !some_offer(s)) {
    ln_reply_no_method(done, arg, msg->method);
  } else {
    ln_reply_error(done, arg, -32602, "Unknown task");
  }
  ln_bytes_unref(key);
}

const char *ln_tasks_refusal(const struct ln_session *s, const struct ln_link *link,
                             const struct ln_msg *msg) {
  if (s->gen->n_servers < 2 || !msg->task_id.p) return NULL;
  struct ln_bytes *key = ln_json_text(msg->task_id);
  struct ln_task_entry *t = key ? ln_task_by_shown(s, true, ln_bytes_str(key)) : NULL;
  ln_bytes_unref(key);
  return t && t->server == link->server ? NULL : "Unknown task";
}

/* --- lists --- */

/* One tasks/list to several servers, one after the other. Owned by the exchange. */
struct gather {
  struct ln_chain c; /* msg: the result so far */
  size_t at;         /* the number of the server being asked */
  size_t pending;    /* mode "request": tasks/get under way, plus one while they are sent */
  bool continuing;   /* the first request has the client's cursor */
};

static bool lists_tasks(const struct ln_session *s, const struct ln_server *server) {
  return offers(s, server, "list");
}

/* Appends one Task, under its name for the client; nothing when it is not the session's. */
static void append_task(const struct ln_session *s, const struct ln_server *server, bool of_client,
                        struct ln_str task, struct ln_buf *out, const char **comma) {
  struct ln_json_item id;
  if (!ln_json_get(task, "taskId", &id) || id.type != LN_JSON_STRING) return;
  struct ln_bytes *key = ln_json_text(id.value);
  if (!key) {
    ln_buf_fail(out, LN_ENOMEM);
    return;
  }
  struct ln_task_entry *t = of_client ? ln_task_by_shown(s, true, ln_bytes_str(key))
                                      : ln_task_by_native(s, server, ln_bytes_str(key));
  bool ours = of_client ? t && t->server == server : t || alone_with(server);
  struct ln_bytes *name = ours && !of_client ? ln_task_name(s, server, ln_bytes_str(key)) : NULL;
  if (ours) {
    ln_buf_append_c(out, *comma);
    *comma = ",";
  }
  if (ours && name && !ln_str_eq(ln_bytes_str(name), ln_bytes_str(key))) {
    const char *rest = id.value.p + id.value.n;
    ln_buf_append(out, task.p, (size_t)(id.value.p - task.p));
    ln_json_quote(out, ln_bytes_str(name));
    ln_buf_append(out, rest, (size_t)(task.p + task.n - rest));
  } else if (ours) {
    ln_buf_append_str(out, task);
  }
  ln_bytes_unref(name);
  ln_bytes_unref(key);
}

/* Appends those tasks of a page that are the session's. */
static void append_tasks(const struct ln_session *s, const struct ln_server *server, bool of_client,
                         struct ln_str page, struct ln_buf *out, const char **comma) {
  struct ln_json_item it;
  if (!ln_json_get(page, "tasks", &it)) return;
  struct ln_json_cur cur = ln_json_enter(it.value);
  while (ln_json_next(&cur, &it)) append_task(s, server, of_client, it.value, out, comma);
}

/* Appends the list so far, without its end. */
static void begin_list(const struct gather *g, struct ln_buf *b, const char **comma) {
  struct ln_json_item it;
  *comma = "";
  ln_buf_append_c(b, "{\"tasks\":[");
  if (g->c.msg && ln_json_get(g->c.msg->result, "tasks", &it) && it.value.n > 2) {
    ln_buf_append(b, it.value.p + 1, it.value.n - 2);
    *comma = ",";
  }
}

static void ask_next(struct gather *g, struct ln_str cursor);

static void finish(struct gather *g, struct ln_msg *reply) {
  g->c.done(g->c.arg, reply ? reply : ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
}

/* The client's cursor is the server's number and the server's own cursor. */
static void append_cursor(const struct gather *g, struct ln_str inside, struct ln_buf *out) {
  ln_buf_printf(out, ",\"nextCursor\":\"%zu-", g->at);
  ln_buf_append_str(out, inside);
  ln_buf_append_c(out, "\"");
}

static void got_page(void *arg, struct ln_msg *reply) {
  struct gather *g = arg;
  struct ln_session *s = g->c.x->session;
  struct ln_server *server = g->c.x->gen->servers[g->at];
  struct ln_json_item next = {0};
  /* The client gets an error about its cursor. Else the list lacks this server's tasks.
   */
  if (reply->kind == LN_MSG_ERROR && g->continuing) {
    finish(g, reply);
    return;
  }
  if (reply->kind == LN_MSG_ERROR)
    LN_LOG(s->host->log, WARN, server->conf->name, "gave no list of its tasks: %.*s",
           LN_STR_ARG(reply->error));
  bool more = reply->kind == LN_MSG_RESULT && ln_json_get(reply->result, "nextCursor", &next) &&
              next.type == LN_JSON_STRING;
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  const char *comma;
  begin_list(g, &b, &comma);
  if (reply->kind == LN_MSG_RESULT) append_tasks(s, server, false, reply->result, &b, &comma);
  ln_buf_append_c(&b, "]");
  if (more) append_cursor(g, ln_json_inside(next.value), &b);
  ln_buf_append_c(&b, "}");
  ln_msg_unref(reply);
  ln_msg_unref(g->c.msg);
  g->c.msg = ln_buf_error(&b) ? NULL : ln_msg_result(ln_buf_str(&b));
  ln_buf_deinit(&b);
  if (!g->c.msg || more) {
    finish(g, g->c.msg ? ln_msg_ref(g->c.msg) : NULL);
    return;
  }
  g->continuing = false;
  g->at++;
  ask_next(g, LN_STR_NONE);
}

/* A Task, with the client's id; one that can't be had is left out. */
static void got_task(void *arg, struct ln_msg *reply) {
  struct gather *g = arg;
  struct ln_json_item it;
  if (reply && reply->kind == LN_MSG_RESULT && ln_json_get(reply->result, "taskId", &it)) {
    struct ln_buf b;
    ln_buf_init(&b, SIZE_MAX / 2);
    const char *comma;
    begin_list(g, &b, &comma);
    ln_buf_append_c(&b, comma);
    ln_buf_append_str(&b, reply->result);
    ln_buf_append_c(&b, "]}");
    struct ln_msg *longer = ln_buf_error(&b) ? NULL : ln_msg_result(ln_buf_str(&b));
    ln_buf_deinit(&b);
    if (longer) {
      ln_msg_unref(g->c.msg);
      g->c.msg = longer;
    }
  }
  ln_msg_unref(reply);
  if (--g->pending) return;
  g->at++;
  ask_next(g, LN_STR_NONE);
}

static void ask_about(struct gather *g, const struct ln_task_entry *t) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_buf_append_c(&b, "{\"taskId\":");
  ln_json_quote(&b, ln_bytes_str(t->shown));
  ln_buf_append_c(&b, "}");
  struct ln_msg *msg = ln_buf_error(&b) ? NULL : ln_msg_request("tasks/get", ln_buf_str(&b));
  struct ln_bytes *native = native_json(ln_bytes_str(t->shown), ln_bytes_str(t->id));
  ln_buf_deinit(&b);
  g->pending++;
  if (!msg || !ln_exchange_call(g->c.x, t->link, msg, native ? msg->task_id : LN_STR_NONE, native,
                                got_task, g))
    g->pending--;
  ln_bytes_unref(native);
  ln_msg_unref(msg);
}

/* In mode "request" each task is in a link of its own: asks for those in our table, one by one. */
static void ask_each(struct gather *g, const struct ln_server *server) {
  g->pending = 1;
  LN_LIST_EACH(l, &g->c.x->session->tasks) {
    const struct ln_task_entry *t = LN_CONTAINER(l, struct ln_task_entry, in_session);
    if (t->server == server && !t->of_client && t->link) ask_about(g, t);
  }
  got_task(g, NULL);
}

/* Recursion is as deep as there are servers, when one after the other fails at once. cursor: raw,
 * or absent. */
static void ask_next(struct gather *g, struct ln_str cursor) {
  struct ln_exchange *x = g->c.x;
  while (g->at < x->gen->n_servers && !lists_tasks(x->session, x->gen->servers[g->at])) g->at++;
  if (g->at == x->gen->n_servers) {
    finish(g, g->c.msg ? ln_msg_ref(g->c.msg) : ln_msg_result(LN_STR_LIT("{\"tasks\":[]}")));
    return;
  }
  if (x->gen->servers[g->at]->conf->session == LN_SHARING_REQUEST) {
    ask_each(g, x->gen->servers[g->at]);
    return;
  }
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_buf_append_c(&b, cursor.p ? "{\"cursor\":" : "{");
  if (cursor.p) ln_buf_append_str(&b, cursor);
  ln_buf_append_c(&b, "}");
  struct ln_msg *msg = ln_buf_error(&b) ? NULL : ln_msg_request("tasks/list", ln_buf_str(&b));
  ln_buf_deinit(&b);
  const char *why = "out of memory";
  struct ln_link *link =
      msg ? ln_pool_link_for_call(x->session, x->gen->servers[g->at], false, &why) : NULL;
  if (!link || !ln_exchange_call(x, link, msg, LN_STR_NONE, NULL, got_page, g))
    got_page(g, ln_msg_error(-32603, why, LN_STR_NONE));
  ln_msg_unref(msg);
}

/* Reads the client's cursor: sets g->at, and appends the server's own cursor to b, quoted. False:
 * we didn't make it. */
static bool take_cursor(struct gather *g, const struct ln_msg *msg, struct ln_buf *b) {
  struct ln_json_item it;
  if (!msg->params.p || !ln_json_get(msg->params, "cursor", &it) || it.type == LN_JSON_NULL)
    return true;
  struct ln_bytes *key = it.type == LN_JSON_STRING ? ln_json_text(it.value) : NULL;
  const char *dash = key ? memchr(key->data, '-', key->len) : NULL;
  int64_t at = -1;
  bool ok = dash && ln_json_int((struct ln_str){key->data, (size_t)(dash - key->data)}, &at) &&
            at >= 0 && (size_t)at < g->c.x->gen->n_servers &&
            lists_tasks(g->c.x->session, g->c.x->gen->servers[at]) &&
            g->c.x->gen->servers[at]->conf->session != LN_SHARING_REQUEST;
  if (ok) {
    ok = !ln_json_quote(b, (struct ln_str){dash + 1, (size_t)(key->data + key->len - dash - 1)});
    g->at = (size_t)at;
    g->continuing = true;
  }
  ln_bytes_unref(key);
  return ok;
}

/* Without those tasks that are not the session's; with its own bytes when all are. Takes and gives
 * a reference. */
static struct ln_msg *only_ours(const struct ln_session *s, const struct ln_server *server,
                                bool of_client, struct ln_msg *reply) {
  struct ln_json_item it;
  if (reply->kind != LN_MSG_RESULT || !ln_json_get(reply->result, "tasks", &it)) return reply;
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  const char *comma = "";
  ln_buf_append_c(&b, "[");
  append_tasks(s, server, of_client, reply->result, &b, &comma);
  ln_buf_append_c(&b, "]");
  bool all = !ln_buf_error(&b) && ln_json_count(ln_buf_str(&b)) == ln_json_count(it.value);
  struct ln_msg *out = NULL;
  if (all)
    out = ln_msg_ref(reply);
  else if (!ln_buf_error(&b))
    out = ln_msg_edit(reply, &(struct ln_edit){it.value, ln_buf_str(&b)}, 1);
  ln_buf_deinit(&b);
  ln_msg_unref(reply);
  return out ? out : ln_msg_error(-32603, "Out of memory", LN_STR_NONE);
}

static void got_list(void *arg, struct ln_msg *reply) {
  const struct gather *g = arg;
  struct ln_exchange *x = g->c.x;
  g->c.done(g->c.arg, only_ours(x->session, x->server, false, reply));
}

static struct gather *gather_new(struct ln_exchange *x, ln_reply_fn done, void *arg) {
  struct gather *g = calloc(1, sizeof *g);
  if (!g) {
    ln_reply_no_memory(done, arg);
    return NULL;
  }
  g->c = (struct ln_chain){.x = x, .done = done, .arg = arg};
  ln_list_push(&x->chain, &g->c.link);
  return g;
}

void ln_tasks_list(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  const struct ln_generation *gen = x->gen;
  bool alone = gen->n_servers == 1;
  enum ln_sharing mode = alone ? gen->servers[0]->conf->session : LN_SHARING_CLIENT;
  if (alone && (mode == LN_SHARING_CLIENT ||
                (mode == LN_SHARING_REQUEST && !lists_tasks(x->session, gen->servers[0])))) {
    ln_exchange_set_server(x, gen->servers[0]);
    struct gather *g = gather_new(x, done, arg);
    if (g) to_server(x, msg, NULL, NULL, got_list, g);
    return;
  }
  bool any = false;
  for (size_t i = 0; i < gen->n_servers; i++) any |= lists_tasks(x->session, gen->servers[i]);
  if (!any) {
    ln_reply_no_method(done, arg, msg->method);
    return;
  }
  struct gather *g = gather_new(x, done, arg);
  if (!g) return;
  struct ln_buf cursor;
  ln_buf_init(&cursor, SIZE_MAX / 2);
  if (take_cursor(g, msg, &cursor))
    ask_next(g, cursor.len ? ln_buf_str(&cursor) : LN_STR_NONE);
  else
    ln_reply_error(done, arg, -32602, "Unknown cursor: start again without one");
  ln_buf_deinit(&cursor);
}

struct ln_msg *ln_tasks_own_only(const struct ln_session *s, const struct ln_server *server,
                                 struct ln_msg *reply) {
  return s->gen->n_servers < 2 ? reply : only_ours(s, server, true, reply);
}
