/* Asks servers for lists again; see refresh.h. What it keeps lives until the last of them has
 * answered, also when nobody waits any more. */
#include "proxy/lists/refresh.h"

#include <stdlib.h>

#include "proxy/lists/fetch.h"

struct refreshing {
  void (*then)(void *arg);
  void *arg;
  struct ln_timer patience;
  size_t pending; /* answers, and one while they are being asked */
  bool over;
};

static void go_on(struct refreshing *f) {
  if (f->over) return;
  f->over = true;
  ln_timer_stop(&f->patience);
  f->then(f->arg);
}

static void answered(void *arg, bool differs) {
  struct refreshing *f = arg;
  (void)differs;
  if (--f->pending) return;
  go_on(f);
  free(f);
}

static void out_of_patience(struct ln_timer *t) {
  go_on(LN_CONTAINER(t, struct refreshing, patience));
}

void ln_refresh(struct ln_session *s, struct ln_generation *gen, enum ln_kind kind,
                void (*then)(void *arg), void *arg) {
  struct ln_host *h = s->host;
  struct refreshing *f = calloc(1, sizeof *f);
  if (!f) { /* what is known will do */
    then(arg);
    return;
  }
  *f = (struct refreshing){.then = then, .arg = arg, .pending = 1};
  ln_timer_init(&f->patience);
  for (size_t i = 0; i < gen->n_servers; i++) {
    f->pending++;
    if (!ln_fetch_again(s, gen->servers[i], kind, answered, f)) f->pending--;
  }
  if (f->pending > 1 && gen->n_servers > 1)
    ln_timer_start(h->loop, &f->patience, h->settings.start_timeout_ms, out_of_patience);
  answered(f, false);
}
