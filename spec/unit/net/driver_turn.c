/* Scenarios of turns of the loop: what long ones leave behind, and what one that never ends. */
#include <signal.h>
#include <unistd.h>

#include "driver.h"
#include "script/watchdog.h"

static struct ln_loop *loop;
static struct ln_timer timer;

static void spin(uint64_t ms) {
  for (uint64_t to = now_ms() + ms; now_ms() < to;) continue;
}

static void on_done(struct ln_timer *t) {
  (void)t;
}

/* Two things in one turn, and nothing in the next. */
static void on_work(struct ln_task *t) {
  (void)t;
  ln_loop_doing(loop, "one", LN_STR_LIT("short"));
  spin(20);
  ln_loop_doing(loop, "two", LN_STR_LIT("a message"));
  ln_loop_doing_what(loop, LN_STR_LIT("long"));
  spin(400);
  ln_loop_doing(loop, "three", LN_STR_LIT("short again"));
  spin(20);
  ln_timer_start(loop, &timer, 300, on_done);
}

static void long_turn(char **args) {
  (void)args;
  loop = begin_loop();
  struct ln_task task;
  ln_task_init(&task);
  ln_timer_init(&timer);
  ln_task_post(loop, &task, on_work);
  spin(600); /* outside: no turn */
  ln_loop_run(loop);
  const struct ln_turns *seen = ln_loop_turns(loop);
  size_t i = 0, long_ones = 0;
  for (; i < LN_TURN_BOUNDS; i++)
    if (ln_turn_bounds_ms[i] > 250) long_ones += seen->within[i];
  say_int("long", (long long)long_ones);
  say_int("more", seen->count > long_ones);
  say_int("total", seen->total_ms >= 420 && seen->total_ms < 900);
  end_loop(loop);
}

static struct ln_log log_;

static void on_stuck(struct ln_timer *t) {
  (void)t;
  ln_loop_doing(loop, "upstream bad", LN_STR_LIT("tools/call"));
  for (;;) pause();
}

/* Its exit is the watchdog's. */
static void stuck(char **args) {
  loop = begin_loop();
  ln_log_init(&log_, 2);
  struct ln_watchdog *w = ln_watchdog_new(&log_);
  CHECK(w);
  ln_watchdog_loop(w, loop, (uint64_t)atoi(args[0]));
  ln_timer_init(&timer);
  ln_timer_start(loop, &timer, 10, on_stuck);
  ln_loop_run(loop);
}

/* Nothing to do for longer than it may stand still, and a turn that is shorter. */
static void on_busy(struct ln_timer *t) {
  (void)t;
  spin(1500);
}

static void idle(char **args) {
  (void)args;
  loop = begin_loop();
  ln_log_init(&log_, 2);
  struct ln_watchdog *w = ln_watchdog_new(&log_);
  ln_watchdog_loop(w, loop, 100);
  ln_timer_init(&timer);
  ln_timer_start(loop, &timer, 2500, on_busy);
  ln_loop_run(loop);
  ln_watchdog_loop(w, NULL, 0);
  spin(2500); /* the loop isn't run any more */
  ln_watchdog_free(w);
  end_loop(loop);
}

const struct scenario turn_scenarios[] = {
    {"long_turn", long_turn}, {"stuck", stuck}, {"idle", idle}, {NULL, NULL}};
