/* Servers' notifications, to clients; see relay.h. */
#include "proxy/route/relay.h"

#include "mcp/progress.h"
#include "proxy/exchange/hooks.h"
#include "proxy/names/rewrite.h"

/* The client's exchange that one made by a policy was made for; itself, if it is the client's. */
static struct ln_exchange *root_of(struct ln_exchange *x) {
  while (x && x->cause && !x->from_server) x = x->cause;
  return x;
}

struct ln_sink *ln_relay_sink(struct ln_exchange *cause) {
  struct ln_exchange *x = root_of(cause);
  return x && !ln_exchange_ended(x) ? x->sink : NULL;
}

static void notify(struct ln_session *s, struct ln_exchange *cause, struct ln_msg *msg) {
  struct ln_exchange *root = root_of(cause);
  /* Progress isn't sent after the response. */
  if (root && ln_str_is(msg->method, "notifications/progress") &&
      (ln_exchange_ended(root) || root->abandoned || !ln_progress_increases(&root->progress, msg)))
    return;
  /* An internal request without a client's request behind it has no stream to send this on. */
  if (root && root->reply && !root->sink && s->outbox.general == NULL) return;
  struct ln_out out;
  ln_out_init(&out, msg);
  ln_outbox_send(&s->outbox, ln_relay_sink(cause), &out, false);
  ln_out_deinit(&out);
}

static void notify_native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  notify(x->session, x->cause, msg);
  done(arg, NULL);
}

static void notify_done(void *arg, struct ln_msg *reply) {
  ln_msg_unref(reply);
  ln_exchange_close(arg);
}

/* With the client's names in it, through the handlers. */
static void relay_shown(struct ln_server *server, struct ln_session *s, struct ln_exchange *cause,
                        struct ln_msg *msg) {
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_SERVER);
  if (s->gen->decls->n_hooks == 0) {
    notify(s, cause, msg);
    return;
  }
  struct ln_exchange *x = ln_session_crowded(s) ? NULL : ln_exchange_new(s, msg, method, NULL);
  if (!x) {
    LN_LOG(s->host->log, WARN, server->topic, "too many notifications at once: dropped %.*s",
           LN_STR_ARG(msg->method));
    return;
  }
  ln_exchange_set_from_server(x, server);
  ln_exchange_set_cause(x, cause);
  if (cause) ln_exchange_hold_cause(x);
  static const struct ln_hooks_end end = {.native = notify_native};
  ln_hooks_run(x, 0, msg, &end, notify_done, x);
}

static void relay(struct ln_server *server, struct ln_session *s, struct ln_exchange *cause,
                  struct ln_msg *msg, uint64_t *steps) {
  struct ln_msg *m = ln_rewrite_message(s, server, msg, steps);
  if (m->kind != LN_MSG_ERROR) relay_shown(server, s, cause, m);
  ln_msg_unref(m);
}

void ln_relay(struct ln_server *server, struct ln_session *s, struct ln_exchange *cause,
              struct ln_msg *msg) {
  relay(server, s, cause, msg, NULL);
}

void ln_relay_to_one_of_many(struct ln_server *server, struct ln_session *s, struct ln_msg *msg,
                             uint64_t *steps) {
  relay(server, s, NULL, msg, steps);
}

void ln_relay_to_all(struct ln_server *server, struct ln_session *owner, struct ln_msg *msg) {
  if (owner) {
    ln_relay(server, owner, NULL, msg);
    return;
  }
  if (!ln_server_is_shared(server)) return;
  uint64_t steps = LN_MATCH_STEPS;
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (s->state == LN_SESSION_OPEN) relay(server, s, NULL, msg, &steps);
  }
}
