/* Room for children; see make_room.h. All links are walked, but only when there is no room. */
#include "proxy/client/make_room.h"

struct ln_account *ln_make_room_payer(struct ln_host *h, struct ln_session *owner) {
  /* What is nobody's, or of a client that can only be one, is Lunette's. */
  if (owner && owner->account) return ln_account_ref(owner->account);
  return ln_ledger_account(&h->ledger, LN_STR_LIT("Lunette"));
}

/* Calls fn with each link that has a child. */
static void each(struct ln_host *h, struct ln_server *server,
                 void (*fn)(struct ln_link *link, void *arg), void *arg) {
  LN_LIST_EACH(l, &h->servers) {
    struct ln_server *one = LN_CONTAINER(l, struct ln_server, link);
    if (server && one != server) continue;
    LN_LIST_EACH(m, &one->links) {
      struct ln_link *link = LN_CONTAINER(m, struct ln_link, link);
      if (link->payer) fn(link, arg);
    }
  }
}

/* It closes, or soon will. */
static bool going(const struct ln_link *link) {
  return link->leaving || link->state == LN_LINK_CLOSING;
}

struct count {
  const struct ln_account *whose;
  size_t live, going;
};

static void count_one(struct ln_link *link, void *arg) {
  struct count *c = arg;
  if (link->payer != c->whose) return;
  if (going(link))
    c->going++;
  else
    c->live++;
}

static struct count count(struct ln_host *h, struct ln_server *server, const struct ln_account *a) {
  struct count c = {a, 0, 0};
  each(h, server, count_one, &c);
  return c;
}

/* Who goes first: the lower. Sessions that have asked nothing, then idle ones, the rest; of each
 * the longest unused. */
struct choice {
  const struct ln_account *whose;
  bool stale_only;
  struct ln_link *link;
  int rank;
};

static int rank_of(const struct ln_link *link) {
  const struct ln_session *s = link->owner;
  return !s->used ? 0 : ln_link_busy(link) || s->in_flight ? 2 : 1;
}

static void choose(struct ln_link *link, void *arg) {
  struct choice *c = arg;
  const struct ln_session *s = link->owner;
  if (link->payer != c->whose || !s || going(link)) return;
  uint64_t age = ln_loop_now(s->host->loop) - s->last_used;
  int rank = rank_of(link);
  if (c->stale_only && (rank || age < s->host->settings.unused_session_ms)) return;
  bool better =
      !c->link || rank < c->rank || (rank == c->rank && s->last_used < c->link->owner->last_used);
  if (!better) return;
  c->link = link;
  c->rank = rank;
}

/* Who has most of them; *going: of all but the payer's. */
static struct count heaviest(struct ln_host *h, struct ln_server *server,
                             const struct ln_account *payer, size_t *going) {
  struct count most = {NULL, 0, 0};
  *going = 0;
  LN_LIST_EACH(l, &h->ledger.accounts) {
    const struct ln_account *a = LN_CONTAINER(l, struct ln_account, link);
    if (!a->held[LN_SHORT_CHILDREN]) continue;
    struct count c = count(h, server, a);
    if (c.live > most.live) most = c;
    if (a != payer) *going += c.going;
  }
  return most;
}

static void tell(struct ln_host *h, const struct choice *c) {
  const char *which = c->rank ? "is the longest unused" : "has asked nothing";
  h->ledger.given_way++;
  LN_LOG(h->log, WARN, c->link->server->topic,
         "ending a child of %s, whose session %s, to make room: %s", c->whose->name, which,
         c->link->owner->id);
  ln_link_give_way(c->link);
}

bool ln_make_room(struct ln_host *h, struct ln_server *server, struct ln_account *payer,
                  size_t max) {
  size_t there = server ? server->n_children : h->ledger.held[LN_SHORT_CHILDREN], leave;
  struct count most = heaviest(h, server, payer, &leave), own = count(h, server, payer);
  /* Nobody gets room from who has no more than itself would then. */
  bool others = most.whose && most.whose != payer && most.live > own.live + 1;
  if (there - max > max / 2) return false; /* those that were told take their time */
  if (leave > there - max) return true;
  struct choice c = {others ? most.whose : payer, !others, NULL, 0};
  each(h, server, choose, &c);
  if (c.link) tell(h, &c);
  return c.link != NULL;
}
