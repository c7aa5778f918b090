/* The C half of the specs of net/ and of transport/child: a program of scenarios. Each runs a loop
 * to its end and prints what it saw as lines "name value", which the Lua half compares. What
 * libuv calls must not be Lua, and some scenarios end in a kill -9: hence a program. */
#ifndef SPEC_NET_DRIVER_H
#define SPEC_NET_DRIVER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/loop.h"
#include "net/stream.h"

struct scenario {
  const char *name;
  void (*run)(char **args); /* NULL-terminated */
};

/* Weak: each spec file builds only the table it needs. */
#pragma weak timer_scenarios
#pragma weak stream_scenarios
#pragma weak connect_scenarios
#pragma weak open_scenarios
#pragma weak process_scenarios
#pragma weak child_scenarios
#pragma weak tls_scenarios
#pragma weak wheel_scenarios
#pragma weak watch_scenarios
#pragma weak turn_scenarios
extern const struct scenario timer_scenarios[], stream_scenarios[], connect_scenarios[],
    open_scenarios[], process_scenarios[], child_scenarios[], tls_scenarios[], wheel_scenarios[],
    watch_scenarios[], turn_scenarios[];

/* One loop for a scenario; end_loop prints what is left open (0) and alive (0). */
struct ln_loop *begin_loop(void);
void end_loop(struct ln_loop *l);

/* Scenarios whose subject is the standard output report on stderr. */
void say_on_stderr(void);
void say(const char *name, const char *fmt, ...) LN_PRINTF(2, 3);
void say_int(const char *name, long long value);
/* Monotonic milliseconds and nanoseconds. */
uint64_t now_ms(void);
uint64_t now_ns(void);

#define CHECK(c)                                                              \
  do {                                                                        \
    if (!(c)) {                                                               \
      fprintf(stderr, "driver: %s:%d: not so: %s\n", __FILE__, __LINE__, #c); \
      exit(99);                                                               \
    }                                                                         \
  } while (0)

#endif
