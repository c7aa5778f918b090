/* Scenarios of timers, tasks and signals. */
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "driver.h"

struct probe {
  struct ln_timer timer;
  uint64_t started_ns, ms;
};

static struct {
  struct ln_loop *l;
  uint64_t last_ms;
  int fired, early, disorder;
  uint64_t worst_late_ns;
} seen;

static void on_probe(struct ln_timer *t) {
  struct probe *p = LN_CONTAINER(t, struct probe, timer);
  CHECK(!ln_timer_running(t));
  uint64_t took = now_ns() - p->started_ns;
  seen.fired++;
  if (took < p->ms * 1000000) seen.early++;
  /* Within one tick the order is that of starting. */
  if (p->ms + 5 < seen.last_ms) seen.disorder++;
  seen.last_ms = p->ms;
  uint64_t late = took - p->ms * 1000000;
  if (late > seen.worst_late_ns) seen.worst_late_ns = late;
}

static void precision(char **args) {
  (void)args;
  enum { N = 300 };
  static struct probe probes[N];
  seen.l = begin_loop();
  for (int i = 0; i < N; i++) {
    ln_timer_init(&probes[i].timer);
    probes[i].ms = (uint64_t)((i * 7919) % 700); /* crosses a block of the lowest level */
    probes[i].started_ns = now_ns();
    ln_timer_start(seen.l, &probes[i].timer, probes[i].ms, on_probe);
  }
  ln_loop_run(seen.l);
  say_int("fired", seen.fired);
  say_int("early", seen.early);
  say_int("disorder", seen.disorder);
  say_int("late_ms", (long long)(seen.worst_late_ns / 1000000));
  end_loop(seen.l);
}

/* A callback that takes long must not make a timer started at its end early. */
static struct probe after_long;
static void on_long(struct ln_timer *t) {
  (void)t;
  poll(NULL, 0, 60);
  after_long.ms = 40;
  after_long.started_ns = now_ns();
  ln_timer_start(seen.l, &after_long.timer, 40, on_probe);
}

static void stale_clock(char **args) {
  (void)args;
  struct ln_timer first;
  seen.l = begin_loop();
  ln_timer_init(&first);
  ln_timer_init(&after_long.timer);
  ln_timer_start(seen.l, &first, 0, on_long);
  ln_loop_run(seen.l);
  say_int("fired", seen.fired);
  say_int("early", seen.early);
  say_int("late_ms", (long long)(seen.worst_late_ns / 1000000));
  end_loop(seen.l);
}

/* Starts, restarts and stops from inside callbacks, also of timers due in the same tick. */
static struct ln_timer a, b, c;
static char order[64];

static void on_c(struct ln_timer *t) {
  (void)t;
  strcat(order, "c");
}
static void on_b(struct ln_timer *t) {
  (void)t;
  strcat(order, "b");
}
static void on_a(struct ln_timer *t) {
  strcat(order, "a");
  ln_timer_stop(&b); /* due now too: must not run */
  if (strlen(order) < 3)
    ln_timer_start(t->loop, t, 10, on_a);
  else
    ln_timer_start(t->loop, &c, 0, on_c);
}

static void from_inside(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  ln_timer_init(&a);
  ln_timer_init(&b);
  ln_timer_init(&c);
  ln_timer_start(l, &c, 5000, on_c);
  ln_timer_start(l, &a, 20, on_a);
  ln_timer_start(l, &b, 20, on_b);
  ln_timer_start(l, &c, 100000000, on_c); /* restarted: counts once */
  ln_timer_stop(&c);
  ln_timer_stop(&c);
  uint64_t begun = now_ms();
  ln_loop_run(l); /* ends though c was far off: it is stopped */
  say("order", "%s", order);
  say_int("short", now_ms() - begun < 1000);
  end_loop(l);
}

/* Sleeps through: how often does the loop wake for one far timer, with others stopped? */
static void on_done(struct ln_timer *t) {
  ln_loop_stop(t->loop);
}

static long switches(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_nvcsw;
}

static void no_wakeups(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct ln_timer done, never[50];
  ln_timer_init(&done);
  for (size_t i = 0; i < LN_COUNT(never); i++) {
    ln_timer_init(&never[i]);
    ln_timer_start(l, &never[i], 20 + i * 17, on_b);
  }
  ln_timer_start(l, &done, 900, on_done);
  for (size_t i = 0; i < LN_COUNT(never); i++) ln_timer_stop(&never[i]);
  long before = switches();
  ln_loop_run(l);
  say_int("sleeps", switches() - before);
  end_loop(l);
}

