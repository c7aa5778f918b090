/* What policies call; see for_policy.h. */
#include "proxy/route/for_policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/progress.h"
#include "proxy/client/headers.h"
#include "proxy/exchange/exchange.h"
#include "proxy/lists/share.h"
#include "proxy/lists/view.h"
#include "proxy/route/from_client.h"

static struct ln_str int_text(struct ln_buf *scratch, uint64_t n) {
  return ln_buf_printf(scratch, "%" PRIu64, n) ? LN_STR_NONE : ln_buf_str(scratch);
}

static struct ln_str native_name(struct ln_exchange *x, struct ln_buf *scratch) {
  if (x->entry && x->entry->server) return ln_bytes_str(x->entry->item->key);
  const struct ln_msg *named = x->named;
  struct ln_str raw = ln_json_inside(named->name.p ? named->name : named->uri);
  if (!raw.p || ln_json_unescape(raw, true, scratch)) return LN_STR_NONE;
  return named->name.p && x->server ? ln_generation_native(x->gen, x->server, ln_buf_str(scratch))
                                    : ln_buf_str(scratch);
}

static struct ln_str deadline(struct ln_exchange *x, struct ln_buf *scratch) {
  uint64_t now = ln_loop_now(x->session->host->loop);
  if (ln_list_empty(&x->calls))
    return int_text(scratch, x->session->host->settings.request_timeout_ms);
  struct ln_call *r = LN_CONTAINER(x->calls.next, struct ln_call, in_exchange);
  return int_text(scratch, r->deadline.due > now ? r->deadline.due - now : 0);
}

/* By the name that the client gave: that is what it knows a schema of, whoever answers in the end.
 */
static struct ln_str structured(struct ln_exchange *x, struct ln_buf *scratch) {
  const struct ln_view *v = x->view && x->view->kind == LN_KIND_TOOL
                                ? x->view
                                : ln_view_for(x->session, LN_KIND_TOOL, x->headers);
  if (!v || x->method->route != LN_ROUTE_USE || !x->msg->name.p) return LN_STR_NONE;
  struct ln_bytes *key = ln_json_text(x->msg->name);
  const struct ln_entry *e = key ? ln_view_find(v, ln_bytes_str(key)) : NULL;
  struct ln_str json = e && e->json ? ln_bytes_str(e->json)
                       : e          ? ln_entry_definition(v, e)
                                    : LN_STR_NONE;
  struct ln_json_item schema;
  bool has = json.p && ln_json_get(json, "outputSchema", &schema) && schema.type == LN_JSON_OBJECT;
  if (has) ln_buf_append_str(scratch, ln_bytes_str(key));
  ln_bytes_unref(key);
  return has ? ln_buf_str(scratch) : LN_STR_NONE;
}

