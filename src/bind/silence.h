/* Says on stderr which servers the command line waits for, once that takes long. */
#ifndef LN_BIND_SILENCE_H
#define LN_BIND_SILENCE_H

#include "base/buf.h"
#include "net/loop.h"

struct ln_host;

struct ln_silence {
  struct ln_timer timer;
  struct ln_host *host;
  struct ln_buf said; /* so far: each is said once */
};

/* Something is asked of the host's servers from now on, until ln_silence_end. */
void ln_silence_begin(struct ln_silence *s, struct ln_host *h);
void ln_silence_end(struct ln_silence *s);

#endif
