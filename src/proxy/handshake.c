/* The handshake with clients and with servers; see handshake.h. */
#include "proxy/handshake.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/catalogue.h"
#include "proxy/view.h"

enum { MAX_INSTRUCTIONS = 64 * 1024 };

/* What a policy's handlers can answer for a client that can't. */
static const struct {
  const char *capability, *method;
} answerable[] = {
    {"sampling", "sampling/createMessage"},
    {"elicitation", "elicitation/create"},
    {"roots", "roots/list"},
};

/* --- towards servers --- */

/* Gives the object this member, in the place of one that it has. */
static int put_member(struct ln_buf *object, const char *name, struct ln_str value) {
  struct ln_str old = ln_buf_str(object);
  struct ln_json_item it;
  bool there = ln_json_get(old, name, &it);
  struct ln_str at = there ? it.value : (struct ln_str){old.p + old.n - 1, 0};
  const char *rest = at.p + at.n;
  struct ln_buf b;
  ln_buf_init(&b, object->max);
  int rc = ln_buf_append(&b, old.p, (size_t)(at.p - old.p));
  if (!rc && !there) rc = ln_buf_printf(&b, "%s\"%s\":", ln_json_count(old) ? "," : "", name);
  if (!rc) rc = ln_buf_append_str(&b, value);
  if (!rc) rc = ln_buf_append(&b, rest, (size_t)(old.p + old.n - rest));
  if (!rc) {
    struct ln_buf gone = *object;
    *object = b;
    b = gone;
  }
  ln_buf_deinit(&b);
  return rc;
}

/* The message with the slice `at` as text says; the message itself where nothing differs. */
static struct ln_msg *with_text(struct ln_msg *m, struct ln_str at, const struct ln_buf *text) {
  struct ln_edit edit = {at, {text->data, text->len}};
  return ln_str_eq(edit.at, edit.with) ? ln_msg_ref(m) : ln_msg_edit(m, &edit, 1);
}

/* The capabilities offered to servers: the client's own bytes plus what handlers add. */
static struct ln_bytes *offered(const struct ln_policy *p, struct ln_str own) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  struct ln_json_item it;
  int rc = ln_buf_append_str(&b, own);
  for (size_t i = 0; i < LN_COUNT(answerable) && !rc; i++) {
    const char *offer = ln_policy_offers(p, ln_str_c(answerable[i].method));
    if (offer && !ln_capability(own, answerable[i].capability, &it))
      rc = put_member(&b, answerable[i].capability, ln_str_c(offer));
  }
  struct ln_bytes *out = rc ? NULL : ln_buf_take(&b);
  ln_buf_deinit(&b);
  return out;
}

static struct ln_bytes *offered_shared(const struct ln_server *server) {
  return offered(server->host->gen->policy, LN_STR_LIT("{}"));
}

struct ln_msg *ln_server_hello_request(struct ln_link *link) {
  if (link->owner && link->owner->server_init_request)
    return ln_msg_ref(link->owner->server_init_request);
  struct ln_bytes *caps = offered_shared(link->server);
  if (!caps) return NULL;
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  int rc = ln_buf_printf(&b,
                         "{\"protocolVersion\":\"" LN_VERSION_LATEST
                         "\",\"capabilities\":%.*s,"
                         "\"clientInfo\":{\"name\":\"lunette\",\"version\":\"" LN_VERSION "\"}}",
                         (int)caps->len, caps->data);
  struct ln_msg *m = rc ? NULL : ln_msg_request("initialize", ln_buf_str(&b));
  ln_buf_deinit(&b);
  ln_bytes_unref(caps);
  return m;
}

static bool same_offer(const struct ln_session *s, const struct ln_index *c) {
  return s->offered && s->offered->len == c->offered->len &&
         memcmp(s->offered->data, c->offered->data, c->offered->len) == 0;
}

static bool declared(const struct ln_session *s, const struct ln_server *server) {
  for (size_t i = 0; i < s->gen->n_servers; i++)
    if (s->gen->servers[i] == server) return true;
  return false;
}