static struct ln_str fact(struct ln_exchange *x, enum ln_fact which, struct ln_buf *scratch) {
  struct ln_session *s = x->session;
  ln_buf_clear(scratch);
  switch (which) {
    case LN_FACT_SESSION_ID: return ln_str_c(s->id);
    case LN_FACT_TRANSPORT: return ln_str_c(s->transport);
    case LN_FACT_ERA: return ln_str_c(ln_era_names[x->peer->era]);
    case LN_FACT_PROTOCOL_VERSION: return x->peer->version;
    case LN_FACT_CLIENT: return x->peer->client_info;
    case LN_FACT_CAPABILITIES: return x->peer->capabilities;
    case LN_FACT_HEADERS:
      if (!x->headers || ln_headers_json(x->headers, scratch)) return LN_STR_LIT("{}");
      return ln_buf_str(scratch);
    case LN_FACT_UPSTREAM: return x->server ? ln_str_c(x->server->conf->name) : LN_STR_NONE;
    case LN_FACT_NATIVE_NAME: return native_name(x, scratch);
    case LN_FACT_REQUEST_ID: return x->msg->id;
    case LN_FACT_FROM: return x->from_server ? LN_STR_LIT("server") : LN_STR_LIT("client");
    case LN_FACT_DEADLINE: return deadline(x, scratch);
    case LN_FACT_STRUCTURED: return structured(x, scratch);
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
  if (!l) return NULL;
  l->reply = reply;
  l->arg = arg;
  l->loop = x->session->host->loop;
  ln_task_init(&l->task);
  return l;
}

static void own_request(struct ln_exchange *x, const char *method, struct ln_str params,
                        ln_reply_fn reply, void *arg) {
  struct later *l = later_new(x, reply, arg);
  if (!l) {
    reply(arg, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
    return;
  }
  struct ln_msg *m = ln_msg_request(method, params);
  if (m)
    ln_from_client_request(x->session, m, x, later_reply, l);
  else
    later_reply(l, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
  ln_msg_unref(m);
  if (!l->answered) l->returned = true;
}

static struct ln_sink *client_sink(struct ln_exchange *x) {
  while (x->cause) x = x->cause;
  return ln_exchange_ended(x) ? NULL : x->sink;
}

static int64_t ask_client(struct ln_exchange *x, const char *method, struct ln_str params,
                          ln_reply_fn reply, void *arg) {
  struct later *l = later_new(x, reply, arg);
  if (!l) {
    reply(arg, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
    return 0;
  }
  const char *lacking = ln_peer_lacks(x->peer, ln_str_c(method));
  if (lacking) {
    char text[80];
    snprintf(text, sizeof text, "The client has no %s", lacking);
    later_reply(l, ln_msg_error(-32601, text, LN_STR_NONE));
    return 0;
  }
  struct ln_msg *m = ln_msg_request(method, params);
  int64_t id = m ? ln_outbox_ask(&x->session->outbox, client_sink(x), m, later_reply, l) : 0;
  if (!id) later_reply(l, ln_msg_error(-32603, "The client can't be asked", LN_STR_NONE));
  ln_msg_unref(m);
  if (!l->answered) l->returned = true;
  return id;
}

static void cancel_ask(struct ln_exchange *x, int64_t id) {
  struct ln_msg *m = ln_msg_error(-32603, "No longer needed", LN_STR_NONE);
  if (m) ln_outbox_ask_withdraw(&x->session->outbox, id, m);
}

/* True for a log message below the client's log level. */
static bool below_level(const struct ln_peer *peer, const struct ln_msg *m) {
  return ln_str_is(m->method, "notifications/message") && ln_level_of(m->params) < peer->level;
}

static void notify_client(struct ln_exchange *x, const char *method, struct ln_str params) {
  /* Progress goes under the token of the client's own request; a server's own is none of its. */
  struct ln_exchange *root = x;
  while (root->cause) root = root->cause;
  struct ln_msg *m = ln_msg_notification(method, params);
  if (!m) return;
  struct ln_out out;
  ln_out_init(&out, m);
  bool progress = ln_str_is(m->method, "notifications/progress");
  if (progress) ln_out_replace(&out, m->progress_token, root->msg->progress_token);
  if (below_level(x->peer, m)) {
    /* nothing is sent */
  } else if (!progress || (root->msg->progress_token.p && !root->from_server &&
                           ln_progress_increases(&root->progress, m)))
    ln_outbox_send(&x->session->outbox, client_sink(x), &out, false);
  ln_out_deinit(&out);
  ln_msg_unref(m);
}

static void append_item(struct ln_buf *out, const char *server, struct ln_str json) {
  ln_buf_append_c(out, out->len > 1 ? ",{\"upstream\":" : "{\"upstream\":");
  if (server)
    ln_json_quote(out, ln_str_c(server));
  else
    ln_buf_append_c(out, "null");
  ln_buf_append_c(out, ",\"item\":");
  ln_buf_append_str(out, json);
  ln_buf_append_c(out, "}");
}

/* What is indexed so far, for clients of any capabilities. */
static int inventory(void *host, enum ln_kind kind, struct ln_buf *out) {
  const struct ln_generation *g = ((struct ln_host *)host)->gen;
  ln_buf_append_c(out, "[");
  for (size_t i = 0; g && i < g->decls->n_components; i++)
    if (g->decls->components[i].kind == kind) append_item(out, NULL, g->decls->components[i].json);
  for (size_t i = 0; g && i < g->n_servers; i++) {
    const struct ln_listing *list = NULL;
    LN_LIST_EACH(l, &g->servers[i]->indexes) {
      const struct ln_index *index = LN_CONTAINER(l, struct ln_index, link);
      if (index->listings[kind]) list = index->listings[kind];
    }
    for (size_t k = 0; list && k < list->n_items; k++)
      append_item(out, g->servers[i]->conf->name, list->items[k].json);
  }
  return ln_buf_append_c(out, "]");
}

static void notify_changed(void *host, enum ln_kind kind) {
  struct ln_host *h = host;
  LN_LIST_EACH(l, &h->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    /* Rules may decide differently now: what was built of them is stale. */
    ln_view_set(s, kind, NULL);
    if (s->state == LN_SESSION_OPEN) ln_outbox_notify(&s->outbox, ln_kind_rows[kind].changed);
  }
}

/* The session that all clients share ends after the calls that are under way in it, which may be of
 * clients who have nothing to do with who clears it. */
static void clear_shared(struct ln_link *link) {
  if (!link || !ln_link_ready(link)) return;
  ln_link_drain(link);
  ln_link_close_if_idle(link);
}

static void server_clear(void *host, const char *name) {
  const struct ln_generation *g = ((struct ln_host *)host)->gen;
  for (size_t i = 0; g && i < g->n_servers; i++) {
    if (strcmp(g->servers[i]->conf->name, name) != 0) continue;
    clear_shared(g->servers[i]->shared);
    LN_LIST_EACH(l, &g->servers[i]->links) {
      struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
      if (link->owner) {
        ln_share_lost(link);
        ln_link_close(link, "cleared by the policy");
      }
    }
  }
}

struct ln_policy_host ln_for_policy(struct ln_host *h) {
  return (struct ln_policy_host){
      .exchange_ref = ln_exchange_ref,
      .exchange_unref = ln_exchange_unref,
      .fact = fact,
      .session_key = session_key,
      .request = own_request,
      .ask_client = ask_client,
      .cancel_ask = cancel_ask,
      .deserted = ln_exchange_deserted,
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
