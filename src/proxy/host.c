/* The host's life, and what policies may ask of it. */
#include "proxy/host.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/catalogue.h"
#include "proxy/exchange/headers.h"
#include "proxy/router.h"
#include "proxy/view.h"
#include "script/shared.h"
#include "script/watchdog.h"
#include "transport/fetch.h"

void ln_host_init(struct ln_host *h, struct ln_loop *loop, struct ln_log *log) {
  *h = (struct ln_host){.loop = loop, .log = log};
  ln_list_init(&h->sessions);
  ln_list_init(&h->views);
  ln_list_init(&h->servers);
  ln_list_init(&h->policies);
  h->fetcher = ln_fetcher_new(loop);
  h->shared = ln_shared_new();
  h->watchdog = ln_watchdog_new(log);
  if (!h->watchdog) LN_LOG(log, WARN, "watchdog", "there is none: no thread for it");
}

/* --- generations --- */

struct ln_generation *ln_generation_ref(struct ln_generation *g) {
  g->refs++;
  return g;
}

void ln_generation_unref(struct ln_generation *g) {
  if (!g || --g->refs) return;
  for (size_t i = 0; i < g->n_servers; i++) {
    ln_server_unref(g->servers[i]);
    free(g->prefixes[i]);
  }
  free(g->servers);
  free(g->prefixes);
  size_t i = 0;
  struct ln_map_slot *slot;
  while (ln_map_next(&g->told, &i, &slot)) ln_bytes_unref(slot->value);
  ln_map_deinit(&g->told);
  ln_policy_unref(g->policy);
  free(g);
}

void ln_generation_tell(struct ln_generation *g, const char *topic, const char *fmt, ...) {
  enum { MAX_TOLD = 1000 }; /* names come from servers, again and again */
  char text[2048];
  va_list ap;
  int n = snprintf(text, sizeof text, "%.200s\n", topic);
  va_start(ap, fmt);
  vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
  va_end(ap);
  if (g->told.len >= MAX_TOLD || ln_map_get(&g->told, ln_str_c(text))) return;
  struct ln_bytes *kept = ln_bytes_copy(text, strlen(text));
  if (!kept || ln_map_put(&g->told, (struct ln_str){kept->data, kept->len}, kept))
    ln_bytes_unref(kept);
  LN_LOG(g->host->log, WARN, topic, "%s", text + n);
}

/* Presented names go to model APIs that allow letters, digits, '_' and '-' only. */
static char *safe_prefix(const char *name) {
  char *p = strdup(name);
  for (char *c = p; c && *c; c++) {
    bool ok = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '_' || *c == '-';
    if (!ok) *c = '_';
  }
  return p;
}

/* NULL with *ok: no prefix. */
static char *prefix_of(const struct ln_server_conf *c, size_t n_servers, bool *ok) {
  if (c->prefix_mode == LN_PREFIX_NEVER) return NULL;
  if (c->prefix_mode == LN_PREFIX_DEFAULT && n_servers < 2) return NULL;
  if (c->prefix_mode == LN_PREFIX_GIVEN && !*c->prefix) return NULL;
  char *p = c->prefix_mode == LN_PREFIX_GIVEN ? strdup(c->prefix) : safe_prefix(c->name);
  if (!p) *ok = false;
  return p;
}

/* The server of the generation before that this declaration means, or a new one. */
static struct ln_server *server_for(struct ln_host *h, const struct ln_server_conf *conf,
                                    const char **why) {
  for (size_t i = 0; h->gen && i < h->gen->n_servers; i++)
    if (ln_server_same(h->gen->servers[i], conf)) return ln_server_ref(h->gen->servers[i]);
  return ln_server_new(h, conf, why);
}

