/* What the files of net/ know of the loop and others don't: its libuv handles, the timer wheel,
 * the task lists, the shared read buffer and what is made once per loop (guard, TLS contexts). */
#ifndef LN_NET_LOOP_IMPL_H
#define LN_NET_LOOP_IMPL_H

#include <stdatomic.h>
#include <uv.h>

#include "net/loop.h"

enum { LN_WHEEL_LEVELS = 6, LN_WHEEL_SLOTS = 64, LN_TICK_MS = 5 };

/* A hierarchical wheel. Time is counted in ticks since the loop was made. A timer due at tick T
 * lies in the level of the highest group of six bits in which T and `now` differ, in the slot of
 * T's bits of that group. So every occupied slot of a level lies ahead of now's own slot there,
 * and the lowest occupied level holds the earliest timer. */
struct ln_wheel {
  struct ln_list slots[LN_WHEEL_LEVELS][LN_WHEEL_SLOTS];
  uint64_t used[LN_WHEEL_LEVELS]; /* one bit a slot that isn't empty */
  struct ln_list due;             /* taken off the wheel, about to run */
  uint64_t base_ms;               /* the loop's clock at tick 0 */
  uint64_t now;                   /* the last tick that was dealt with */
  uint64_t armed;                 /* the tick libuv will wake us at; UINT64_MAX: none */
  size_t running;
  bool dirty; /* armed may be wrong: look before the next poll */
};

/* What the loop is at, or was: see turn.c. */
struct ln_step {
  char whose[64], what[64];
  uint64_t began; /* ms */
};

struct ln_turn {
  uint64_t woke;          /* ms, 0: it sleeps, or nothing has shown yet that it doesn't */
  struct ln_step at;      /* what it is at; began 0: nobody said */
  struct ln_step longest; /* of this turn */
  uint64_t longest_ms;
  _Atomic uint64_t beat;
  struct ln_turns seen;
};

struct ln_guard;
struct ln_tls_ctx;

struct ln_loop {
  uv_loop_t uv;
  struct ln_log *log;
  uv_timer_t wake;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle; /* active while tasks wait, so that the loop doesn't sleep */
  uv_async_t poke;
  uv_timer_t log_tick; /* while the log has more to tell later */
  struct ln_turn turn;
  struct ln_wheel wheel;
  struct ln_list tasks;       /* posted */
  struct ln_list tasks_taken; /* being run now */

  uv_signal_t signals[3];
  bool signals_made;
  void (*on_signal)(void *arg, int signum);
  void *signal_arg;

  uint64_t child_descriptors; /* the soft limit that children start with; 0: as we have it */
  size_t pending;             /* requests under way that have no handle */
  struct ln_guard *guard;     /* NULL until the first child */
  struct ln_tls_ctx *tls_ctx; /* contexts by configuration, latest first */
  char *tls_scratch;          /* tls.c: a record, from the first encrypted write on */
  char why[512];              /* the last *why handed out */
  char buf[65536];            /* what every stream reads into */
};

void ln_wheel_init(struct ln_loop *l);
/* Tells libuv when to wake us, if that changed. */
void ln_wheel_arm(struct ln_loop *l);

/* The loop is awake, since at least the time that libuv has; and: it is about to sleep. */
void ln_turn_awake(struct ln_loop *l);
void ln_turn_end(struct ln_loop *l);

/* Sets l->why and returns it. It holds until the next call that gives a reason. */
const char *ln_loop_why(struct ln_loop *l, const char *fmt, ...) LN_PRINTF(2, 3);

/* Freed with the loop; each is fine with nothing to do. */
void ln_guard_free(struct ln_loop *l);
void ln_tls_free_contexts(struct ln_loop *l);

#endif
