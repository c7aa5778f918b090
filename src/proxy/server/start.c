/* Servers started ahead; see start.h. */
#include "proxy/server/start.h"

void ln_start_eager(struct ln_server *server) {
  const char *why; /* told in the log by the link */
  if (!server->conf->eager || !ln_list_empty(&server->links)) return;
  if (ln_server_is_shared(server)) {
    ln_link_shared(server, &why);
    return;
  }
  if (server->conf->transport != LN_VIA_STDIO) return; /* there is nothing to be started */
  struct ln_link *link = ln_link_open(server, NULL, LN_LINK_LASTING, &why);
  if (!link) return;
  link->held = true;
  server->spare = link;
}

static void on_begin(struct ln_task *t) {
  ln_link_begin(LN_CONTAINER(t, struct ln_link, begin));
}

struct ln_link *ln_start_take(struct ln_server *server, struct ln_session *owner,
                              enum ln_link_use use) {
  struct ln_link *link = owner ? server->spare : NULL;
  if (!link || link->leaving) return NULL;
  server->spare = NULL;
  link->held = false;
  link->owner = owner;
  link->use = use;
  link->opened_at = ln_loop_now(server->host->loop);
  /* Not from inside the call, whose caller has still to take it. */
  if (link->connected) ln_task_post(server->host->loop, &link->begin, on_begin);
  return link;
}
