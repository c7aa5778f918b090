/* Accounts of peers; see account.h. All are walked only when something is short. */
#include "base/account.h"

#include <stdlib.h>

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

struct ln_account *ln_account_ref(struct ln_account *a) {
  if (a) a->refs++;
  return a;
}

void ln_account_unref(struct ln_account *a) {
  if (!a || --a->refs) return;
  for (size_t i = 0; i < LN_SHORTS; i++) LN_DEBUG_ASSERT(a->held[i] == 0);
  LN_DEBUG_ASSERT(ln_list_empty(&a->holdings));
  ln_map_remove(&a->ledger->by_name, ln_str_c(a->name));
  ln_list_remove(&a->link);
  free(a);
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

bool ln_account_yield(struct ln_account *a, enum ln_short what, enum ln_urgency most) {
  for (enum ln_urgency u = LN_URGENCY_STALE; u <= most; u++) {
    LN_LIST_EACH(it, &a->holdings) {
      struct ln_holding *h = LN_CONTAINER(it, struct ln_holding, link);
      if (!h->go(h, what, u)) continue;
      a->ledger->given_way++;
      return true;
    }
  }
  return false;
}

static bool fits(size_t held, size_t n, size_t limit) {
  return !limit || (held <= limit && n <= limit - held);
}

/* What goes may take a moment to be gone, so that for so long there may be a bit more than the
 * limit: else who asks would be refused, or more would have to go than need be. */
static bool nearly_fits(size_t held, size_t n, size_t limit) {
  return fits(held, n, limit + limit / 8);
}

bool ln_account_take(struct ln_account *a, enum ln_short what, size_t n) {
  if (!a) return true;
  struct ln_ledger *l = a->ledger;
  const struct ln_limits max = l->limits[what];
  bool own = !fits(a->held[what], n, max.each);
  struct ln_account *most = a;
  if (!own && !fits(l->held[what], n, max.all)) {
    most = ln_ledger_heaviest(l, what, a);
    /* Nobody gets room from who holds no more than itself would then. */
    own = !most || most == a || most->held[what] <= a->held[what] + n;
  }
  if (own && !ln_account_yield(a, what, LN_URGENCY_STALE)) goto refused;
  if (!own && most != a && !ln_account_yield(most, what, LN_URGENCY_ANY)) goto refused;
  if (!fits(a->held[what], n, max.each) || !nearly_fits(l->held[what], n, max.all)) goto refused;
  a->held[what] += n;
  l->held[what] += n;
  return true;
refused:
  l->refused++;
  return false;
}

void ln_account_add(struct ln_account *a, enum ln_short what, size_t n) {
  if (!a) return;
  struct ln_ledger *l = a->ledger;
  a->held[what] += n;
  l->held[what] += n;
  if (fits(l->held[what], 0, l->limits[what].all)) return;
  struct ln_account *most = ln_ledger_heaviest(l, what, a);
  if (most) ln_account_yield(most, what, LN_URGENCY_ANY);
}

void ln_account_give(struct ln_account *a, enum ln_short what, size_t n) {
  if (!a) return;
  LN_DEBUG_ASSERT(a->held[what] >= n);
  a->held[what] -= n;
  a->ledger->held[what] -= n;
}

void ln_holding_init(struct ln_holding *h, struct ln_account *a,
                     bool (*go)(struct ln_holding *, enum ln_short, enum ln_urgency)) {
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