static void announce(struct ln_session *s, const struct ln_index *c) {
  static const enum ln_kind kinds[] = {LN_KIND_TOOL, LN_KIND_RESOURCE, LN_KIND_PROMPT};
  for (size_t i = 0; i < LN_COUNT(kinds); i++) {
    if (!ln_index_offers(c, kinds[i])) continue;
    struct ln_msg *m = ln_msg_notification(ln_kind_rows[kinds[i]].changed, LN_STR_NONE);
    if (!m) continue;
    struct ln_out out;
    ln_out_init(&out, m);
    ln_session_send(s, NULL, &out, false);
    ln_out_deinit(&out);
    ln_msg_unref(m);
  }
}

static void learn(struct ln_session *s, struct ln_index *c) {
  struct ln_server *server = c->server;
  if (ln_session_index(s, server) || ln_session_set_index(s, server, c)) return;
  if (s->state == LN_SESSION_OPEN || s->state == LN_SESSION_INITIALIZED) announce(s, c);
}

/* A server of another name or version is another, whatever was known of it. */
static bool same_server(const struct ln_index *c, const struct ln_msg *reply) {
  struct ln_json_item then = {0}, now = {0};
  bool had = ln_json_get(c->hello->result, "serverInfo", &then);
  return had == ln_json_get(reply->result, "serverInfo", &now) &&
         (!had || ln_str_eq(then.value, now.value));
}

struct ln_index *ln_router_index(struct ln_link *link, struct ln_msg *reply) {
  struct ln_server *server = link->server;
  struct ln_session *s = link->owner;
  struct ln_bytes *caps = s && s->offered ? ln_bytes_ref(s->offered) : offered_shared(server);
  if (!caps) return NULL;
  struct ln_index *c = ln_index_find(server, caps);
  bool replaced = c && !same_server(c, reply);
  if (replaced) {
    ln_index_retire(c);
    c = NULL;
  }
  bool known = c != NULL;
  c = c ? ln_index_ref(c) : ln_index_new(server, caps, reply, link);
  ln_bytes_unref(caps);
  if (!c) return NULL;
  if (s && replaced && ln_session_index(s, server) && ln_session_set_index(s, server, c) == LN_OK)
    announce(s, c);
  else if (s)
    learn(s, c);
  /* Sessions of the same kind that did without it (it is late, or new after a reload) hear of it.
   */
  if (known && !link->probe) return c;
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *other = LN_CONTAINER(l, struct ln_session, link);
    if (other == s || !declared(other, server)) continue;
    if (same_offer(other, c) || (!s && !link->probe))
      learn(other, c);
    else if (link->probe && !ln_session_index(other, server) && other->state == LN_SESSION_OPEN)
      announce(other, c); /* what it is shown is another list: asked for by itself */
  }
  return c;
}

/* --- towards the client --- */

struct hello {
  struct ln_exchange *x; /* counted */
  ln_reply_fn done;
  void *arg;
  size_t pending; /* servers not heard of, plus one while they are asked */
  size_t n;
  struct wait {
    struct ln_watcher watch;
    struct hello *hello;
  } * waits; /* one per upstream */
  struct ln_timer patience;
  char why[LN_WHY_MAX + 128];
};

static const char *const lists[] = {"tools", "resources", "prompts"};
static const enum ln_kind list_kinds[] = {LN_KIND_TOOL, LN_KIND_RESOURCE, LN_KIND_PROMPT};

static bool flag(struct ln_str object, const char *name) {
  struct ln_json_item it;
  return ln_json_get(object, name, &it) && it.type == LN_JSON_TRUE;
}

static bool own_components(const struct ln_generation *h, size_t i) {
  return h->components[list_kinds[i]] ||
         (list_kinds[i] == LN_KIND_RESOURCE && h->components[LN_KIND_TEMPLATE]);
}

/* Tasks are offered as far as some server goes: a tool's own taskSupport says the rest. */
static int write_tasks(const struct ln_exchange *x, struct ln_buf *b, const char *comma) {
  bool any = false, list = false, cancel = false, call = false;
  for (size_t i = 0; i < x->gen->n_servers; i++) {
    struct ln_json_item tasks, it;
    const struct ln_index *c = ln_session_index(x->session, x->gen->servers[i]);
    if (!c || !ln_capability(c->capabilities, "tasks", &tasks)) continue;
    any = true;
    list |= ln_capability(tasks.value, "list", &it);
    cancel |= ln_capability(tasks.value, "cancel", &it);
    call |= ln_capability(tasks.value, "requests", &it) && ln_capability(it.value, "tools", &it) &&
            ln_capability(it.value, "call", &it);
  }
  if (!any) return LN_OK;
  return ln_buf_printf(b, "%s\"tasks\":{%s%s%s%s%s}", comma, list ? "\"list\":{}" : "",
                       list && (cancel || call) ? "," : "", cancel ? "\"cancel\":{}" : "",
                       cancel && call ? "," : "",
                       call ? "\"requests\":{\"tools\":{\"call\":{}}}" : "");
}

