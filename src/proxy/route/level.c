/* Log levels; see level.h. */
#include "proxy/route/level.h"

#include <stdlib.h>

#include "proxy/client/pool.h"
#include "proxy/route/forward.h"
#include "proxy/route/shared_state.h"

/* One request to several servers. The exchange owns it. */
struct fan {
  struct ln_chain c; /* msg: the first error, else the last result */
  size_t pending;    /* replies to come, plus one while requests are sent */
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

/* One logging/setLevel. Owned by the exchange. */
struct level_change {
  struct ln_chain c; /* msg: the request */
  int before;        /* the level until now: restored after an error */
};

static void level_set(void *arg, struct ln_msg *reply) {
  struct level_change *v = arg;
  struct ln_session *s = v->c.x->session;
  bool refused = reply->kind != LN_MSG_RESULT;
  if (s->state != LN_SESSION_GONE && !refused) {
    ln_msg_unref(s->set_level);
    s->set_level = ln_msg_ref(v->c.msg);
  } else if (s->state != LN_SESSION_GONE && s->peer.level == ln_level_of(v->c.msg->params)) {
    ln_session_set_level(s, v->before);
  }
  v->c.done(v->c.arg, reply);
  if (refused) ln_shared_state_level_changed(s->host);
}

static bool has_logging(const struct ln_link *link) {
  struct ln_json_item it;
  return ln_link_ready(link) && ln_capability(link->capabilities, "logging", &it);
}

/* To the links that are ready and have the logging capability; to an only server in any case. */
static void send_level(struct fan *f, struct ln_msg *msg, bool alone) {
  struct ln_exchange *x = f->c.x;
  LN_LIST_EACH(l, &x->session->links) {
    struct ln_link *link = LN_CONTAINER(l, struct ln_link, owner_link);
    bool lasting = alone && link->use == LN_LINK_LASTING;
    if (!lasting && !has_logging(link)) continue;
    f->pending++;
    if (!ln_exchange_call(x, link, msg, LN_STR_NONE, NULL, fan_reply, f)) f->pending--;
  }
  for (size_t i = 0; i < x->gen->n_servers; i++) {
    struct ln_server *server = x->gen->servers[i];
    const struct ln_link *link = server->shared;
    if (!link || (!alone && !has_logging(link))) continue;
    f->pending++;
    ln_shared_state_request(server, x, msg, fan_reply, f);
  }
}

void ln_level_request(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  struct ln_session *s = x->session;
  bool alone = x->gen->n_servers == 1;
  struct ln_server *only = alone ? x->gen->servers[0] : NULL;
  int level = ln_level_of(msg->params);
  if (level < 0 && (!alone || ln_server_is_shared(only))) {
    ln_reply_error(done, arg, -32602, "Unknown log level");
    return;
  }
  const char *why;
  if (alone && !ln_pool_link(s, only, &why)) {
    ln_forward(x, only, msg, LN_STR_NONE, NULL, done, arg); /* which says why */
    return;
  }
  struct level_change *v = calloc(1, sizeof *v);
  struct fan *f = calloc(1, sizeof *f);
  if (!f || !v) {
    free(f);
    free(v);
    ln_reply_no_memory(done, arg);
    return;
  }
  *v = (struct level_change){.c = {.x = x, .msg = ln_msg_ref(msg), .done = done, .arg = arg},
                             .before = s->peer.level};
  *f = (struct fan){.c = {.x = x, .done = level_set, .arg = v}, .pending = 1};
  ln_list_push(&x->chain, &v->c.link);
  ln_list_push(&x->chain, &f->c.link);
  if (alone) ln_exchange_set_server(x, only);
  ln_session_set_level(s, level);
  send_level(f, msg, alone);
  fan_reply(f, ln_msg_result(LN_STR_LIT("{}")));
}

void ln_level_restore(struct ln_link *link) {
  struct ln_msg *set_level = link->owner->set_level;
  if (set_level && has_logging(link)) ln_link_request(link, set_level, ln_reply_ignore, NULL);
}

void ln_level_session_ends(struct ln_session *s) {
  ln_msg_unref(s->set_level);
  s->set_level = NULL;
  if (s->peer.level < 0) return;
  ln_session_set_level(s, -1);
  ln_shared_state_level_changed(s->host);
}
