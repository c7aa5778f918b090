/* From servers' names to clients'; see rewrite.h. From clients' names to servers': resolve.c,
 * route/use.c and route/tasks.c. */
#include "proxy/names/rewrite.h"

#include <stdio.h>
#include <stdlib.h>

#include "mcp/template_set.h"
#include "proxy/names/elicitation.h"
#include "proxy/names/task.h"

/* A value to replace, and where in work.text its replacement is. */
struct find {
  struct ln_str at;
  size_t start, len;
};

/* The edits of one message, in the order in which they are found. */
struct work {
  struct ln_session *session;
  struct ln_server *server;
  bool uris, ids; /* which names may differ */
  bool looking;   /* only to find out whether it has a URI: then LN_EAGAIN */
  uint64_t steps; /* of looking URIs up that are left */
  bool too_long;  /* a URI is longer than max_uri_bytes and may be of a template */
  struct find *finds;
  size_t n, cap;
  struct ln_buf text;
};

static bool renames(const struct ln_session *s) {
  const struct ln_view *r = s->views[LN_KIND_RESOURCE], *t = s->views[LN_KIND_TEMPLATE];
  return (r && r->renames) || (t && t->renames);
}

/* The entry of a resource that the client knows under another URI, or NULL. */
static const struct ln_entry *listed(const struct work *w, struct ln_str native) {
  const struct ln_view *v = w->session->views[LN_KIND_RESOURCE];
  const struct ln_entry *e = v ? ln_map_get(&v->by_native, native) : NULL;
  while (e && e->server != w->server) e = e->next_native;
  return e;
}

/* Appends the client's URI for a server's URI that matches a template with another form.
 * LN_ENOTFOUND: none matches. LN_ELIMIT: no steps are left, or the URI is too long. */
static int by_template(struct work *w, const struct ln_view *v, struct ln_str native,
                       struct ln_buf *uri) {
  void *found;
  if (native.n > w->session->host->settings.max_uri_bytes &&
      ln_templates_near(&v->match.native, w->server, native)) {
    w->too_long = true;
    return LN_ELIMIT;
  }
  int rc = ln_templates_find(&v->match.native, w->server, native, &w->steps, &found);
  if (!rc) {
    const struct ln_entry *e = found;
    rc = ln_template_convert(ln_bytes_str(e->item->key), ln_bytes_str(e->key), native, uri,
                             &w->steps);
  }
  return rc;
}

/* The same; the view remembers the last one. One reference to *key; NULL when none matches. */
static int translated(struct work *w, struct ln_view *v, struct ln_bytes *native,
                      struct ln_bytes **key) {
  bool again = v->last.native && v->last.server == w->server->serial &&
               ln_str_eq(ln_bytes_str(v->last.native), ln_bytes_str(native));
  if (!again) {
    if (!w->steps) return LN_ELIMIT;
    struct ln_buf uri;
    ln_buf_init(&uri, SIZE_MAX / 2);
    int rc = by_template(w, v, ln_bytes_str(native), &uri);
    struct ln_bytes *made = rc ? NULL : ln_buf_take(&uri);
    ln_buf_deinit(&uri);
    if (rc && rc != LN_ENOTFOUND) return rc;
    ln_bytes_unref(v->last.native);
    ln_bytes_unref(v->last.key);
    v->last.server = w->server->serial;
    v->last.native = ln_bytes_ref(native);
    v->last.key = made;
  }
  *key = v->last.key ? ln_bytes_ref(v->last.key) : NULL;
  return LN_OK;
}

/* Appends the client's URI for the server's to w->text, quoted; nothing when they are the same. */
static int translate(struct work *w, struct ln_bytes *native) {
  const struct ln_entry *e = listed(w, ln_bytes_str(native));
  if (e) return ln_json_quote(&w->text, ln_bytes_str(e->key));
  struct ln_view *v = w->session->views[LN_KIND_TEMPLATE];
  struct ln_bytes *key = NULL;
  int rc = v ? translated(w, v, native, &key) : LN_OK;
  if (key) rc = ln_json_quote(&w->text, ln_bytes_str(key));
  ln_bytes_unref(key);
  return rc;
}

