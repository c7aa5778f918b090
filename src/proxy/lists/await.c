/* Waiting for late servers' lists; see await.h. */
#include "proxy/lists/await.h"

#include <stdlib.h>

/* Of one server that has not been asked for all its lists. */
struct want {
  struct ln_fetch_wait wait;
  struct ln_await *await;
  size_t server; /* in gen->servers */
  size_t at;     /* in kinds: what it is asked for, or next */
  bool waits;
  unsigned times; /* that it was asked */
  uint64_t due;   /* while it waits: loop time of giving up … */
  uint64_t soon; /* … and of doing without it when it was found elsewhere, or asking once more: what
                    is late in another client's session may not be in ours */
  bool again;
  bool by_name; /* its name says so; else a rule may have given it that name */
  bool failed, late;
  enum ln_kind owes; /* when it is late */
};

struct ln_await {
  struct ln_await_for what;
  struct want *wants;
  size_t n_wants;
  bool stepping, news;
  bool asked_rules, renamed; /* a rule may have given it its name */
  char
      *why; /* of the first server of which nothing is known, as it could not be asked; or NULL … */
  const struct ln_server *whose; /* … and which that is */
  struct ln_timer timer;         /* the first due */
  void (*fn)(void *arg);
  void *arg;
};

static struct ln_server *server_of(const struct want *k) {
  return k->await->what.gen->servers[k->server];
}

static struct ln_listing *known(const struct ln_await_for *what, size_t i, enum ln_kind kind) {
  const struct ln_index *index = ln_index_of(what->session, what->gen->servers[i]);
  return index ? index->listings[kind] : NULL;
}

static bool lacks_list(const struct ln_await_for *what, size_t i) {
  for (size_t k = 0; k < what->n_kinds; k++)
    if (!known(what, i, what->kinds[k])) return true;
  return false;
}

/* --- who could have it --- */

/* By the prefix that the name has before any rule. URIs have none. */
static bool may_be_of(const struct ln_await_for *what, size_t i, size_t owner) {
  const struct ln_generation *g = what->gen;
  enum ln_kind kind = what->kinds[0];
  if (kind == LN_KIND_RESOURCE || kind == LN_KIND_TEMPLATE) return true;
  if (owner == g->n_servers) return !g->prefixes[i];
  return g->prefixes[i] && strcmp(g->prefixes[i], g->prefixes[owner]) == 0;
}

static int choose(struct ln_await *a) {
  const struct ln_await_for *what = &a->what;
  const struct ln_generation *g = what->gen;
  size_t owner = ln_generation_owner(g, what->key);
  for (size_t i = 0; i < g->n_servers; i++) {
    if (!lacks_list(what, i)) continue;
    if (!a->wants && !(a->wants = calloc(g->n_servers - i, sizeof *a->wants))) return LN_ENOMEM;
    a->wants[a->n_wants++] =
        (struct want){.await = a, .server = i, .by_name = may_be_of(what, i, owner)};
  }
  return LN_OK;
}

/* Asks the policy, which costs a call into Lua, only when there is a server that it matters for. */
static bool may_be_renamed(struct ln_await *a) {
  const struct ln_await_for *what = &a->what;
  if (!a->asked_rules)
    a->renamed = ln_present_may_rename(what->gen->policy, what->kinds[0], what->key);
  a->asked_rules = true;
  return a->renamed;
}

struct ln_await *ln_await_new(const struct ln_await_for *what, void (*fn)(void *arg), void *arg) {
  struct ln_await *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  a->what = *what;
  ln_session_ref(what->session);
  ln_generation_ref(what->gen);
  a->fn = fn;
  a->arg = arg;
  ln_timer_init(&a->timer);
  if (!choose(a)) return a;
  ln_await_free(a);
  return NULL;
}

void ln_await_free(struct ln_await *a) {
  if (!a) return;
  ln_timer_stop(&a->timer);
  for (size_t i = 0; i < a->n_wants; i++)
    if (a->wants[i].waits) ln_fetch_forget(&a->wants[i].wait);
  free(a->wants);
  free(a->why);
  ln_generation_unref(a->what.gen);
  ln_session_unref(a->what.session);
  free(a);
}

/* --- asking --- */

/* An only server is all that there is; one that is down is told of with the unknown name. */
static void note_why(struct want *k, const char *why) {
  struct ln_await *a = k->await;
  const struct ln_server *server = server_of(k);
  bool asked = ln_index_of(a->what.session, server) || server->health == LN_SERVER_DOWN;
  if (a->why || (asked && a->what.gen->n_servers > 1)) return;
  a->why = strdup(why);
  a->whose = server;
}

static void on_listing(void *arg, struct ln_listing *listing, const char *why) {
  struct want *k = arg;
  struct ln_await *a = k->await;
  k->waits = false;
  if (listing) {
    a->news = true;
  } else {
    k->failed = true;
    k->at++;
    note_why(k, why);
  }
  if (!a->stepping) a->fn(a->arg);
}