/* The union of what all servers offer; one that is late counts as offering every list. */
static int write_capabilities(const struct ln_exchange *x, struct ln_buf *b) {
  const struct ln_session *s = x->session;
  const struct ln_generation *h = x->gen;
  static const char *const plain[] = {"logging", "completions"};
  const char *comma = "";
  int rc = ln_buf_append_c(b, "{");
  for (size_t k = 0; k < LN_COUNT(plain) && !rc; k++) {
    struct ln_json_item it;
    bool any = false;
    for (size_t i = 0; i < h->n_servers; i++) {
      const struct ln_index *c = ln_session_index(s, h->servers[i]);
      any |= c && ln_capability(c->capabilities, plain[k], &it);
    }
    if (any) rc = ln_buf_printf(b, "%s\"%s\":{}", comma, plain[k]), comma = ",";
  }
  for (size_t k = 0; k < LN_COUNT(lists) && !rc; k++) {
    bool any = own_components(h, k), changed = any, subscribe = false;
    for (size_t i = 0; i < h->n_servers; i++) {
      struct ln_json_item it;
      const struct ln_index *c = ln_session_index(s, h->servers[i]);
      if (!c) {
        any = changed = true;
      } else if (ln_capability(c->capabilities, lists[k], &it)) {
        any = true;
        changed |= flag(it.value, "listChanged");
        subscribe |= flag(it.value, "subscribe");
      }
    }
    if (!any) continue;
    rc = ln_buf_printf(b, "%s\"%s\":{%s%s%s}", comma, lists[k],
                       subscribe ? "\"subscribe\":true" : "", subscribe && changed ? "," : "",
                       changed ? "\"listChanged\":true" : "");
    comma = ",";
  }
  if (!rc) rc = write_tasks(x, b, comma);
  return rc ? rc : ln_buf_append_c(b, "}");
}

static int write_instructions(const struct ln_exchange *x, struct ln_buf *b) {
  const struct ln_session *s = x->session;
  const struct ln_generation *h = x->gen;
  struct ln_buf text;
  ln_buf_init(&text, MAX_INSTRUCTIONS);
  int rc = LN_OK;
  for (size_t i = 0; i < h->n_servers && !rc; i++) {
    struct ln_json_item it;
    const struct ln_index *c = ln_session_index(s, h->servers[i]);
    if (!c || !ln_json_get(c->hello->result, "instructions", &it) || it.type != LN_JSON_STRING)
      continue;
    rc = ln_buf_printf(&text, "%s# %s\n\n", text.len ? "\n\n" : "", h->servers[i]->conf->name);
    if (!rc) rc = ln_json_unescape(ln_json_inside(it.value), true, &text);
  }
  if (rc == LN_ELIMIT) {
    LN_LOG(s->host->log, WARN, s->id, "the servers' instructions were cut to %d bytes",
           MAX_INSTRUCTIONS);
    rc = LN_OK;
  }
  if (!rc && text.len) {
    rc = ln_buf_append_c(b, ",\"instructions\":");
    if (!rc) rc = ln_json_quote(b, ln_buf_str(&text));
  }
  ln_buf_deinit(&text);
  return rc;
}

static struct ln_msg *merged_reply(const struct ln_exchange *x) {
  const struct ln_session *s = x->session;
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  int rc =
      ln_buf_printf(&b, "{\"protocolVersion\":\"%.*s\",\"capabilities\":", LN_STR_ARG(s->version));
  if (!rc) rc = write_capabilities(x, &b);
  if (!rc)
    rc = ln_buf_append_c(&b,
                         ",\"serverInfo\":{\"name\":\"lunette\",\"version\":\"" LN_VERSION "\"}");
  if (!rc) rc = write_instructions(x, &b);
  if (!rc) rc = ln_buf_append_c(&b, "}");
  struct ln_msg *m = rc ? NULL : ln_msg_result(ln_buf_str(&b));
  ln_buf_deinit(&b);
  return m;
}

