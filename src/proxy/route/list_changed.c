/* Changed lists; see list_changed.h. */
#include "proxy/route/list_changed.h"

#include <stdlib.h>

#include "proxy/lists/fetch.h"
#include "proxy/route/relay.h"

/* Some servers say so each time that they are asked. After the first few a link's list is fetched
 * once in a while, and all that was said meanwhile is one change. */
enum { AT_ONCE = 8, PACE_MS = 1000 };

struct ln_change {
  struct ln_server *server;
  struct ln_session *session; /* counted; NULL: shared */
  struct ln_link *link;       /* whose changing[kind] it is; NULL when that has ended */
  struct ln_timer pause;
  bool pauses;        /* it hasn't begun: then it ends with the link */
  struct ln_msg *msg; /* counted */
  enum ln_kind kind;
  unsigned pending;
  bool ours; /* not sent by the server: clients are notified only when the list differs */
  bool differs;
};

static void fetch(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind, bool ours);

static void change_free(struct ln_change *c) {
  ln_timer_stop(&c->pause);
  ln_msg_unref(c->msg);
  ln_session_unref(c->session);
  free(c);
}

static void changed(void *arg, bool differs) {
  struct ln_change *c = arg;
  c->differs |= differs;
  if (--c->pending) return;
  /* The server's own notification is passed on in either case. */
  bool tell = !c->ours || c->differs;
  struct ln_host *h = c->server->host;
  if (tell && !h->closing && (!c->session || c->session->state != LN_SESSION_GONE))
    ln_relay_to_all(c->server, c->session, c->msg);
  struct ln_link *link = c->link;
  if (link) {
    bool again = link->changed_again[c->kind];
    link->changing[c->kind] = NULL;
    link->changed_again[c->kind] = false;
    if (again) fetch(link, c->msg, c->kind, c->ours);
  }
  change_free(c);
}

static void begin(struct ln_change *c, struct ln_link *link) {
  enum ln_kind kind = c->kind;
  c->pauses = false;
  c->pending = kind == LN_KIND_RESOURCE ? 2 : 1;
  ln_fetch_changed(link, kind, changed, c);
  if (kind == LN_KIND_RESOURCE) ln_fetch_changed(link, LN_KIND_TEMPLATE, changed, c);
}

static void on_pause_over(struct ln_timer *t) {
  struct ln_change *c = LN_CONTAINER(t, struct ln_change, pause);
  begin(c, c->link);
}

/* How long the next fetch has to wait, which counts as made. */
static uint64_t pause_before(struct ln_link *link, enum ln_kind kind) {
  uint64_t now = ln_loop_now(link->server->host->loop), due = LN_MAX(link->change_due[kind], now);
  link->change_due[kind] = due + PACE_MS;
  return due - now < AT_ONCE * PACE_MS ? 0 : due - now - (AT_ONCE - 1) * PACE_MS;
}

static void fetch(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind, bool ours) {
  struct ln_change *c = link->changing[kind];
  if (c && c->pauses) {
    c->ours &= ours;
    return;
  }
  /* One fetch at a time, and one more for all notifications that come meanwhile. */
  if (c) {
    link->changed_again[kind] = true;
    return;
  }
  c = calloc(1, sizeof *c);
  if (!c) return;
  *c = (struct ln_change){.server = link->server,
                          .session = link->owner ? ln_session_ref(link->owner) : NULL,
                          .link = link,
                          .pauses = true,
                          .msg = ln_msg_ref(msg),
                          .kind = kind,
                          .ours = ours};
  ln_timer_init(&c->pause);
  link->changing[kind] = c;
  uint64_t wait = pause_before(link, kind);
  if (wait)
    ln_timer_start(link->server->host->loop, &c->pause, wait, on_pause_over);
  else
    begin(c, link);
}

void ln_list_changed_link_ends(struct ln_link *link) {
  for (int k = 0; k < LN_KINDS; k++) {
    struct ln_change *c = link->changing[k];
    link->changing[k] = NULL;
    if (c && c->pauses)
      change_free(c);
    else if (c)
      c->link = NULL;
  }
}

void ln_list_changed_reopened(struct ln_link *link) {
  const struct ln_index *index = ln_index_of_link(link);
  for (size_t i = 0; index && i < LN_KINDS_TOLD; i++) {
    enum ln_kind kind = ln_kinds_told[i];
    if (!ln_index_knows(index, kind)) continue;
    struct ln_msg *m = ln_msg_notification(ln_kind_rows[kind].changed, LN_STR_NONE);
    if (m) fetch(link, m, kind, true);
    ln_msg_unref(m);
  }
}

void ln_list_changed_in(struct ln_link *link, struct ln_msg *msg, enum ln_kind kind) {
  /* In a link that is nobody's any more, or was opened to see whether the server works, it is
   * nobody's news. */
  if (link->owner || ln_server_is_shared(link->server)) fetch(link, msg, kind, false);
}

void ln_list_changed_notify(struct ln_session *s, struct ln_server *server, enum ln_kind kind) {
  struct ln_msg *m = s->state == LN_SESSION_OPEN
                         ? ln_msg_notification(ln_kind_rows[kind].changed, LN_STR_NONE)
                         : NULL;
  if (m) ln_relay(server, s, NULL, m);
  ln_msg_unref(m);
}
