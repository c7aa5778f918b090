/* Who holds how much of what is short: sessions, children, connections, bytes. Each peer (who may
 * be many clients) has an account in its host's ledger. What is short has a limit for all and may
 * have one for each. When there is no room, the account that holds most gives way, never another:
 * things that it holds are asked to go, the longest unused first, and if that is who asks for more,
 * it is refused.
 *
 * An account is counted by whatever it is charged for, and is gone with the last of these; its name
 * is the key: nobody shares it but who is the same peer. */
#ifndef LN_BASE_ACCOUNT_H
#define LN_BASE_ACCOUNT_H

#include "base/list.h"
#include "base/map.h"

enum ln_short {
  LN_SHORT_SESSIONS,
  LN_SHORT_CHILDREN,
  LN_SHORT_CONNECTIONS,
  LN_SHORT_BYTES, /* that are kept for a peer: bodies, queues, replays, subscriptions */
  LN_SHORT_REPLAY /* of these, what streams have sent and keep */
};
enum { LN_SHORTS = LN_SHORT_REPLAY + 1, LN_ACCOUNT_NAME = 64 };

/* 0: no limit. */
struct ln_limits {
  size_t all, each;
};

struct ln_ledger {
  struct ln_map by_name;
  struct ln_list accounts;
  size_t held[LN_SHORTS];
  struct ln_limits limits[LN_SHORTS];
  size_t going[LN_SHORTS]; /* of held: what was told to go lately and is not given back yet … */
  uint64_t going_since; /* … as of this time, in ns: what takes too long to go is there still */
  uint64_t given_way;   /* things that were told to go, for /metrics */
  uint64_t refused;
};

/* What of the loop's time it has had (net/share.h). */
struct ln_share {
  uint64_t turn;  /* loop time of … */
  uint64_t spent; /* … which its streams had this much, in ns, and … */
  uint64_t since; /* … have more since then; 0: no work of it is under way */
  uint32_t round; /* in which each of its streams reads once */
  bool waits;     /* one that has not read in this round wanted to */
};

struct ln_account {
  struct ln_list link;
  struct ln_account
      *of; /* counted: what this holds is held by that one, a peer's; NULL: it is one */
  struct ln_ledger *ledger;
  uint32_t refs;
  size_t held[LN_SHORTS];
  struct ln_share share;
  struct ln_list holdings; /* struct ln_holding, the longest unused first */
  char name[LN_ACCOUNT_NAME];
};

/* Which of an account's things are asked to go: each is asked with the first, then each with the
 * next. */
enum ln_urgency {
  LN_URGENCY_STALE,  /* what was never of use and is old: also asked when its own peer wants more */
  LN_URGENCY_UNUSED, /* what was never of use */
  LN_URGENCY_IDLE,   /* what is not of use now */
  LN_URGENCY_ANY
};

/* A thing of an account that may be told to go. Embedded in it. */
struct ln_holding {
  struct ln_list link;
  /* How much of that it gives back, now or soon; 0: it stays. Never frees it at once, and takes
   * nothing: whoever is on the stack may be at work with another holding. */
  size_t (*go)(struct ln_holding *h, enum ln_short what, enum ln_urgency urgency);
};

void ln_ledger_init(struct ln_ledger *l);
/* All accounts must be gone. */
void ln_ledger_deinit(struct ln_ledger *l);
/* The account of that name, which is cut; counted. NULL: out of memory. */
struct ln_account *ln_ledger_account(struct ln_ledger *l, struct ln_str name);
/* One of a part of what that peer's holds, to know how much it is; counted. NULL: out of memory, or
 * there is none. */
struct ln_account *ln_account_part(struct ln_account *of);
static inline struct ln_account *ln_account_ref(struct ln_account *a) {
  if (a) a->refs++;
  return a;
}
void ln_account_free(struct ln_account *a); /* for ln_account_unref */
/* NULL is fine. With the last one what it held was given back. */
static inline void ln_account_unref(struct ln_account *a) {
  if (a && !--a->refs) ln_account_free(a);
}

/* Charges the account. False: it is refused, and nothing was charged. Both are fine with no
 * account: then nobody counts. */
bool ln_account_take(struct ln_account *a, enum ln_short what, size_t n) LN_CHECK;
/* The same for what is there already: others, or the account's own, may have to go. */
void ln_account_add(struct ln_account *a, enum ln_short what, size_t n);
/* What is charged to its peer's account already is of this part. */
void ln_account_add_part(struct ln_account *part, enum ln_short what, size_t n);
void ln_account_give(struct ln_account *a, enum ln_short what, size_t n);
size_t ln_ledger_accounts(const struct ln_ledger *l);
/* One that holds most of it, a if it is one of these; NULL: nobody holds any. */
struct ln_account *ln_ledger_heaviest(struct ln_ledger *l, enum ln_short what,
                                      const struct ln_account *a);
/* Tells one thing of the account to go, up to that urgency. */
bool ln_account_yield(struct ln_account *a, enum ln_short what, enum ln_urgency most);

void ln_holding_init(struct ln_holding *h, struct ln_account *a,
                     size_t (*go)(struct ln_holding *, enum ln_short, enum ln_urgency));
/* It is of use now: the last to be told. */
void ln_holding_touch(struct ln_holding *h, struct ln_account *a);
void ln_holding_deinit(struct ln_holding *h);

#endif