/* Every deadline from a second to years is held by the wheel and can be stopped. */
static void far(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  static struct ln_timer t[64];
  uint64_t ms = 1;
  for (size_t i = 0; i < LN_COUNT(t); i++, ms = ms * 2 + i) {
    ln_timer_init(&t[i]);
    ln_timer_start(l, &t[i], ms + 60000, on_b);
  }
  int running = 0;
  for (size_t i = 0; i < LN_COUNT(t); i++) running += ln_timer_running(&t[i]);
  for (size_t i = 0; i < LN_COUNT(t); i++) ln_timer_stop(&t[i]);
  ln_loop_run(l);
  say_int("running", running);
  end_loop(l);
}

static void cost(char **args) {
  (void)args;
  enum { LIVE = 10000, ROUNDS = 2000000 };
  struct ln_loop *l = begin_loop();
  struct ln_timer *t = calloc(LIVE, sizeof *t);
  for (int i = 0; i < LIVE; i++) {
    ln_timer_init(&t[i]);
    ln_timer_start(l, &t[i], 30000 + (uint64_t)i, on_b);
  }
  uint64_t begun = now_ns();
  for (int i = 0; i < ROUNDS; i++) ln_timer_start(l, &t[(i * 7919u) % LIVE], 30000, on_b);
  say("restart_ns", "%.1f", (double)(now_ns() - begun) / ROUNDS);
  begun = now_ns();
  for (int i = 0; i < LIVE; i++) ln_timer_stop(&t[i]);
  say("stop_ns", "%.1f", (double)(now_ns() - begun) / LIVE);
  begun = now_ns();
  for (int i = 0; i < ROUNDS; i++) {
    ln_timer_start(l, &t[0], 30000, on_b);
    ln_timer_stop(&t[0]);
  }
  say("start_stop_ns", "%.1f", (double)(now_ns() - begun) / ROUNDS);
  free(t);
  end_loop(l);
}

/* --- tasks --- */

static struct ln_task t1, t2, t3;
static int turns;

static void on_t2(struct ln_task *t) {
  (void)t;
  strcat(order, "2");
}
static void on_t3(struct ln_task *t) {
  (void)t;
  strcat(order, "3");
}
static void on_t1(struct ln_task *t) {
  strcat(order, "1");
  ln_task_cancel(&t3); /* posted, of this turn: must not run */
  if (++turns < 3) ln_task_post(seen.l, t, on_t1);
}
static void on_post(struct ln_timer *t) {
  strcat(order, "t");
  ln_task_post(t->loop, &t2, on_t2);
  ln_task_post(t->loop, &t2, on_t3); /* posted already: nothing */
}

static void tasks(char **args) {
  (void)args;
  struct ln_timer timer;
  seen.l = begin_loop();
  ln_task_init(&t1);
  ln_task_init(&t2);
  ln_task_init(&t3);
  ln_timer_init(&timer);
  ln_task_post(seen.l, &t1, on_t1);
  ln_task_post(seen.l, &t3, on_t3);
  ln_timer_start(seen.l, &timer, 30, on_post);
  uint64_t begun = now_ms();
  ln_loop_run(seen.l);
  say("order", "%s", order);
  say_int("short", now_ms() - begun < 500);
  end_loop(seen.l);
}

/* --- signals --- */

static void on_signal(void *arg, int signum) {
  say_int("signal", signum);
  ln_loop_stop(arg);
}

static void signals(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct ln_timer keep;
  ln_timer_init(&keep);
  CHECK(ln_loop_signals(l, on_signal, l) == LN_OK);
  ln_loop_run(l); /* they don't keep it alive: returns at once */
  for (int i = 0; i < 3; i++) {
    ln_timer_start(l, &keep, 5000, on_b);
    kill(getpid(), (int[]){SIGINT, SIGTERM, SIGHUP}[i]);
    ln_loop_run(l);
    ln_timer_stop(&keep);
  }
  CHECK(ln_loop_signals(l, NULL, NULL) == LN_OK);
  struct sigaction now;
  sigaction(SIGPIPE, NULL, &now);
  say_int("sigpipe_ignored", now.sa_handler == SIG_IGN);
  end_loop(l);
}

static void busy(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  const char *why;
  struct ln_listener *n;
  CHECK(ln_listen(l, "127.0.0.1", 0, NULL, NULL, &n, &why) == LN_OK);
  say_int("open", (long long)ln_loop_handles(l));
  say_int("refused", ln_loop_free(l) == LN_EBUSY);
  ln_listener_close(n, NULL, NULL);
  ln_loop_run(l);
  end_loop(l);
}

const struct scenario timer_scenarios[] = {{"precision", precision},
                                           {"stale_clock", stale_clock},
                                           {"from_inside", from_inside},
                                           {"no_wakeups", no_wakeups},
                                           {"far", far},
                                           {"timer_cost", cost},
                                           {"tasks", tasks},
                                           {"signals", signals},
                                           {"busy", busy},
                                           {NULL, NULL}};