/* What the server offers and the policy's components add. */
static int add_components(const struct ln_exchange *x, const struct ln_index *c, struct ln_buf *b) {
  struct ln_json_item it;
  int rc = ln_buf_append_str(b, c->capabilities);
  for (size_t k = 0; k < LN_COUNT(lists) && !rc; k++)
    if (own_components(x->gen, k) && !ln_capability(c->capabilities, lists[k], &it))
      rc = put_member(b, lists[k], LN_STR_LIT("{\"listChanged\":true}"));
  return rc;
}

/* One server's own answer, with our version and what the policy's components add. */
static struct ln_msg *mirrored_reply(const struct ln_exchange *x, const struct ln_index *c) {
  struct ln_str own = c->hello->result;
  struct ln_json_item it;
  struct ln_buf result, caps;
  char version[24];
  int len = snprintf(version, sizeof version, "\"%.*s\"", LN_STR_ARG(x->session->version));
  ln_buf_init(&result, SIZE_MAX / 2);
  ln_buf_init(&caps, SIZE_MAX / 2);
  int rc = ln_buf_append_str(&result, own);
  if (!rc) rc = add_components(x, c, &caps);
  if (!rc && !ln_str_eq(ln_buf_str(&caps), c->capabilities))
    rc = put_member(&result, "capabilities", ln_buf_str(&caps));
  if (!rc && ln_json_get(own, "protocolVersion", &it) &&
      !ln_str_eq(ln_json_inside(it.value), x->session->version))
    rc = put_member(&result, "protocolVersion", (struct ln_str){version, (size_t)len});
  struct ln_msg *m = rc ? NULL : with_text(c->hello, own, &result);
  ln_buf_deinit(&caps);
  ln_buf_deinit(&result);
  return m;
}

