/* Changed lists; see list_changed.h. */
#include "proxy/route/list_changed.h"

#include <stdlib.h>

#include "proxy/lists/fetch.h"
#include "proxy/route/relay.h"

/* The kinds that have a notification: templates share that of resources. */
static const enum ln_kind kinds[] = {LN_KIND_TOOL, LN_KIND_RESOURCE, LN_KIND_PROMPT};

struct change {
  struct ln_server *server;
  struct ln_session *session; /* counted; NULL: shared */
  struct ln_msg *msg;         /* counted */
  enum ln_kind kind;
  unsigned pending;
  bool ours; /* not sent by the server: clients are notified only when the list differs */
  bool differs;
};

static void fetch(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind, bool ours);

static void changed(void *arg, bool differs) {
  struct change *c = arg;
  c->differs |= differs;
  if (--c->pending) return;
  /* The server's own notification is passed on in either case. */
  bool tell = !c->ours || c->differs;
  struct ln_host *h = c->server->host;
  if (tell && !h->closing && (!c->session || c->session->state != LN_SESSION_GONE))
    ln_relay_to_all(c->server, c->session, c->msg);
  struct ln_link *link = c->session ? ln_pool_current(c->session, c->server) : c->server->shared;
  bool again = link && link->changed_again[c->kind];
  if (link) link->changing[c->kind] = link->changed_again[c->kind] = false;
  if (again) fetch(link, c->msg, c->kind, c->ours);
  ln_msg_unref(c->msg);
  if (c->session) ln_session_unref(c->session);
  free(c);
}

static void fetch(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind, bool ours) {
  /* One fetch at a time, and one more for all notifications that come meanwhile. */
  if (link->changing[kind]) {
    link->changed_again[kind] = true;
    return;
  }
  struct change *c = calloc(1, sizeof *c);
  if (!c) return;
  link->changing[kind] = true;
  bool resources = kind == LN_KIND_RESOURCE;
  *c = (struct change){.server = link->server,
                       .session = link->owner ? ln_session_ref(link->owner) : NULL,
                       .msg = ln_msg_ref(msg),
                       .kind = kind,
                       .pending = resources ? 2 : 1,
                       .ours = ours};
  ln_fetch_changed(link, kind, changed, c);
  if (resources) ln_fetch_changed(link, LN_KIND_TEMPLATE, changed, c);
}

void ln_list_changed_reopened(struct ln_link *link) {
  const struct ln_index *index = ln_index_of_link(link);
  for (size_t i = 0; index && i < LN_COUNT(kinds); i++) {
    bool listed = index->listings[kinds[i]] ||
                  (kinds[i] == LN_KIND_RESOURCE && index->listings[LN_KIND_TEMPLATE]);
    struct ln_msg *m =
        listed ? ln_msg_notification(ln_kind_rows[kinds[i]].changed, LN_STR_NONE) : NULL;
    if (m) fetch(link, m, kinds[i], true);
    ln_msg_unref(m);
  }
}

void ln_list_changed_in(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind) {
  fetch(link, msg, kind, false);
}

void ln_list_changed_notify(struct ln_session *s, struct ln_server *server, enum ln_kind kind) {
  struct ln_msg *m = s->state == LN_SESSION_OPEN
                         ? ln_msg_notification(ln_kind_rows[kind].changed, LN_STR_NONE)
                         : NULL;
  if (m) ln_relay(server, s, NULL, m);
  ln_msg_unref(m);
}