/* Since when its server has been late with what it is asked for. */
static uint64_t late_since(const struct want *k, enum ln_kind kind, uint64_t now) {
  const struct ln_session *s = k->await->what.session;
  const struct ln_index *index = ln_index_of(s, server_of(k));
  if (index) return index->asked_at[kind];
  const struct ln_link *link = ln_pool_current(s, server_of(k));
  return link ? link->opened_at : now;
}

static void give_up(struct want *k) {
  ln_fetch_forget(&k->wait);
  k->waits = false;
  k->late = true;
  k->owes = k->await->what.kinds[k->at++];
}

static void ask(struct want *k, enum ln_kind kind) {
  enum { TRIES = 8 }; /* a list that came may have gone again, by a reload or a change */
  const struct ln_await_for *what = &k->await->what;
  const struct ln_index *index = ln_index_of(what->session, server_of(k));
  bool hopeless = index && what->gen->n_servers > 1 && ln_index_in_backoff(index, kind);
  if (hopeless || ++k->times > TRIES) {
    k->failed = true;
    k->at++;
    return;
  }
  struct ln_host *h = what->gen->host;
  uint64_t now = ln_loop_now(h->loop);
  k->waits = true;
  ln_fetch_listing(&k->wait, what->session, server_of(k), kind, on_listing, k);
  if (!k->waits) return;
  uint64_t since = late_since(k, kind, now), due = since + h->settings.late_timeout_ms;
  due = LN_MIN(due, now + ln_server_timeout(server_of(k)));
  k->soon = since + h->settings.start_timeout_ms;
  k->again |= k->soon <= now; /* it has been asked just so */
  /* All that it is asked for in turn is waited for no longer than the first of it. */
  k->due = k->due ? LN_MIN(k->due, due) : due;
  if (k->due <= now) give_up(k);
}

static void ask_again(struct want *k) {
  ln_fetch_forget(&k->wait);
  k->waits = false;
  k->again = true;
  ask(k, k->await->what.kinds[k->at]);
}

static void on_due(struct ln_timer *t) {
  struct ln_await *a = LN_CONTAINER(t, struct ln_await, timer);
  uint64_t now = ln_loop_now(a->what.gen->host->loop);
  for (size_t i = 0; i < a->n_wants; i++)
    if (a->wants[i].waits && a->wants[i].due <= now) give_up(&a->wants[i]);
  a->fn(a->arg);
}

/* The lists that are needed: of each server those up to kinds[kind], of the first so many also that
 * one. */
struct need {
  size_t kind, first;
  bool found; /* where it was found elsewhere: only those that are likely, and soon */
};

static bool needs(const struct need *n, const struct want *k) {
  bool lacks = k->at < n->kind || (k->at == n->kind && k->server < n->first);
  return lacks && (k->by_name || (!n->found && may_be_renamed(k->await)));
}

/* Until it waits for an answer, or has nothing more that is needed. */
static void ask_on(struct want *k, const struct need *n) {
  const struct ln_await_for *what = &k->await->what;
  while (!k->waits && needs(n, k)) {
    if (known(what, k->server, what->kinds[k->at]))
      k->at++;
    else
      ask(k, what->kinds[k->at]);
    if (k->await->news) return; /* which may have it */
  }
}

static enum ln_await_step step(struct ln_await *a, const struct need *n) {
  struct ln_loop *loop = a->what.gen->host->loop;
  uint64_t first = UINT64_MAX, now = ln_loop_now(loop);
  ln_timer_stop(&a->timer);
  a->stepping = true;
  a->news = false;
  for (size_t i = 0; i < a->n_wants; i++) {
    struct want *k = &a->wants[i];
    if (k->waits && k->due <= now) give_up(k);
    if (k->waits && !k->again && k->soon <= now) ask_again(k);
    ask_on(k, n);
    uint64_t until = n->found || !k->again ? LN_MIN(k->soon, k->due) : k->due;
    if (k->waits && needs(n, k) && until > now) first = LN_MIN(first, until);
  }
  a->stepping = false;
  if (a->news) return LN_AWAIT_AGAIN;
  if (first == UINT64_MAX) return LN_AWAIT_OVER;
  ln_timer_start(loop, &a->timer, first - now, on_due);
  return LN_AWAIT_WAITS;
}

enum ln_await_step ln_await_step(struct ln_await *a) {
  return step(a, &(struct need){.kind = a->what.n_kinds});
}

enum ln_await_step ln_await_step_before(struct ln_await *a, size_t kind, size_t i) {
  return step(a, &(struct need){.kind = kind, .first = i, .found = true});
}

/* --- what became of it --- */

const struct ln_server *ln_await_late(const struct ln_await *a, enum ln_kind *kind) {
  for (size_t i = 0; i < a->n_wants; i++) {
    const struct want *k = &a->wants[i];
    if (!k->late) continue;
    *kind = k->owes;
    return server_of(k);
  }
  return NULL;
}

bool ln_await_failed(const struct ln_await *a, size_t i) {
  for (size_t k = 0; k < a->n_wants; k++)
    if (a->wants[k].server == i && a->wants[k].failed) return true;
  return false;
}

const struct ln_server *ln_await_unasked(const struct ln_await *a, const char **why) {
  *why = a->why;
  return a->why ? a->whose : NULL;
}