static void answer(struct hello *h) {
  struct ln_exchange *x = h->x;
  struct ln_session *s = x->session;
  const struct ln_generation *g = x->gen;
  const struct ln_index *only = g->n_servers == 1 ? ln_session_index(s, g->servers[0]) : NULL;
  ln_timer_stop(&h->patience);
  for (size_t i = 0; i < h->n; i++) ln_link_unwatch(&h->waits[i].watch);
  struct ln_msg *reply;
  if (s->state == LN_SESSION_GONE) {
    reply = ln_msg_error(-32603, "The session has ended", LN_STR_NONE);
  } else if (only) {
    reply = mirrored_reply(x, only);
  } else if (g->n_servers == 1 && *h->why && g->decls->n_components == 0) {
    reply = ln_msg_error(-32603, h->why, LN_STR_NONE);
  } else {
    reply = merged_reply(x);
  }
  if (s->state == LN_SESSION_INITIALIZING)
    s->state = reply && reply->kind == LN_MSG_RESULT ? LN_SESSION_INITIALIZED : LN_SESSION_NEW;
  h->done(h->arg, reply ? reply : ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
  ln_exchange_unref(x);
  free(h->waits);
  free(h);
}

static void heard(struct hello *h) {
  if (--h->pending == 0) answer(h);
}

static void server_known(struct ln_watcher *w, struct ln_link *link, bool ready, const char *why) {
  struct hello *h = LN_CONTAINER(w, struct wait, watch)->hello;
  struct ln_session *s = h->x->session;
  if (!ready)
    ln_server_blame(link->server, why, h->why, sizeof h->why);
  else if (!ln_session_index(s, link->server) && link->index &&
           ln_session_set_index(s, link->server, link->index))
    snprintf(h->why, sizeof h->why, "out of memory");
  heard(h);
}

static void out_of_patience(struct ln_timer *t) {
  struct hello *h = LN_CONTAINER(t, struct hello, patience);
  LN_LOG(h->x->session->host->log, WARN, h->x->session->id,
         "%zu server(s) are late; answering initialize without them", h->pending);
  answer(h);
}

static void ask_server(struct hello *h, size_t i) {
  struct ln_server *server = h->x->gen->servers[i];
  struct ln_session *s = h->x->session;
  struct ln_index *known =
      server->conf->session == LN_SHARING_SHARED ? NULL : ln_index_find(server, s->offered);
  if (known && ln_session_set_index(s, server, known) == LN_OK) return;
  /* Its client does not wait for an answer; and after a restart they all come back at once. */
  if (s->revived) return;
  const char *why;
  struct ln_link *link = ln_pool_link(s, server, &why);
  if (!link) {
    ln_server_blame(server, why, h->why, sizeof h->why);
    return;
  }
  h->pending++;
  ln_link_watch(link, &h->waits[i].watch);
}

int ln_handshake_offer(struct ln_session *s) {
  struct ln_msg *msg = s->hello;
  struct ln_json_item version;
  if (!msg) return LN_OK;
  struct ln_bytes *fresh = offered(s->gen->policy, s->capabilities);
  if (!fresh) return LN_ENOMEM;
  ln_bytes_unref(s->offered);
  s->offered = fresh;
  struct ln_str offer = {fresh->data, fresh->len};
  if (!ln_json_get(msg->params, "protocolVersion", &version)) return LN_EINVALID;
  /* The client's own words go on, but for what must differ. */
  struct ln_buf params;
  ln_buf_init(&params, SIZE_MAX / 2);
  int rc = ln_buf_append_str(&params, msg->params);
  if (!rc && !ln_version_known(ln_json_inside(version.value)))
    rc = put_member(&params, "protocolVersion", LN_STR_LIT("\"" LN_VERSION_LATEST "\""));
  if (!rc && !ln_str_eq(offer, s->capabilities)) rc = put_member(&params, "capabilities", offer);
  ln_msg_unref(s->server_init_request);
  s->server_init_request = rc ? NULL : with_text(msg, msg->params, &params);
  ln_buf_deinit(&params);
  return s->server_init_request ? LN_OK : LN_ENOMEM;
}

/* Reads the request into the session. NULL, or what is wrong. */
static const char *take_init_request(struct ln_session *s, struct ln_msg *msg) {
  struct ln_json_item version, caps, info;
  if (!msg->params.p || !ln_json_get(msg->params, "protocolVersion", &version) ||
      version.type != LN_JSON_STRING)
    return "initialize needs params.protocolVersion";
  bool has_caps = ln_json_get(msg->params, "capabilities", &caps);
  if (has_caps && caps.type != LN_JSON_OBJECT) return "params.capabilities must be an object";
  ln_msg_unref(s->hello);
  s->hello = ln_msg_ref(msg);
  s->version = ln_str_c(ln_version_answer(ln_json_inside(version.value)));
  s->capabilities = has_caps ? caps.value : LN_STR_LIT("{}");
  bool has_info = ln_json_get(msg->params, "clientInfo", &info) && info.type == LN_JSON_OBJECT;
  s->client_info = has_info ? info.value : LN_STR_LIT("{}"); /* not of a hello before */
  return ln_handshake_offer(s) ? "out of memory" : NULL;
}

void ln_handshake_start(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  struct ln_session *s = x->session;
  struct ln_host *host = s->host;
  if (s->state != LN_SESSION_NEW) {
    done(arg, ln_msg_error(-32600, "The session is initialized already", LN_STR_NONE));
    return;
  }
  const char *wrong = take_init_request(s, msg);
  if (wrong) {
    done(arg, ln_msg_error(-32602, wrong, LN_STR_NONE));
    return;
  }
  struct hello *h = calloc(1, sizeof *h);
  if (h) h->waits = calloc(x->gen->n_servers + 1, sizeof *h->waits);
  if (!h || !h->waits) {
    free(h);
    done(arg, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
    return;
  }
  s->state = LN_SESSION_INITIALIZING;
  x->greets = true;
  h->x = x;
  ln_exchange_ref(x);
  h->done = done;
  h->arg = arg;
  h->n = x->gen->n_servers;
  h->pending = 1;
  ln_timer_init(&h->patience);
  for (size_t i = 0; i < h->n; i++) {
    h->waits[i].hello = h;
    h->waits[i].watch.fn = server_known;
    ln_list_init(&h->waits[i].watch.link);
  }
  for (size_t i = 0; i < h->n; i++) ask_server(h, i);
  if (h->pending > 1)
    ln_timer_start(host->loop, &h->patience, host->settings.start_timeout_ms, out_of_patience);
  heard(h);
}
