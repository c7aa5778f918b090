/* Sessions that do nothing: many to see what they cost, one to see whether anybody is there. */
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

/* As an SDK's client leaves its session: with its GET stream open, or where there is none with its
 * connection. Says so in a line and holds them until stdin ends. */
int bench_hold(const char *url, unsigned sessions) {
  bench_raise_files();
  struct bench_client *all = calloc(sessions, sizeof *all);
  if (all == NULL) bench_die("out of memory");
  unsigned streams = 0;
  for (unsigned i = 0; i < sessions; i++) {
    struct bench_http reply;
    if (!bench_client_open(&all[i], url) || !bench_client_exchange(&all[i], "GET", NULL, &reply))
      bench_die("session %u at %s: %s", i + 1, url, all[i].why);
    if (reply.status != 200 && reply.status != 405)
      bench_die("session %u at %s: GET: status %d", i + 1, url, reply.status);
    streams += reply.status == 200;
  }
  printf("{\"sessions\":%u,\"streams\":%u}\n", sessions, streams);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  for (unsigned i = 0; i < sessions; i++) bench_client_close(&all[i]);
  free(all);
  return 0;
}

/* Waits until a session can be opened at url. */
int bench_ready(const char *url, unsigned ms) {
  uint64_t until = bench_now() + (uint64_t)ms * 1000000u;
  struct bench_client c;
  struct bench_http reply;
  while (!bench_client_open(&c, url)) {
    if (bench_now() > until) bench_die("%s isn't ready: %s", url, c.why);
    usleep(10000);
  }
  bool ended = bench_client_exchange(&c, "DELETE", NULL, &reply);
  bench_client_close(&c);
  return ended ? 0 : 1;
}
