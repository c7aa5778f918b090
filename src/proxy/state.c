/* Levels of the log and subscriptions; see state.h. */
#include "proxy/state.h"

#include <stdlib.h>

#include "proxy/catalogue.h"
#include "proxy/router.h"
#include "proxy/share.h"

static void fail(ln_reply_fn done, void *arg, int code, const char *text) {
  done(arg, ln_msg_error(code, text, LN_STR_NONE));
}

/* --- subscriptions --- */

/* A server has answered what c.msg asked it to tell of, or not to tell of any more: what is told
 * again to one that starts later. Owned by the exchange. */
static void subscribed(void *arg, struct ln_msg *reply) {
  struct ln_chain *c = arg;
  struct ln_server *server = c->x->server;
  bool on = ln_str_is(c->msg->method, "resources/subscribe");
  int rc =
      reply->kind == LN_MSG_RESULT ? ln_session_subscribed(c->x->session, server, c->msg, on) : 0;
  if (rc && server->conf->session == LN_SHARING_SHARED) {
    ln_msg_unref(reply);
    reply = ln_msg_error(-32603, rc == LN_ELIMIT ? "Too many subscriptions" : "Out of memory",
                         LN_STR_NONE);
  } else if (rc == LN_ELIMIT) {
    LN_LOG(c->x->session->host->log, WARN, c->x->session->id,
           "too many subscriptions: not all outlive a server's restart");
  }
  c->done(c->arg, reply);
}

void ln_state_subscribe(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                        ln_reply_fn done, void *arg) {
  struct ln_chain *c = calloc(1, sizeof *c);
  if (!c) {
    fail(done, arg, -32603, "Out of memory");
    return;
  }
  *c = (struct ln_chain){.x = x, .msg = ln_msg_ref(msg), .done = done, .arg = arg};
  ln_list_push(&x->chain, &c->link);
  x->server = server;
  if (server->conf->session == LN_SHARING_SHARED && msg->uri.p)
    ln_share_request(server, x, msg, subscribed, c);
  else
    ln_router_send(x, server, msg, LN_STR_NONE, NULL, subscribed, c);
}

/* --- the level of the log --- */

bool ln_state_some_have(const struct ln_session *s, const char *capability) {
  struct ln_json_item it;
  bool any = false;
  for (size_t i = 0; i < s->gen->n_servers; i++) {
    const struct ln_index *c = ln_session_index(s, s->gen->servers[i]);
    any |= !c || ln_capability(c->capabilities, capability, &it);
  }
  return any;
}

/* One request to several servers: their first error, else what came last. The exchange owns it: a
 * cancelled one is never finished. */
struct fan {
  struct ln_chain c; /* msg: the reply so far */
  size_t pending;    /* answers to come, and the sender's own */
};

static void fan_reply(void *arg, struct ln_msg *reply) {
  struct fan *f = arg;
  if (!f->c.msg || (f->c.msg->kind == LN_MSG_RESULT && reply)) {
    ln_msg_unref(f->c.msg);
    f->c.msg = reply;
  } else {
    ln_msg_unref(reply);
  }
  if (--f->pending == 0) f->c.done(f->c.arg, ln_msg_ref(f->c.msg));
}

/* The session's new level, on its way to servers. Owned by the exchange. */
struct levelling {
  struct ln_chain c; /* msg: what asked for it */
  int before;
};

static void level_set(void *arg, struct ln_msg *reply) {
  struct levelling *v = arg;
  struct ln_session *s = v->c.x->session;
  bool refused = reply->kind != LN_MSG_RESULT;
  if (s->state != LN_SESSION_GONE && !refused) {
    ln_msg_unref(s->set_level);
    s->set_level = ln_msg_ref(v->c.msg);
  } else if (s->state != LN_SESSION_GONE && s->level == ln_level_of(v->c.msg->params)) {
    ln_session_set_level(s, v->before);
  }
  v->c.done(v->c.arg, reply);
  if (refused) ln_share_level_changed(s->host);
}

/* To the servers that log and are there already; to the only one whatever it says of itself. */
static void spread_level(struct fan *f, struct ln_msg *msg, bool alone) {
  struct ln_exchange *x = f->c.x;
  struct ln_json_item logging;
  LN_LIST_EACH(l, &x->session->own) {
    struct ln_link *link = LN_CONTAINER(l, struct ln_link, owner_link);
    bool lasting = alone && !link->single;
    if (!lasting && (link->state != LN_LINK_READY ||
                     !ln_capability(link->index->capabilities, "logging", &logging)))
      continue;
    f->pending++;
    if (!ln_link_request(link, msg, LN_STR_NONE, NULL, x, fan_reply, f)) f->pending--;
  }
  for (size_t i = 0; i < x->gen->n_servers; i++) {
    struct ln_server *server = x->gen->servers[i];
    const struct ln_link *link = server->shared;
    if (!link || (!alone && (link->state != LN_LINK_READY ||
                             !ln_capability(link->index->capabilities, "logging", &logging))))
      continue;
    f->pending++;
    ln_share_request(server, x, msg, fan_reply, f);
  }
}

void ln_state_set_level(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  struct ln_session *s = x->session;
  bool alone = x->gen->n_servers == 1;
  struct ln_server *only = alone ? x->gen->servers[0] : NULL;
  int level = ln_level_of(msg->params);
  if (level < 0 && (!alone || only->conf->session == LN_SHARING_SHARED)) {
    fail(done, arg, -32602, "Unknown log level");
    return;
  }
  const char *why;
  if (alone && !ln_pool_link(s, only, &why)) {
    ln_router_send(x, only, msg, LN_STR_NONE, NULL, done, arg); /* which says why */
    return;
  }
  struct levelling *v = calloc(1, sizeof *v);
  struct fan *f = calloc(1, sizeof *f);
  if (!f || !v) {
    free(f);
    free(v);
    fail(done, arg, -32603, "Out of memory");
    return;
  }
  *v = (struct levelling){.c = {.x = x, .msg = ln_msg_ref(msg), .done = done, .arg = arg},
                          .before = s->level};
  *f = (struct fan){.c = {.x = x, .done = level_set, .arg = v}, .pending = 1};
  ln_list_push(&x->chain, &v->c.link);
  ln_list_push(&x->chain, &f->c.link);
  if (alone) x->server = only;
  ln_session_set_level(s, level);
  spread_level(f, msg, alone);
  fan_reply(f, ln_msg_result(LN_STR_LIT("{}")));
}
