/* The number of children; see children.h. */
#include "proxy/server/children.h"

#include <stdio.h>

#include "net/descriptors.h"

static bool refuse(struct ln_server *server, const char *which, size_t max, const char **why) {
  snprintf(server->full, sizeof server->full,
           "as many children run as may (%s = %zu): try again later", which, max);
  LN_LOG(server->host->log, WARN, server->topic, "refused a client: %s", server->full);
  server->host->ledger.refused++;
  *why = server->full;
  return false;
}

/* A child takes three descriptors, and a few while it starts: clients' connections make room. */
static void free_descriptors(struct ln_host *h, struct ln_account *payer) {
  for (int i = 0; i < 4 && ln_descriptors_scarce(h->loop); i++) {
    struct ln_account *most = ln_ledger_heaviest(&h->ledger, LN_SHORT_CONNECTIONS, payer);
    if (!most || !ln_account_yield(most, LN_SHORT_CONNECTIONS, LN_URGENCY_IDLE)) return;
  }
}

bool ln_children_take(struct ln_server *server, struct ln_session *owner, struct ln_account **payer,
                      const char **why) {
  struct ln_host *h = server->host;
  const struct ln_link_events *events = h->link_events;
  size_t max = server->conf->max_children, all = h->settings.max_children;
  *payer = NULL;
  if (server->pool || h->dial) return true;
  struct ln_account *a = events->payer(h, owner);
  *why = "out of memory";
  if (!a) return false;
  bool room = server->n_children < max || events->make_room(h, server, a, max);
  bool any = h->ledger.held[LN_SHORT_CHILDREN] < all || events->make_room(h, NULL, a, all);
  if (room && any) {
    free_descriptors(h, a);
    server->n_children++;
    ln_account_add(a, LN_SHORT_CHILDREN, 1);
    *payer = a;
    return true;
  }
  ln_account_unref(a);
  return room ? refuse(server, "max_children", all, why)
              : refuse(server, "max_children of this server", max, why);
}

void ln_children_give(struct ln_server *server, struct ln_account *payer) {
  if (!payer) return;
  server->n_children--;
  ln_account_give(payer, LN_SHORT_CHILDREN, 1);
  ln_account_unref(payer);
}
