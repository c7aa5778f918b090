/* Subscriptions; see subscription.h. */
#include "proxy/route/subscription.h"

#include <stdlib.h>

#include "proxy/route/forward.h"

enum { MAX_SUBSCRIPTIONS = 1000 };

static void subscription_free(struct ln_subscription *sub) {
  ln_shared_state_unlisten(sub);
  ln_list_remove(&sub->link);
  ln_bytes_unref(sub->key);
  ln_msg_unref(sub->msg);
  free(sub);
}

static struct ln_subscription *find(const struct ln_session *s, const struct ln_server *server,
                                    struct ln_str key, size_t *n) {
  struct ln_subscription *found = NULL;
  *n = 0;
  LN_LIST_EACH(l, &s->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    ++*n;
    if (sub->server == server->serial && ln_str_eq(ln_bytes_str(sub->key), key)) found = sub;
  }
  return found;
}

/* LN_ENOMEM: it is not added. */
static int add(struct ln_session *s, struct ln_server *server, struct ln_bytes *key,
               struct ln_msg *msg) {
  struct ln_subscription *sub = calloc(1, sizeof *sub);
  if (!sub) return LN_ENOMEM;
  *sub = (struct ln_subscription){.session = s, .key = ln_bytes_ref(key), .msg = ln_msg_ref(msg)};
  ln_bytes_charge(key, s->purse);
  ln_bytes_charge(msg->bytes, s->purse);
  ln_list_init(&sub->topic_link);
  ln_list_push(&s->subscriptions, &sub->link);
  int rc = ln_shared_state_listen(sub, server);
  if (rc) subscription_free(sub);
  return rc;
}

/* Notes that this request has subscribed the client, or (false) unsubscribed it. LN_ENOMEM,
 * LN_ELIMIT: it is not noted. */
static int note(struct ln_session *s, struct ln_server *server, struct ln_msg *msg,
                bool subscribed) {
  if (s->state == LN_SESSION_GONE || !msg->uri.p) return LN_OK;
  struct ln_bytes *key = ln_json_text(msg->uri);
  if (!key) return LN_ENOMEM;
  size_t n;
  int rc = LN_OK;
  struct ln_subscription *sub = find(s, server, ln_bytes_str(key), &n);
  if (sub && subscribed) {
    ln_msg_unref(sub->msg);
    sub->msg = ln_msg_ref(msg);
  } else if (sub) {
    subscription_free(sub);
  } else if (subscribed) {
    rc = n < MAX_SUBSCRIPTIONS ? add(s, server, key, msg) : LN_ELIMIT;
  }
  ln_bytes_unref(key);
  return rc;
}

void ln_subscription_session_ends(struct ln_session *s) {
  LN_LIST_EACH(l, &s->subscriptions) {
    subscription_free(LN_CONTAINER(l, struct ln_subscription, link));
  }
}

void ln_subscription_move(struct ln_subscription *sub, struct ln_server *to) {
  ln_shared_state_unlisten(sub);
  if (!to || ln_shared_state_listen(sub, to)) subscription_free(sub);
}

void ln_subscription_restore(struct ln_link *link) {
  LN_LIST_EACH(l, &link->owner->subscriptions) {
    struct ln_subscription *sub = LN_CONTAINER(l, struct ln_subscription, link);
    if (sub->server == link->server->serial) ln_link_request(link, sub->msg, ln_reply_ignore, NULL);
  }
}

/* The reply to the request c.msg. */
static void subscribed(void *arg, struct ln_msg *reply) {
  struct ln_chain *c = arg;
  struct ln_server *server = c->x->server;
  bool on = ln_str_is(c->msg->method, "resources/subscribe");
  int rc = reply->kind == LN_MSG_RESULT ? note(c->x->session, server, c->msg, on) : 0;
  if (rc && ln_server_is_shared(server)) {
    ln_msg_unref(reply);
    reply = ln_msg_error(-32603, rc == LN_ELIMIT ? "Too many subscriptions" : "Out of memory",
                         LN_STR_NONE);
  } else if (rc == LN_ELIMIT) {
    LN_LOG(c->x->session->host->log, WARN, c->x->session->id,
           "too many subscriptions: not all outlive a server's restart");
  }
  c->done(c->arg, reply);
}

void ln_subscription_request(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                             ln_reply_fn done, void *arg) {
  struct ln_chain *c = calloc(1, sizeof *c);
  if (!c) {
    ln_reply_no_memory(done, arg);
    return;
  }
  *c = (struct ln_chain){.x = x, .msg = ln_msg_ref(msg), .done = done, .arg = arg};
  ln_list_push(&x->chain, &c->link);
  ln_exchange_set_server(x, server);
  if (ln_server_is_shared(server) && msg->uri.p)
    ln_shared_state_request(server, x, msg, subscribed, c);
  else
    ln_forward(x, server, msg, LN_STR_NONE, NULL, subscribed, c);
}