/* Adds an edit: value is replaced by what w->text has from start on. */
static int found(struct work *w, struct ln_str value, size_t start) {
  if (w->n == w->cap) {
    size_t cap = w->cap ? w->cap * 2 : 8;
    struct find *finds = realloc(w->finds, cap * sizeof *finds);
    if (!finds) return LN_ENOMEM;
    w->finds = finds;
    w->cap = cap;
  }
  w->finds[w->n++] = (struct find){value, start, w->text.len - start};
  return LN_OK;
}

/* The value is a URI: adds an edit when the client knows another. */
static int uri(struct work *w, struct ln_str value) {
  if (ln_json_type_of(value) != LN_JSON_STRING) return LN_OK;
  if (w->looking) return LN_EAGAIN;
  struct ln_bytes *native = w->uris ? ln_json_text(value) : NULL;
  if (!native) return LN_OK;
  size_t start = w->text.len;
  int rc = translate(w, native);
  ln_bytes_unref(native);
  return rc || w->text.len == start ? rc : found(w, value, start);
}

/* The value is an id: adds an edit when name, which takes its place, differs. Takes the reference
 * of name; NULL: out of memory. */
static int renamed(struct work *w, struct ln_str value, struct ln_bytes *id,
                   struct ln_bytes *name) {
  size_t start = w->text.len;
  int rc = LN_OK;
  if (name && !ln_str_eq(ln_bytes_str(name), ln_bytes_str(id))) {
    rc = ln_json_quote(&w->text, ln_bytes_str(name));
    if (!rc) rc = found(w, value, start);
  }
  ln_bytes_unref(name);
  return rc;
}

static int task_id(struct work *w, struct ln_str value) {
  struct ln_bytes *id =
      w->ids && ln_json_type_of(value) == LN_JSON_STRING ? ln_json_text(value) : NULL;
  if (!id) return LN_OK;
  int rc = renamed(w, value, id, ln_task_name(w->session, w->server, ln_bytes_str(id)));
  ln_bytes_unref(id);
  return rc;
}

static int elicitation_id(struct work *w, struct ln_str value) {
  struct ln_bytes *id =
      w->ids && ln_json_type_of(value) == LN_JSON_STRING ? ln_json_text(value) : NULL;
  if (!id) return LN_OK;
  struct ln_bytes *name = ln_elicitation_name(w->session, w->server, ln_bytes_str(id));
  int rc = renamed(w, value, id, name ? ln_bytes_ref(name) : NULL);
  ln_bytes_unref(id);
  return rc;
}

/* --- where names are: a table for each kind of object --- */

typedef int (*visit)(struct work *w, struct ln_str value);
struct place {
  const char *member;
  visit fn;
};

/* Visits the members that the table names; what is no object has none. */
static int members(struct work *w, struct ln_str object, const struct place *table, size_t n) {
  if (ln_json_type_of(object) != LN_JSON_OBJECT) return LN_OK;
  struct ln_json_cur cur = ln_json_enter(object);
  struct ln_json_item it;
  int rc = LN_OK;
  while (!rc && ln_json_next(&cur, &it))
    for (size_t i = 0; i < n && !rc; i++)
      if (ln_json_str_is(it.key, table[i].member)) rc = table[i].fn(w, it.value);
  return rc;
}
#define MEMBERS(w, object, table) members(w, object, table, LN_COUNT(table))

/* Visits the elements of an array, or a single value. */
static int each(struct work *w, struct ln_str value, visit fn) {
  if (ln_json_type_of(value) != LN_JSON_ARRAY) return fn(w, value);
  struct ln_json_cur cur = ln_json_enter(value);
  struct ln_json_item it;
  int rc = LN_OK;
  while (!rc && ln_json_next(&cur, &it)) rc = fn(w, it.value);
  return rc;
}

static int with_uri(struct work *w, struct ln_str object) {
  static const struct place places[] = {{"uri", uri}};
  return MEMBERS(w, object, places);
}

static int with_task_id(struct work *w, struct ln_str object) {
  static const struct place places[] = {{"taskId", task_id}};
  return MEMBERS(w, object, places);
}

static int ui(struct work *w, struct ln_str object) {
  static const struct place places[] = {{"resourceUri", uri}};
  return MEMBERS(w, object, places);
}

static int meta(struct work *w, struct ln_str object) {
  static const struct place places[] = {
      {"ui", ui},
      {"ui/resourceUri", uri},
      {"io.modelcontextprotocol/related-task", with_task_id},
  };
  return MEMBERS(w, object, places);
}

