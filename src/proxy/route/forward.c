/* To servers; see forward.h. */
#include "proxy/route/forward.h"

#include "proxy/client/pool.h"
#include "proxy/names/task.h"

void ln_forward(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                struct ln_str name_at, struct ln_bytes *name_with, ln_reply_fn done, void *arg) {
  const char *why = "out of memory";
  bool lasting = x->method->route == LN_ROUTE_SUBSCRIBE || x->method->route == LN_ROUTE_SET_LEVEL;
  bool task = msg->task.p != NULL;
  if (task && server->conf->session == LN_SHARING_REQUEST &&
      !ln_task_make_room(x->session, server)) {
    ln_reply_error(done, arg, -32603,
                   "Too many tasks at once: fetch the results of some, or cancel them");
    return;
  }
  struct ln_link *link = lasting ? ln_pool_link(x->session, server, &why)
                                 : ln_pool_link_for_call(x->session, server, task, &why);
  if (link && ln_exchange_call(x, link, msg, name_at, name_with, done, arg)) return;
  char text[LN_WHY_MAX + 128];
  ln_server_error_text(server, why, text, sizeof text);
  ln_reply_error(done, arg, -32603, text);
}

void ln_forward_to_only(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (x->gen->n_servers != 1) {
    ln_reply_no_method(done, arg, msg->method);
    return;
  }
  ln_exchange_set_server(x, x->gen->servers[0]);
  ln_forward(x, x->server, msg, LN_STR_NONE, NULL, done, arg);
}