struct ln_generation *ln_generation_new(struct ln_host *h, struct ln_policy *policy,
                                        const char **why) {
  struct ln_generation *g = calloc(1, sizeof *g);
  *why = "out of memory";
  if (!g) {
    ln_policy_unref(policy);
    return NULL;
  }
  g->refs = 1;
  g->host = h;
  g->policy = policy;
  g->decls = ln_policy_decls(policy);
  ln_map_init(&g->told);
  for (size_t i = 0; i < g->decls->n_components; i++)
    g->components[g->decls->components[i].kind] = true;
  size_t n = g->decls->n_servers;
  g->servers = calloc(n + 1, sizeof(struct ln_server *));
  g->prefixes = calloc(n + 1, sizeof(char *));
  bool ok = g->servers && g->prefixes;
  for (size_t i = 0; i < n && ok; i++) {
    const struct ln_server_conf *conf = &g->decls->servers[i];
    g->servers[i] = server_for(h, conf, why);
    if (!g->servers[i]) {
      ok = false;
      break;
    }
    g->n_servers++;
    g->prefixes[i] = prefix_of(conf, n, &ok);
  }
  if (ok) return g;
  ln_generation_unref(g);
  return NULL;
}

int ln_host_start(struct ln_host *h, struct ln_policy *policy, const char **why) {
  h->settings = ln_policy_decls(policy)->settings;
  h->gen = ln_generation_new(h, policy, why);
  return h->gen ? LN_OK : LN_EINVALID;
}

size_t ln_host_in_flight(const struct ln_host *h) {
  size_t n = 0;
  LN_LIST_EACH(l, &h->sessions) {
    n += LN_CONTAINER(l, struct ln_session, link)->in_flight;
  }
  return n;
}

/* --- closing --- */

void ln_host_check_closed(struct ln_host *h) {
  if (!h->closing || !h->closed || !ln_list_empty(&h->sessions)) return;
  if (!ln_list_empty(&h->servers) || h->fetcher) return;
  void (*closed)(void *) = h->closed;
  h->closed = NULL;
  closed(h->closed_arg);
}

static void fetcher_closed(void *arg) {
  struct ln_host *h = arg;
  h->fetcher = NULL;
  ln_host_check_closed(h);
}

void ln_host_close(struct ln_host *h, void (*closed)(void *arg), void *arg) {
  LN_ASSERT(!h->closing);
  h->closing = true;
  LN_LIST_EACH(l, &h->sessions) {
    ln_session_end(LN_CONTAINER(l, struct ln_session, link));
  }
  LN_LIST_EACH(l, &h->servers) {
    struct ln_server *server = LN_CONTAINER(l, struct ln_server, link);
    LN_LIST_EACH(m, &server->links) {
      ln_link_close(LN_CONTAINER(m, struct ln_link, link), "Lunette is shutting down");
    }
  }
  h->closed = closed;
  h->closed_arg = arg;
  LN_LIST_EACH(l, &h->policies) ln_policy_end(ln_policy_of_link(l));
  ln_generation_unref(h->gen);
  h->gen = NULL;
  if (h->fetcher) ln_fetcher_close(h->fetcher, fetcher_closed, h);
  ln_host_check_closed(h);
}

void ln_host_deinit(struct ln_host *h) {
  LN_ASSERT(ln_list_empty(&h->servers) && ln_list_empty(&h->views));
  ln_shared_unref(h->shared);
  ln_watchdog_free(h->watchdog);
  *h = (struct ln_host){0};
}

/* --- what policies ask --- */

static struct ln_str int_text(struct ln_buf *scratch, uint64_t n) {
  return ln_buf_printf(scratch, "%" PRIu64, n) ? LN_STR_NONE : ln_buf_str(scratch);
}

static struct ln_str native_name(struct ln_exchange *x, struct ln_buf *scratch) {
  if (x->entry && x->entry->server)
    return (struct ln_str){x->entry->item->key->data, x->entry->item->key->len};
  struct ln_str raw = ln_json_inside(x->msg->name.p ? x->msg->name : x->msg->uri);
  if (!raw.p || ln_json_unescape(raw, true, scratch)) return LN_STR_NONE;
  return ln_buf_str(scratch);
}

static struct ln_str deadline(struct ln_exchange *x, struct ln_buf *scratch) {
  uint64_t now = ln_loop_now(x->session->host->loop);
  if (ln_list_empty(&x->requests))
    return int_text(scratch, x->session->host->settings.request_timeout_ms);
  struct ln_call *r = LN_CONTAINER(x->requests.next, struct ln_call, x_link);
  return int_text(scratch, r->deadline.due > now ? r->deadline.due - now : 0);
}

