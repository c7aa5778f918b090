/* Accounts of peers; see account.h. All are walked only when something is short. */
#include "base/account.h"

#include <stdlib.h>

#include "base/clock.h"

#define GOING_NS 200000000ull

static struct ln_account *account_of(struct ln_list *l) {
  return LN_CONTAINER(l, struct ln_account, link);
}

void ln_ledger_init(struct ln_ledger *l) {
  *l = (struct ln_ledger){0};
  ln_map_init(&l->by_name);
  ln_list_init(&l->accounts);
}

void ln_ledger_deinit(struct ln_ledger *l) {
  LN_ASSERT(ln_list_empty(&l->accounts));
  ln_map_deinit(&l->by_name);
}

struct ln_account *ln_ledger_account(struct ln_ledger *l, struct ln_str name) {
  name.n = LN_MIN(name.n, (size_t)LN_ACCOUNT_NAME - 1);
  struct ln_account *a = ln_map_get(&l->by_name, name);
  if (a) return ln_account_ref(a);
  a = calloc(1, sizeof *a);
  if (!a) return NULL;
  a->ledger = l;
  a->refs = 1;
  ln_list_init(&a->holdings);
  memcpy(a->name, name.p, name.n);
  if (ln_map_put(&l->by_name, ln_str_c(a->name), a)) {
    free(a);
    return NULL;
  }
  ln_list_push(&l->accounts, &a->link);
  return a;
}

struct ln_account *ln_account_part(struct ln_account *of) {
  struct ln_account *a = of ? calloc(1, sizeof *a) : NULL;
  if (!a) return NULL;
  a->of = ln_account_ref(of);
  a->ledger = of->ledger;
  a->refs = 1;
  ln_list_init(&a->link);
  ln_list_init(&a->holdings);
  return a;
}

void ln_account_free(struct ln_account *a) {
  for (size_t i = 0; i < LN_SHORTS; i++) LN_DEBUG_ASSERT(a->held[i] == 0);
  LN_DEBUG_ASSERT(ln_list_empty(&a->holdings));
  if (!a->of) ln_map_remove(&a->ledger->by_name, ln_str_c(a->name));
  ln_account_unref(a->of);
  ln_list_remove(&a->link);
  free(a);
}

size_t ln_ledger_accounts(const struct ln_ledger *l) {
  return l->by_name.len;
}

struct ln_account *ln_ledger_heaviest(struct ln_ledger *l, enum ln_short what,
                                      const struct ln_account *a) {
  struct ln_account *most = NULL;
  LN_LIST_EACH(it, &l->accounts) {
    struct ln_account *one = account_of(it);
    if (one->held[what] && (!most || one->held[what] > most->held[what] ||
                            (one == a && one->held[what] == most->held[what])))
      most = one;
  }
  return most;
}

static size_t tell(struct ln_account *a, enum ln_short what, enum ln_urgency most) {
  for (enum ln_urgency u = LN_URGENCY_STALE; u <= most; u++) {
    LN_LIST_EACH(it, &a->holdings) {
      struct ln_holding *h = LN_CONTAINER(it, struct ln_holding, link);
      size_t n = h->go(h, what, u);
      if (n) return n;
    }
  }
  return 0;
}

bool ln_account_yield(struct ln_account *a, enum ln_short what, enum ln_urgency most) {
  struct ln_ledger *l = a->ledger;
  uint64_t now = ln_clock_ns();
  size_t before = l->held[what], goes = tell(a, what, most), gone = before - l->held[what];
  if (!goes) return false;
  if (now - l->going_since > GOING_NS) memset(l->going, 0, sizeof l->going);
  l->going_since = now;
  if (goes > gone) l->going[what] += goes - gone;
  l->given_way++;
  return true;
}

static inline bool fits(size_t held, size_t n, size_t limit) {
  return !limit || (held <= limit && n <= limit - held);
}

/* What was told to go may take a moment until it is gone: it is no reason to refuse others, or to
 * tell more than need be. */
static bool fit_soon(const struct ln_ledger *l, enum ln_short what, size_t n) {
  size_t limit = l->limits[what].all, held = l->held[what];
  if (!l->going[what] || ln_clock_ns() - l->going_since > GOING_NS) return false;
  return fits(held - LN_MIN(held, l->going[what]), n, limit) &&
         fits(held, n, limit + LN_MAX(limit / 4, n));
}

static inline bool all_fit(const struct ln_ledger *l, enum ln_short what, size_t n) {
  return fits(l->held[what], n, l->limits[what].all) || fit_soon(l, what, n);
}

static inline void change(struct ln_account *a, enum ln_short what, size_t n) {
  a->ledger->held[what] += n;
  for (; a; a = a->of) a->held[what] += n;
}

/* Makes room for n more of the peer's; false: nobody gives way. */
static bool make_room(struct ln_account *peer, enum ln_short what, size_t n) {
  struct ln_ledger *l = peer->ledger;
  if (!fits(peer->held[what], n, l->limits[what].each))
    return ln_account_yield(peer, what, LN_URGENCY_STALE);
  struct ln_account *most = ln_ledger_heaviest(l, what, peer);
  /* Nobody gets room from who holds no more than itself would then. */
  bool own = !most || most == peer || most->held[what] <= peer->held[what] + n;
  return own ? ln_account_yield(peer, what, LN_URGENCY_STALE)
             : ln_account_yield(most, what, LN_URGENCY_ANY);
}

bool ln_account_take(struct ln_account *a, enum ln_short what, size_t n) {
  if (!a) return true;
  struct ln_account *peer = a->of ? a->of : a;
  struct ln_ledger *l = peer->ledger;
  size_t each = l->limits[what].each;
  while (!fits(peer->held[what], n, each) || !all_fit(l, what, n)) {
    if (make_room(peer, what, n)) continue;
    l->refused++;
    return false;
  }
  change(a, what, n);
  return true;
}

void ln_account_add(struct ln_account *a, enum ln_short what, size_t n) {
  if (!a || !n) return;
  struct ln_ledger *l = a->ledger;
  change(a, what, n);
  if (all_fit(l, what, 0)) return;
  struct ln_account *most = ln_ledger_heaviest(l, what, a);
  if (most) ln_account_yield(most, what, LN_URGENCY_ANY);
}

void ln_account_add_part(struct ln_account *part, enum ln_short what, size_t n) {
  LN_DEBUG_ASSERT(part->of && part->of->held[what] >= part->held[what] + n);
  part->held[what] += n;
}

void ln_account_give(struct ln_account *a, enum ln_short what, size_t n) {
  if (!a) return;
  LN_DEBUG_ASSERT(a->held[what] >= n);
  a->ledger->held[what] -= n;
  for (; a; a = a->of) a->held[what] -= n;
}

void ln_holding_init(struct ln_holding *h, struct ln_account *a,
                     size_t (*go)(struct ln_holding *, enum ln_short, enum ln_urgency)) {
  h->go = go;
  ln_list_init(&h->link);
  if (a) ln_list_push(&a->holdings, &h->link);
}

void ln_holding_touch(struct ln_holding *h, struct ln_account *a) {
  if (!a || ln_list_empty(&h->link)) return;
  ln_list_remove(&h->link);
  ln_list_push(&a->holdings, &h->link);
}

void ln_holding_deinit(struct ln_holding *h) {
  ln_list_remove(&h->link);
}
