/* Client sessions; see session.h. */
#include "proxy/client/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/server/generation.h"
#include "proxy/server/link.h"

/* While the client doesn't read, its own links are not read from. */
static void on_clogged(struct ln_outbox *o, bool clogged) {
  struct ln_session *s = LN_CONTAINER(o, struct ln_session, outbox);
  LN_LIST_EACH(l, &s->links) {
    ln_link_pause(LN_CONTAINER(l, struct ln_link, owner_link), clogged);
  }
}

/* --- making room --- */

static void on_leave(struct ln_task *t) {
  struct ln_session *s = LN_CONTAINER(t, struct ln_session, leave);
  s->host->end_session(s);
}

static bool is_at(const struct ln_session *s, enum ln_urgency urgency) {
  uint64_t age = ln_loop_now(s->host->loop) - s->last_used;
  switch (urgency) {
    case LN_URGENCY_STALE: return !s->used && age >= s->host->settings.unused_session_ms;
    case LN_URGENCY_UNUSED: return !s->used;
    case LN_URGENCY_IDLE: return s->in_flight == 0;
    default: return true;
  }
}

/* How much of that it holds. Little is left to who has little. */
static size_t holds(const struct ln_session *s, enum ln_short what) {
  if (what == LN_SHORT_SESSIONS) return 1;
  if (what != LN_SHORT_BYTES || !s->purse) return 0;
  size_t n = s->purse->held[what];
  return n >= s->account->held[what] / 64 ? n : 0;
}

/* It counts no more from here on, and ends when nobody is at work with any session. */
static size_t go(struct ln_holding *holding, enum ln_short what, enum ln_urgency urgency) {
  struct ln_session *s = LN_CONTAINER(holding, struct ln_session, holding);
  size_t n = s->leaving || !is_at(s, urgency) ? 0 : holds(s, what);
  if (!n) return 0;
  LN_LOG(s->host->log, WARN, "sessions", "ending one of %s, %s, to make room%s: %s",
         s->account->name, s->used ? "the longest unused" : "which has asked nothing",
         what == LN_SHORT_BYTES ? " (max_buffered_bytes)" : "", s->id);
  s->leaving = true;
  ln_session_uncount(s);
  ln_task_post(s->host->loop, &s->leave, on_leave);
  return n;
}

void ln_session_uncount(struct ln_session *s) {
  ln_task_cancel(&s->leave);
  ln_holding_deinit(&s->holding);
  if (!s->account || s->uncounted) return;
  ln_account_give(s->account, LN_SHORT_SESSIONS, 1);
  s->uncounted = true;
}

/* Those that are alone in their transport have no account, and are let in always. */
static bool admit(struct ln_host *h, struct ln_account *account) {
  if (h->closing) return false;
  return account ? ln_account_take(account, LN_SHORT_SESSIONS, 1)
                 : h->n_sessions < h->settings.max_sessions;
}

/* --- life --- */

struct ln_session *ln_session_new(struct ln_host *h, const char *transport, const char *id,
                                  struct ln_account *account) {
  if (!admit(h, account)) return NULL;
  struct ln_session *s = calloc(1, sizeof *s);
  if (!s) {
    ln_account_give(account, LN_SHORT_SESSIONS, 1);
    return NULL;
  }
  s->account = ln_account_ref(account);
  s->purse = ln_account_part(account);
  ln_holding_init(&s->holding, account, go);
  ln_task_init(&s->leave);
  s->refs = 1;
  s->host = h;
  s->key = ++h->next_serial;
  s->transport = transport;
  snprintf(s->id, sizeof s->id, "%s", id);
  s->gen = ln_generation_ref(h->gen);
  ln_peer_init(&s->peer, LN_ERA_LEGACY);
  ln_outbox_init(&s->outbox, h, s->id, on_clogged);
  s->outbox.purse = s->purse;
  s->last_used = ln_loop_now(h->loop);
  ln_list_init(&s->subscriptions);
  ln_list_init(&s->links);
  ln_list_init(&s->exchanges);
  ln_list_init(&s->tasks);
  ln_list_init(&s->elicitations);
  for (int k = 0; k < LN_KINDS; k++) ln_list_init(&s->variants[k]);
  ln_list_push(&h->sessions, &s->link);
  h->n_sessions++;
  h->count.sessions++;
  return s;
}

struct ln_session *ln_session_ref(struct ln_session *s) {
  s->refs++;
  return s;
}

void ln_session_unref(struct ln_session *s) {
  if (!s || --s->refs) return;
  LN_ASSERT(s->state == LN_SESSION_GONE);
  ln_generation_unref(s->gen);
  ln_peer_deinit(&s->peer);
  ln_msg_unref(s->server_init_request);
  ln_bytes_unref(s->headers);
  ln_account_unref(s->purse);
  ln_account_unref(s->account);
  free(s->slots);
  free(s);
}

struct ln_session *ln_session_by_key(struct ln_host *h, uint64_t key) {
  LN_LIST_EACH(l, &h->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (s->key == key) return s;
  }
  return NULL;
}

void ln_session_set_state(struct ln_session *s, enum ln_session_state state) {
  if (s->state == LN_SESSION_GONE) return;
  s->state = state;
  s->outbox.state = state == LN_SESSION_OPEN   ? LN_OUTBOX_OPEN
                    : state == LN_SESSION_GONE ? LN_OUTBOX_CLOSED
                                               : LN_OUTBOX_EARLY;
}

void ln_session_set_generation(struct ln_session *s, struct ln_generation *g) {
  ln_generation_unref(s->gen);
  s->gen = ln_generation_ref(g);
}

void ln_session_set_level(struct ln_session *s, int level) {
  if (s->peer.level >= 0) s->host->levels[s->peer.level]--;
  s->peer.level = level;
  if (level >= 0) s->host->levels[level]++;
}

void ln_session_set_headers(struct ln_session *s, struct ln_bytes *headers) {
  if (headers) ln_bytes_ref(headers);
  ln_bytes_charge(headers, s->purse);
  ln_bytes_unref(s->headers);
  s->headers = headers;
}

void ln_session_touch(struct ln_session *s, bool asked) {
  s->last_used = ln_loop_now(s->host->loop);
  s->used |= asked;
  ln_holding_touch(&s->holding, s->account);
}

void ln_session_begin_request(struct ln_session *s) {
  s->in_flight++;
  s->host->in_flight++;
}

void ln_session_end_request(struct ln_session *s) {
  s->in_flight--;
  s->host->in_flight--;
}

void ln_session_stall(struct ln_session *s, bool stalled) {
  s->stalled += stalled ? 1 : (unsigned)-1;
  if (s->on_stall && (s->stalled == 0 || (stalled && s->stalled == 1)))
    s->on_stall(s, s->stalled > 0);
}

bool ln_session_crowded(const struct ln_session *s) {
  return s->n_exchanges >= 4 * (size_t)s->host->settings.max_in_flight;
}