static struct ln_str fact(struct ln_exchange *x, enum ln_fact which, struct ln_buf *scratch) {
  struct ln_session *s = x->session;
  ln_buf_clear(scratch);
  switch (which) {
    case LN_FACT_SESSION_ID: return ln_str_c(s->id);
    case LN_FACT_TRANSPORT: return ln_str_c(s->transport);
    case LN_FACT_ERA: return LN_STR_LIT("legacy");
    case LN_FACT_PROTOCOL_VERSION: return s->version;
    case LN_FACT_CLIENT: return s->client_info;
    case LN_FACT_CAPABILITIES: return s->capabilities;
    case LN_FACT_HEADERS:
      if (!x->headers || ln_headers_json(x->headers, scratch)) return LN_STR_LIT("{}");
      return ln_buf_str(scratch);
    case LN_FACT_UPSTREAM: return x->server ? ln_str_c(x->server->conf->name) : LN_STR_NONE;
    case LN_FACT_NATIVE_NAME: return native_name(x, scratch);
    case LN_FACT_REQUEST_ID: return x->msg->id;
    case LN_FACT_DEADLINE: return deadline(x, scratch);
  }
  return LN_STR_NONE;
}

static uint64_t session_key(struct ln_exchange *x) {
  return x->session->key;
}

/* Policies are promised that no answer comes from inside their call. */
struct later {
  struct ln_task task;
  ln_reply_fn reply;
  void *arg;
  struct ln_msg *msg;
  struct ln_loop *loop;
  bool returned; /* the call is over: answers may go straight through */
  bool answered;
};

static void later_run(struct ln_task *t) {
  struct later *l = LN_CONTAINER(t, struct later, task);
  l->reply(l->arg, l->msg);
  free(l);
}

static void later_reply(void *arg, struct ln_msg *msg) {
  struct later *l = arg;
  l->msg = msg;
  if (!l->returned) {
    l->answered = true;
    ln_task_post(l->loop, &l->task, later_run);
    return;
  }
  l->reply(l->arg, msg);
  free(l);
}

static struct later *later_new(struct ln_exchange *x, ln_reply_fn reply, void *arg) {
  struct later *l = calloc(1, sizeof *l);
  LN_ASSERT(l != NULL); /* a few bytes: nothing sensible is left to do without them */
  l->reply = reply;
  l->arg = arg;
  l->loop = x->session->host->loop;
  ln_task_init(&l->task);
  return l;
}

