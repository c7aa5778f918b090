/* The timer wheel with a clock of ours, against a plain list of deadlines: days pass in no time.
 * The wheel's file is taken in whole, with libuv's clock and timer replaced. */
#include <stdbool.h>
#include <uv.h>

static uint64_t fake_ns, armed_at_ms;
static bool armed;

static uint64_t fake_hrtime(void) {
  return fake_ns;
}
static uint64_t fake_now(const uv_loop_t *l) {
  (void)l;
  return fake_ns / 1000000;
}
static int fake_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat) {
  (void)t, (void)cb, (void)repeat;
  armed = timeout < (1ULL << 40);
  armed_at_ms = fake_ns / 1000000 + timeout;
  return 0;
}

#define uv_hrtime      fake_hrtime
#define uv_now         fake_now
#define uv_timer_start fake_start
#define uv_update_time(l)
/* The library's own must stay the library's. */
#define ln_wheel_init    fake_wheel_init
#define ln_wheel_arm     fake_wheel_arm
#define ln_timer_init    fake_timer_init
#define ln_timer_start   fake_timer_start
#define ln_timer_stop    fake_timer_stop
#define ln_timer_running fake_timer_running
#include "../../../src/net/timer.c"  // NOLINT(bugprone-suspicious-include)

#include "driver.h"

enum { TIMERS = 400 };

struct model {
  struct ln_timer timer;
  uint64_t due_ns; /* 0: not running */
};

static struct ln_loop loop;
static struct model all[TIMERS];
static uint64_t seed = 42;
static bool calm; /* nothing is started any more */
static long long fired, early, late, lost, wakes, idle_wakes;

static uint64_t draw(uint64_t n) {
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (seed >> 33) % n;
}

/* From nothing to a month, each scale as often as any other. */
static uint64_t some_ms(void) {
  static const uint64_t scales[] = {1, 10, 330, 20500, 1400000, 90000000, 2600000000};
  return draw(scales[draw(LN_COUNT(scales))] + 1);
}

static void on_fire(struct ln_timer *t) {
  struct model *m = LN_CONTAINER(t, struct model, timer);
  fired++;
  if (!m->due_ns) lost++; /* it was stopped */
  if (fake_ns < m->due_ns) early++;
  /* A tick, and the milliseconds of libuv's clock. */
  if (fake_ns > m->due_ns + (LN_TICK_MS + 1) * 1000000ULL) late++;
  m->due_ns = 0;
  if (!calm && draw(2)) {
    uint64_t ms = some_ms();
    m->due_ns = fake_ns + ms * 1000000;
    ln_timer_start(&loop, t, ms, on_fire);
  }
}

static void change(void) {
  struct model *m = &all[draw(TIMERS)];
  if (draw(3)) {
    uint64_t ms = some_ms();
    m->due_ns = fake_ns + ms * 1000000;
    ln_timer_start(&loop, &m->timer, ms, on_fire);
  } else {
    m->due_ns = 0;
    ln_timer_stop(&m->timer);
  }
}

static uint64_t next_due(void) {
  uint64_t min = UINT64_MAX;
  for (int i = 0; i < TIMERS; i++)
    if (all[i].due_ns && all[i].due_ns < min) min = all[i].due_ns;
  return min;
}

/* Sleeps until the wheel wants to be woken, or less; whatever is due must run. */
static void pass(void) {
  ln_wheel_arm(&loop);
  uint64_t next = next_due();
  CHECK(armed == (next != UINT64_MAX));
  if (!armed) {
    fake_ns += 1000000;
    return;
  }
  /* Never woken after the first deadline's tick. */
  CHECK(armed_at_ms * 1000000 <= next + LN_TICK_MS * 1000000ULL);
  uint64_t at = armed_at_ms * 1000000;
  if (draw(4) == 0) {
    if (at > fake_ns) fake_ns += draw(at - fake_ns + 1);
    return; /* woken by something else */
  }
  if (at > fake_ns) fake_ns = at + draw(400000);
  long long before = fired;
  wakes++;
  on_wake(&loop.wake);
  if (fired == before) idle_wakes++;
}

static void wheel(char **args) {
  (void)args;
  fake_ns = 123456789;
  uv_loop_init(&loop.uv);
  loop.uv.data = &loop;
  ln_wheel_init(&loop);
  for (int i = 0; i < TIMERS; i++) ln_timer_init(&all[i].timer);
  for (int step = 0; step < 300000; step++) {
    for (uint64_t n = draw(4); n; n--) change();
    pass();
    if (step % 1000) continue;
    size_t running = 0;
    for (int i = 0; i < TIMERS; i++) {
      CHECK(ln_timer_running(&all[i].timer) == (all[i].due_ns != 0));
      running += all[i].due_ns != 0;
    }
    CHECK(running == loop.wheel.running);
  }
  calm = true;
  while (loop.wheel.running) pass();
  say_int("fired", fired > 100000);
  say_int("early", early);
  say_int("late", late);
  say_int("lost", lost);
  say_int("days", (long long)(fake_ns / 86400000000000));
  say("idle_percent", "%.1f", 100.0 * (double)idle_wakes / (double)wakes);
  uv_close((uv_handle_t *)&loop.wake, NULL);
  uv_run(&loop.uv, UV_RUN_DEFAULT);
  say_int("freed", uv_loop_close(&loop.uv) == 0);
}

const struct scenario wheel_scenarios[] = {{"wheel", wheel}, {NULL, NULL}};
