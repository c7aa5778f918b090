/* Fetching lists again; see refresh.h. The struct lives until the last server has on_fetched, also
 * after the timeout. */
#include "proxy/lists/refresh.h"

#include <stdlib.h>

#include "proxy/lists/fetch.h"

struct refreshing {
  void (*then)(void *arg);
  void *arg;
  struct ln_timer timeout;
  size_t pending; /* fetches under way, plus one while they are begun */
  bool over;
};

static void finish(struct refreshing *f) {
  if (f->over) return;
  f->over = true;
  ln_timer_stop(&f->timeout);
  f->then(f->arg);
}

static void on_fetched(void *arg, bool differs) {
  struct refreshing *f = arg;
  (void)differs;
  if (--f->pending) return;
  finish(f);
  free(f);
}

static void on_timeout(struct ln_timer *t) {
  finish(LN_CONTAINER(t, struct refreshing, timeout));
}

void ln_refresh(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                void (*then)(void *arg), void *arg) {
  struct ln_host *h = s->host;
  struct refreshing *f = calloc(1, sizeof *f);
  if (!f) { /* lists are as they are indexed */
    then(arg);
    return;
  }
  *f = (struct refreshing){.then = then, .arg = arg, .pending = 1};
  ln_timer_init(&f->timeout);
  for (size_t i = 0; i < gen->n_servers; i++) {
    f->pending++;
    if (!ln_fetch_again(s, gen->servers[i], kind, on_fetched, f)) f->pending--;
  }
  if (f->pending > 1 && gen->n_servers > 1)
    ln_timer_start(h->loop, &f->timeout, h->settings.start_timeout_ms, on_timeout);
  on_fetched(f, false);
}