static void own_request(struct ln_exchange *x, const char *method, struct ln_str params,
                        ln_reply_fn reply, void *arg) {
  struct later *l = later_new(x, reply, arg);
  struct ln_msg *m = ln_msg_request(method, params);
  if (m)
    ln_router_request(x->session, m, x, later_reply, l);
  else
    later_reply(l, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
  ln_msg_unref(m);
  if (!l->answered) l->returned = true;
}

static struct ln_sink *client_sink(struct ln_exchange *x) {
  while (x->cause) x = x->cause;
  return x->ended ? NULL : x->sink;
}

static int64_t ask_client(struct ln_exchange *x, const char *method, struct ln_str params,
                          ln_reply_fn reply, void *arg) {
  struct later *l = later_new(x, reply, arg);
  const char *lacking = ln_session_lacks(x->session, ln_str_c(method));
  if (lacking) {
    char text[80];
    snprintf(text, sizeof text, "The client has no %s", lacking);
    later_reply(l, ln_msg_error(-32601, text, LN_STR_NONE));
    return 0;
  }
  struct ln_msg *m = ln_msg_request(method, params);
  int64_t id = m ? ln_session_ask(x->session, client_sink(x), m, later_reply, l) : 0;
  if (!id) later_reply(l, ln_msg_error(-32603, "The client can't be asked", LN_STR_NONE));
  ln_msg_unref(m);
  if (!l->answered) l->returned = true;
  return id;
}

static void unask(struct ln_exchange *x, int64_t id) {
  struct ln_msg *m = ln_msg_error(-32603, "No longer needed", LN_STR_NONE);
  if (m) ln_session_ask_withdraw(x->session, id, m);
}

/* A log message below what the client asked for. */
static bool too_quiet(const struct ln_session *s, const struct ln_msg *m) {
  return ln_str_is(m->method, "notifications/message") && ln_level_of(m->params) < s->level;
}

static void notify_client(struct ln_exchange *x, const char *method, struct ln_str params) {
  /* Progress goes under the token of the client's own request. */
  struct ln_exchange *root = x;
  while (root->cause) root = root->cause;
  struct ln_msg *m = ln_msg_notification(method, params);
  if (!m) return;
  struct ln_out out;
  ln_out_init(&out, m);
  bool progress = ln_str_is(m->method, "notifications/progress");
  if (progress) ln_out_replace(&out, m->progress_token, root->msg->progress_token);
  if (too_quiet(x->session, m)) {
    /* nothing is sent */
  } else if (!progress || (root->msg->progress_token.p && ln_progress_rises(&root->progress, m)))
    ln_session_send(x->session, client_sink(x), &out, false);
  ln_out_deinit(&out);
  ln_msg_unref(m);
}

static int append_item(struct ln_buf *out, const char *comma, const char *server,
                       struct ln_str json) {
  int rc = ln_buf_printf(out, "%s{\"upstream\":", comma);
  if (!rc) rc = server ? ln_json_quote(out, ln_str_c(server)) : ln_buf_append_c(out, "null");
  if (!rc) rc = ln_buf_append_c(out, ",\"item\":");
  if (!rc) rc = ln_buf_append_str(out, json);
  return rc ? rc : ln_buf_append_c(out, "}");
}

/* What is indexed so far, for clients of any capabilities. */
static int inventory(void *host, enum ln_kind kind, struct ln_buf *out) {
  const struct ln_generation *g = ((struct ln_host *)host)->gen;
  const char *comma = "";
  int rc = ln_buf_append_c(out, "[");
  for (size_t i = 0; g && i < g->decls->n_components && !rc; i++) {
    if (g->decls->components[i].kind != kind) continue;
    rc = append_item(out, comma, NULL, g->decls->components[i].json);
    comma = ",";
  }
  for (size_t i = 0; g && i < g->n_servers && !rc; i++) {
    struct ln_listing *sh = NULL;
    LN_LIST_EACH(l, &g->servers[i]->indexes) {
      struct ln_index *c = LN_CONTAINER(l, struct ln_index, link);
      if (c->listings[kind]) sh = c->listings[kind];
    }
    for (size_t k = 0; sh && k < sh->n_items && !rc; k++) {
      rc = append_item(out, comma, g->servers[i]->conf->name, sh->items[k].json);
      comma = ",";
    }
  }
  return rc ? rc : ln_buf_append_c(out, "]");
}

static void notify_changed(void *host, enum ln_kind kind) {
  struct ln_host *h = host;
  struct ln_msg *m = ln_msg_notification(ln_kind_rows[kind].changed, LN_STR_NONE);
  if (!m) return;
  LN_LIST_EACH(l, &h->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    /* Rules may decide differently now: what was built of them is stale. */
    ln_view_unref(s->views[kind]);
    s->views[kind] = NULL;
    if (s->state != LN_SESSION_OPEN) continue;
    struct ln_out out;
    ln_out_init(&out, m);
    ln_session_send(s, NULL, &out, false);
    ln_out_deinit(&out);
  }
  ln_msg_unref(m);
}

static void server_clear(void *host, const char *name) {
  const struct ln_generation *g = ((struct ln_host *)host)->gen;
  for (size_t i = 0; g && i < g->n_servers; i++) {
    if (strcmp(g->servers[i]->conf->name, name) != 0) continue;
    LN_LIST_EACH(l, &g->servers[i]->links) {
      struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
      if (link->owner) ln_link_close(link, "cleared by the policy");
    }
  }
}

struct ln_policy_host ln_host_for_policy(struct ln_host *h) {
  return (struct ln_policy_host){
      .exchange_ref = ln_exchange_ref,
      .exchange_unref = ln_exchange_unref,
      .fact = fact,
      .session_key = session_key,
      .request = own_request,
      .ask_client = ask_client,
      .unask = unask,
      .notify_client = notify_client,
      .inventory = inventory,
      .notify_changed = notify_changed,
      .server_clear = server_clear,
      .host = h,
      .loop = h->loop,
      .log = h->log,
      .fetcher = h->fetcher,
      .policies = &h->policies,
      .shared = h->shared,
      .watchdog = h->watchdog,
  };
}