/* A content block: a link has its uri, an embedded resource has it one level down … */
static int block(struct work *w, struct ln_str value) {
  static const struct place places[] = {{"uri", uri}, {"resource", with_uri}};
  return MEMBERS(w, value, places);
}

static int inner_blocks(struct work *w, struct ln_str value) {
  return each(w, value, block);
}

/* … and a tool's result in a sampling message has blocks of its own. */
static int outer_block(struct work *w, struct ln_str value) {
  static const struct place places[] = {
      {"uri", uri}, {"resource", with_uri}, {"content", inner_blocks}};
  return MEMBERS(w, value, places);
}

static int blocks(struct work *w, struct ln_str value) {
  return each(w, value, outer_block);
}

static int message(struct work *w, struct ln_str value) {
  static const struct place places[] = {{"content", blocks}};
  return MEMBERS(w, value, places);
}

static int messages(struct work *w, struct ln_str value) {
  return each(w, value, message);
}

static int contents(struct work *w, struct ln_str value) {
  return each(w, value, with_uri);
}

static int elicitation(struct work *w, struct ln_str value) {
  static const struct place places[] = {{"elicitationId", elicitation_id}};
  return MEMBERS(w, value, places);
}

static int elicitations(struct work *w, struct ln_str value) {
  return each(w, value, elicitation);
}

static int data(struct work *w, struct ln_str value) {
  static const struct place places[] = {{"uri", uri}, {"elicitations", elicitations}};
  return MEMBERS(w, value, places);
}

static const struct place in_result[] = {
    {"contents", contents}, {"content", blocks}, {"messages", messages},
    {"task", with_task_id}, {"taskId", task_id}, {"_meta", meta},
};
static const struct place in_error[] = {{"data", data}};

/* What a server's own messages have, by method. */
static const struct {
  const char *method;
  struct place place;
} in_params[] = {
    {"sampling/createMessage", {"messages", messages}},
    {"elicitation/create", {"elicitationId", elicitation_id}},
    {"notifications/elicitation/complete", {"elicitationId", elicitation_id}},
    {"notifications/resources/updated", {"uri", uri}},
    {"notifications/tasks/status", {"taskId", task_id}},
};

/* --- whole messages --- */

static void begin(struct work *w, struct ln_session *s, struct ln_server *server, uint64_t steps) {
  *w = (struct work){.session = s, .server = server, .uris = renames(s), .steps = steps};
  ln_buf_init(&w->text, SIZE_MAX / 2);
}

static int by_place(const void *a, const void *b) {
  const struct find *x = a, *y = b;
  return x->at.p < y->at.p ? -1 : x->at.p > y->at.p;
}

/* The error in place of a message whose URIs can't be looked up: unchanged, it would give the
 * client the server's own. The log says which limit was met. */
static struct ln_msg *refused(const struct work *w, const struct ln_msg *m) {
  struct ln_session *s = w->session;
  char text[160], limit[80];
  const char *what = m->kind == LN_MSG_RESULT || m->kind == LN_MSG_ERROR ? "answer" : "message";
  if (w->too_long) {
    snprintf(limit, sizeof limit, "max_uri_bytes (%zu)", s->host->settings.max_uri_bytes);
    snprintf(text, sizeof text, "The server's %s has a URI that is longer than %s", what, limit);
  } else {
    snprintf(limit, sizeof limit, "%d steps of looking its URIs up", LN_MATCH_STEPS);
    snprintf(text, sizeof text,
             "The server's %s has too many URIs that could be of its resource templates", what);
  }
  LN_LOG(s->host->log, WARN, w->server->conf->name, "its %s was refused: more than %s", what,
         limit);
  return ln_msg_error(-32603, text, LN_STR_NONE);
}

/* The edited message, or the error in its place, or NULL when nothing differs. */
static struct ln_msg *finish(struct work *w, const struct ln_msg *m, int rc) {
  struct ln_edit *edits = w->n && !rc ? calloc(w->n, sizeof *edits) : NULL;
  if (edits) {
    qsort(w->finds, w->n, sizeof *w->finds, by_place);
    for (size_t i = 0; i < w->n; i++)
      edits[i] =
          (struct ln_edit){w->finds[i].at, {w->text.data + w->finds[i].start, w->finds[i].len}};
  }
  struct ln_msg *out = edits ? ln_msg_edit(m, edits, w->n) : rc == LN_ELIMIT ? refused(w, m) : NULL;
  ln_buf_deinit(&w->text);
  free(edits);
  free(w->finds);
  return out;
}

