/* Fetching lists again; see refresh.h. The struct lives until the last server has on_fetched, also
 * after the timeout. */
#include "proxy/lists/refresh.h"

#include <stdlib.h>

#include "proxy/lists/fetch.h"

struct refreshing {
  struct ln_session *session; /* counted, as is gen: for an unknown name; NULL: for a list */
  struct ln_generation *gen;
  void (*then)(void *arg);
  void *arg;
  struct ln_timer timeout;
  size_t pending; /* fetches under way, plus one while they are begun */
  bool over;
};
struct want {
  struct refreshing *f;
  struct ln_server *server;
  enum ln_kind kind;
};

static void finish(struct refreshing *f) {
  if (f->over) return;
  f->over = true;
  ln_timer_stop(&f->timeout);
  f->then(f->arg);
}

static void fetch_ends(struct refreshing *f) {
  if (--f->pending) return;
  finish(f);
  ln_generation_unref(f->gen);
  if (f->session) ln_session_unref(f->session);
  free(f);
}

static void on_fetched(void *arg, bool differs) {
  (void)differs;
  fetch_ends(arg);
}

static void on_timeout(struct ln_timer *t) {
  finish(LN_CONTAINER(t, struct refreshing, timeout));
}

static struct refreshing *begin(void (*then)(void *arg), void *arg) {
  struct refreshing *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  *f = (struct refreshing){.then = then, .arg = arg, .pending = 1};
  ln_timer_init(&f->timeout);
  return f;
}

static void wait_for_all(struct refreshing *f, struct ln_host *h) {
  if (f->pending > 1)
    ln_timer_start(h->loop, &f->timeout, h->settings.start_timeout_ms, on_timeout);
  fetch_ends(f);
}

void ln_refresh(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                void (*then)(void *arg), void *arg) {
  struct ln_host *h = s->host;
  struct refreshing *f = begin(then, arg);
  if (!f) { /* lists are as they are indexed */
    then(arg);
    return;
  }
  for (size_t i = 0; i < gen->n_servers; i++) {
    f->pending++;
    if (!ln_fetch_again(s, gen->servers[i], kind, on_fetched, f)) f->pending--;
  }
  wait_for_all(f, h);
}

/* The client has not asked for the list: it is told when that is another now. */
static void on_asked(void *arg, bool differs) {
  struct want *a = arg;
  struct ln_session *s = a->f->session;
  if (differs && s->state != LN_SESSION_GONE) s->host->list_changed(s, a->server, a->kind);
  fetch_ends(a->f);
  free(a);
}

bool ln_refresh_unknown(struct ln_session *s, struct ln_generation *gen, const enum ln_kind *kinds,
                        size_t n_kinds, const struct ln_server *only, void (*then)(void *arg),
                        void *arg) {
  struct refreshing *f = begin(then, arg);
  if (!f) return false;
  f->session = ln_session_ref(s);
  f->gen = ln_generation_ref(gen);
  for (size_t i = 0; i < gen->n_servers * n_kinds; i++) {
    struct ln_server *server = gen->servers[i / n_kinds];
    struct want *a = only && server != only ? NULL : malloc(sizeof *a);
    if (!a) continue;
    *a = (struct want){f, server, kinds[i % n_kinds]};
    f->pending++;
    if (ln_fetch_older(s, server, a->kind, on_asked, a)) continue;
    f->pending--;
    free(a);
  }
  bool asked = f->pending > 1;
  f->over = !asked;
  wait_for_all(f, s->host);
  return asked;
}
