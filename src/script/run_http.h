/* lunette.http in a run: a response being received. Its run has it in a list, a Lua userdata refers
 * to it; it is freed when either of them is.
 *
 * A whole response is collected up to a limit and wakes the run at its end. A streamed one wakes it
 * for the head and whenever there are bytes of the body; reading stops until they are taken. */
#ifndef LN_SCRIPT_RUN_HTTP_H
#define LN_SCRIPT_RUN_HTTP_H

#include "base/list.h"
#include "net/loop.h"
#include "transport/fetch.h"

struct ln_run;

struct ln_run_http {
  struct ln_list link; /* in the run's */
  struct ln_run *run;
  void (*ready)(struct ln_run *run, uint64_t token); /* ends the run's wait */
  struct ln_loop *loop;
  struct ln_run_http **holder; /* in the userdata; set to NULL when this is freed */
  struct ln_fetch *fetch;      /* NULL: ended */
  bool stream, head_seen;
  size_t max;            /* bytes of a body that is collected */
  int status;            /* 0: no head yet */
  struct ln_buf url;     /* where the response came from */
  struct ln_buf headers; /* "name", NUL, "value", NUL, and so on; names in lower case */
  struct ln_buf body;    /* received and not taken yet */
  bool broken;           /* it failed */
  char *failed;          /* why; NULL: out of memory */
  uint64_t token;        /* of the run's wait for this; 0: it doesn't wait */
  struct ln_task wake;
};

/* Makes the request; when a token is set and there is something to take, calls ready(run, token)
 * from the loop. The caller sets link and holder. NULL: it can't, and *why is a sentence. */
struct ln_run_http *ln_run_http_new(struct ln_fetcher *fetcher, struct ln_loop *loop,
                                    const struct ln_fetch_conf *conf, bool stream, size_t max,
                                    const char **why);
void ln_run_http_free(struct ln_run_http *h);
/* True when there is something to take, or it has ended. */
bool ln_run_http_ready(const struct ln_run_http *h);
/* The body's bytes were taken: empties it. */
void ln_run_http_taken(struct ln_run_http *h);

#endif