/* Ids can differ only with several servers or clients, or when there were before a reload. */
static bool ids_matter(const struct ln_session *s, const struct ln_server *server) {
  return s->gen->n_servers > 1 || ln_server_is_shared(server) || !ln_list_empty(&s->tasks);
}

/* Visits all names in a server's message. */
static int visit_all(struct work *w, const struct ln_msg *m) {
  if (m->kind == LN_MSG_ERROR) return MEMBERS(w, m->error, in_error);
  if (m->kind == LN_MSG_RESULT) return MEMBERS(w, m->result, in_result);
  int rc = m->related_task.p ? with_task_id(w, m->related_task) : LN_OK;
  for (size_t i = 0; i < LN_COUNT(in_params) && !rc; i++)
    if (ln_str_is(m->method, in_params[i].method))
      rc = members(w, m->params, &in_params[i].place, 1);
  return rc;
}

struct ln_msg *ln_rewrite_message(struct ln_session *s, struct ln_server *server,
                                  struct ln_msg *msg, uint64_t *steps) {
  struct work w;
  begin(&w, s, server, steps ? *steps : LN_MATCH_STEPS);
  /* A task that a result names has been put into the table before. */
  w.ids = msg->kind == LN_MSG_RESULT ? !ln_list_empty(&s->tasks) : ids_matter(s, server);
  int rc = w.uris || w.ids ? visit_all(&w, msg) : LN_OK;
  if (steps) *steps = w.steps;
  struct ln_msg *out = finish(&w, msg, rc);
  return out ? out : ln_msg_ref(msg);
}

bool ln_rewrite_names_uri(const struct ln_msg *msg) {
  struct work w = {.looking = true};
  return visit_all(&w, msg) == LN_EAGAIN;
}

/* --- the other way --- */

struct ln_msg *ln_rewrite_answer(struct ln_session *s, struct ln_server *server,
                                 struct ln_msg *reply) {
  struct ln_json_item it;
  if (ln_list_empty(&s->tasks) || reply->kind != LN_MSG_RESULT ||
      !ln_json_get(reply->result, "_meta", &it) ||
      !ln_json_get(it.value, "io.modelcontextprotocol/related-task", &it) ||
      !ln_json_get(it.value, "taskId", &it) || it.type != LN_JSON_STRING)
    return reply;
  struct work w;
  begin(&w, s, server, LN_MATCH_STEPS);
  struct ln_bytes *shown = ln_json_text(it.value);
  struct ln_task_entry *t = shown ? ln_task_by_shown(s, false, ln_bytes_str(shown)) : NULL;
  int rc = t && t->server == server ? renamed(&w, it.value, shown, ln_bytes_ref(t->id)) : LN_OK;
  ln_bytes_unref(shown);
  struct ln_msg *out = finish(&w, reply, rc);
  if (!out) return reply;
  ln_msg_unref(reply);
  return out;
}

/* --- resources that display tools --- */

struct ln_msg *ln_rewrite_tools(struct ln_session *s, struct ln_server *const *servers, size_t n,
                                struct ln_msg *page) {
  static const struct place places[] = {{"_meta", meta}};
  struct work w;
  begin(&w, s, NULL, LN_MATCH_STEPS);
  struct ln_json_item it;
  if (!w.uris || page->kind != LN_MSG_RESULT || !ln_json_get(page->result, "tools", &it))
    return page;
  struct ln_json_cur cur = ln_json_enter(it.value);
  int rc = LN_OK;
  for (size_t i = 0; i < n && !rc && ln_json_next(&cur, &it); i++) {
    if (!servers[i]) continue;
    /* Each server has a share of the steps: without any left, its URIs are not replaced.
     */
    if (w.server != servers[i]) w.steps = LN_MATCH_STEPS / s->gen->n_servers;
    w.server = servers[i];
    rc = MEMBERS(&w, it.value, places);
    if (rc == LN_ELIMIT) rc = LN_OK;
  }
  struct ln_msg *out = finish(&w, page, rc);
  if (!out) return page;
  ln_msg_unref(page);
  return out;
}
