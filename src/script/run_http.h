/* lunette.http in a run: responses on their way, each kept by its run and held by a userdata of
 * Lua's. Whichever goes first takes the fetch with it, so that nothing outlives its handler, or its
 * last reader.
 *
 * A whole response is collected up to a limit and wakes the run at its end. A streamed one wakes it
 * for the head and whenever there is something of the body; what is not taken stops the reading. */
#ifndef LN_SCRIPT_RUN_HTTP_H
#define LN_SCRIPT_RUN_HTTP_H

#include "base/list.h"
#include "net/loop.h"
#include "transport/fetch.h"

struct ln_run;

struct ln_run_http {
  struct ln_list link; /* in the run's */
  struct ln_run *run;
  void (*ready)(struct ln_run *run, uint64_t token); /* the wait for it is over */
  struct ln_loop *loop;
  struct ln_run_http **holder; /* Lua's; set to NULL when this goes */
  struct ln_fetch *fetch;      /* NULL: over */
  bool stream, head_seen;
  size_t max;            /* bytes of a body that is collected */
  int status;            /* 0: no head yet */
  struct ln_buf url;     /* where the response came from */
  struct ln_buf headers; /* "name", NUL, "value", NUL, and so on; names in lower case */
  struct ln_buf body;    /* what arrived and was not taken */
  bool broken;           /* it broke off */
  char *failed;          /* why; NULL: no memory for it */
  uint64_t token;        /* the run waits for this; 0: it doesn't */
  struct ln_task wake;
};

/* Asks, and calls ready(run, token) from the loop when there is something to take and a token was
 * set. The caller sets link and holder. NULL: it can't, and *why is a sentence. */
struct ln_run_http *ln_run_http_new(struct ln_fetcher *fetcher, struct ln_loop *loop,
                                    const struct ln_fetch_conf *conf, bool stream, size_t max,
                                    const char **why);
void ln_run_http_free(struct ln_run_http *h);
/* There is something to take, or never will be. */
bool ln_run_http_ready(const struct ln_run_http *h);
/* What is in body was taken. */
void ln_run_http_taken(struct ln_run_http *h);

#endif
