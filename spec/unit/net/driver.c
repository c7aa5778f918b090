/* Runs the scenario named by the first argument; see driver.h. */
#include "driver.h"

#include <stdarg.h>
#include <time.h>

#include "base/buf.h"

static struct ln_log driver_log;

struct ln_loop *begin_loop(void) {
  ln_log_init(&driver_log, 2);
  struct ln_loop *l = ln_loop_new(&driver_log);
  CHECK(l);
  return l;
}

void end_loop(struct ln_loop *l) {
  say_int("handles", (long long)ln_loop_handles(l));
  say_int("freed", ln_loop_free(l) == LN_OK);
  say_int("live", (long long)ln_bytes_live());
  say_int("errors", (long long)driver_log.errors);
}

static bool on_stderr;

void say_on_stderr(void) {
  on_stderr = true;
}

void say(const char *name, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  FILE *to = on_stderr ? stderr : stdout;
  fprintf(to, "%s ", name);
  vfprintf(to, fmt, ap);
  putc('\n', to);
  va_end(ap);
  fflush(to);
}

void say_int(const char *name, long long value) {
  say(name, "%lld", value);
}

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now_ms(void) {
  return now_ns() / 1000000;
}

int main(int argc, char **argv) {
  const struct scenario *const tables[] = {
      timer_scenarios, stream_scenarios, connect_scenarios, open_scenarios,  process_scenarios,
      child_scenarios, tls_scenarios,    wheel_scenarios,   watch_scenarios, turn_scenarios};
  for (size_t i = 0; argc > 1 && i < LN_COUNT(tables); i++)
    for (const struct scenario *s = tables[i]; s && s->name; s++)
      if (strcmp(s->name, argv[1]) == 0) {
        s->run(argv + 2);
        return 0;
      }
  fprintf(stderr, "driver: no such scenario\n");
  return 98;
}
