/* Waiting, on behalf of one message, for the lists of servers that are late and could have what it
 * names: nobody hears "unknown" of what is only late. A call of one server never waits for the list
 * of another, as its prefix tells whose it is, unless a rule may have given the name to another's.
 *
 * Each server is waited for until it is listed, fails, or has been late for late_timeout, or for
 * longer than a request to it may take. */
#ifndef LN_PROXY_LISTS_AWAIT_H
#define LN_PROXY_LISTS_AWAIT_H

#include "proxy/lists/fetch.h"

enum { LN_AWAIT_KINDS = 2 };

/* What is looked for. All is borrowed but for the session and the generation, which are counted. */
struct ln_await_for {
  struct ln_session *session;
  struct ln_generation *gen;
  struct ln_str key;                  /* a name or URI, unescaped */
  enum ln_kind kinds[LN_AWAIT_KINDS]; /* where it may be, in the order that servers are asked … */
  size_t n_kinds; /* … each for the next when it doesn't have it in the last */
};

enum ln_await_step {
  LN_AWAIT_AGAIN, /* there is a list that was not known before: look again */
  LN_AWAIT_WAITS, /* fn will be called, from the loop, when something has changed */
  LN_AWAIT_OVER   /* nothing more is to come */
};

/* key must live as long. NULL: out of memory. */
struct ln_await *ln_await_new(const struct ln_await_for *what, void (*fn)(void *arg), void *arg);
void ln_await_free(struct ln_await *a); /* NULL is fine */
/* Asks for the lists that are missing, after what it names was not found in those that are known.
 */
enum ln_await_step ln_await_step(struct ln_await *a);
/* The same after it was found in the list kinds[kind] of gen's server i: only for lists that come
 * before that and could have it, too, and of servers that have not been late for start_timeout. */
enum ln_await_step ln_await_step_before(struct ln_await *a, size_t kind, size_t i);

/* The first server that was waited for in vain and is late still, and the list that it owes; NULL:
 * none. */
const struct ln_server *ln_await_late(const struct ln_await *a, enum ln_kind *kind);
/* True when a list of gen's server i could not be had. */
bool ln_await_failed(const struct ln_await *a, size_t i);
/* The first server that could not be asked and isn't down (or the only one), and why; NULL: none.
 */
const struct ln_server *ln_await_unasked(const struct ln_await *a, const char **why);

#endif
