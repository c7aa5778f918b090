/* The loop: libuv's, with one timer, one prepare, one check and one idle handle of our own that
 * serve the wheel and the task list. They are embedded in the loop and hold no reference, but
 * for running timers and posted tasks, which keep it alive.
 *
 * Invariant: tasks wait in `tasks` exactly while the idle handle is active. */
#include "net/loop_impl.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOG_TICK_MS = 250 };

static void on_prepare(uv_prepare_t *h);
static void on_check(uv_check_t *h);

static void on_poke(uv_async_t *h) {
  (void)h; /* that it turns is all */
}

struct ln_loop *ln_loop_new(struct ln_log *log) {
  struct ln_loop *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  if (uv_loop_init(&l->uv)) {
    free(l);
    return NULL;
  }
  signal(SIGPIPE, SIG_IGN);
  l->uv.data = l;
  l->log = log;
  ln_list_init(&l->tasks);
  ln_list_init(&l->tasks_taken);
  ln_wheel_init(l);
  uv_prepare_init(&l->uv, &l->prepare);
  uv_prepare_start(&l->prepare, on_prepare);
  uv_unref((uv_handle_t *)&l->prepare);
  uv_check_init(&l->uv, &l->check);
  uv_check_start(&l->check, on_check);
  uv_unref((uv_handle_t *)&l->check);
  uv_idle_init(&l->uv, &l->idle);
  uv_async_init(&l->uv, &l->poke, on_poke);
  uv_unref((uv_handle_t *)&l->poke);
  uv_timer_init(&l->uv, &l->log_tick);
  uv_unref((uv_handle_t *)&l->log_tick);
  return l;
}

void ln_loop_run(struct ln_loop *l) {
  l->turn.woke = 0; /* what was between two runs is no turn */
  uv_run(&l->uv, UV_RUN_DEFAULT);
}

void ln_loop_stop(struct ln_loop *l) {
  uv_stop(&l->uv);
}

struct uv_loop_s *ln_loop_uv(struct ln_loop *l) {
  return &l->uv;
}

struct ln_log *ln_loop_log(struct ln_loop *l) {
  return l->log;
}

void ln_loop_poke(struct ln_loop *l) {
  uv_async_send(&l->poke);
}

uint64_t ln_loop_now(const struct ln_loop *l) {
  return uv_now(&l->uv);
}

static bool is_own(const struct ln_loop *l, const uv_handle_t *h) {
  return (const char *)h >= (const char *)l && (const char *)h < (const char *)(l + 1);
}

struct count {
  const struct ln_loop *loop;
  size_t n;
};

static void count_handle(uv_handle_t *h, void *arg) {
  struct count *c = arg;
  if (!is_own(c->loop, h)) c->n++;
}

size_t ln_loop_handles(const struct ln_loop *l) {
  struct count c = {l, l->pending};
  /* uv_walk changes nothing; it only lacks the const. */
  uv_walk((uv_loop_t *)&l->uv, count_handle, &c);
  return c.n;
}

int ln_loop_free(struct ln_loop *l) {
  if (!l) return LN_OK;
  if (ln_loop_handles(l)) return LN_EBUSY;
  ln_guard_free(l);
  ln_tls_free_contexts(l);
  free(l->tls_scratch);
  uv_close((uv_handle_t *)&l->wake, NULL);
  uv_close((uv_handle_t *)&l->prepare, NULL);
  uv_close((uv_handle_t *)&l->check, NULL);
  uv_close((uv_handle_t *)&l->idle, NULL);
  uv_close((uv_handle_t *)&l->poke, NULL);
  uv_close((uv_handle_t *)&l->log_tick, NULL);
  for (size_t i = 0; l->signals_made && i < LN_COUNT(l->signals); i++)
    uv_close((uv_handle_t *)&l->signals[i], NULL);
  uv_run(&l->uv, UV_RUN_DEFAULT);
  LN_ASSERT(uv_loop_close(&l->uv) == 0);
  free(l);
  return LN_OK;
}

const char *ln_loop_why(struct ln_loop *l, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(l->why, sizeof l->why, fmt, ap);
  va_end(ap);
  return l->why;
}

/* --- tasks --- */

static void on_idle(uv_idle_t *h) {
  (void)h;
}

void ln_task_init(struct ln_task *t) {
  ln_list_init(&t->link);
  t->fn = NULL;
}

void ln_task_post(struct ln_loop *l, struct ln_task *t, void (*fn)(struct ln_task *t)) {
  if (!ln_list_empty(&t->link)) return;
  t->fn = fn;
  if (ln_list_empty(&l->tasks)) uv_idle_start(&l->idle, on_idle);
  ln_list_push(&l->tasks, &t->link);
}

bool ln_task_posted(const struct ln_task *t) {
  return !ln_list_empty(&t->link);
}

void ln_task_cancel(struct ln_task *t) {
  /* The idle handle may stay active for nothing: then one poll doesn't sleep. */
  ln_list_remove(&t->link);
}

/* Runs what was posted before now; what the tasks post comes with the next turn. */
static void run_tasks(struct ln_loop *l) {
  if (!uv_is_active((uv_handle_t *)&l->idle)) return;
  uv_idle_stop(&l->idle);
  ln_list_move(&l->tasks_taken, &l->tasks);
  LN_LIST_DRAIN(it, &l->tasks_taken) {
    struct ln_task *t = LN_CONTAINER(it, struct ln_task, link);
    t->fn(t);
  }
}

/* --- the log --- */

static void on_log_tick(uv_timer_t *h) {
  struct ln_loop *l = h->loop->data;
  ln_log_tick(l->log, false);
}

/* Before the loop sleeps, for what nobody may ever write another line. */
static void see_to_log(struct ln_loop *l) {
  bool more = l->log && (l->log->left_out || l->log->backlog.len);
  if (more && !uv_is_active((uv_handle_t *)&l->log_tick))
    uv_timer_start(&l->log_tick, on_log_tick, LOG_TICK_MS, 0);
}

/* Tasks run before a poll too: those that timers posted needn't wait for it. */
static void on_prepare(uv_prepare_t *h) {
  struct ln_loop *l = h->loop->data;
  run_tasks(l);
  ln_turn_end(l);
  see_to_log(l);
  ln_wheel_arm(l);
}

static void on_check(uv_check_t *h) {
  ln_turn_awake(h->loop->data);
  run_tasks(h->loop->data);
}

/* --- signals --- */

static void on_signal(uv_signal_t *h, int signum) {
  struct ln_loop *l = h->loop->data;
  if (l->on_signal) l->on_signal(l->signal_arg, signum);
}

static int make_signals(struct ln_loop *l) {
  if (l->signals_made) return LN_OK;
  for (size_t i = 0; i < LN_COUNT(l->signals); i++) {
    if (uv_signal_init(&l->uv, &l->signals[i])) {
      /* Only the first can fail: it makes the pipe that the others share. */
      LN_ASSERT(i == 0);
      return LN_ESYSTEM;
    }
    uv_unref((uv_handle_t *)&l->signals[i]);
  }
  l->signals_made = true;
  return LN_OK;
}

int ln_loop_signals(struct ln_loop *l, void (*fn)(void *arg, int signum), void *arg) {
  static const int nums[] = {SIGINT, SIGTERM, SIGHUP};
  _Static_assert(LN_COUNT(nums) == LN_COUNT(((struct ln_loop *)0)->signals), "one handle each");
  if (!fn && !l->signals_made) return LN_OK;
  int rc = make_signals(l);
  if (rc) return rc;
  l->on_signal = fn;
  l->signal_arg = arg;
  for (size_t i = 0; i < LN_COUNT(nums); i++) {
    if (!fn)
      uv_signal_stop(&l->signals[i]);
    else if (uv_signal_start(&l->signals[i], on_signal, nums[i]))
      return LN_ESYSTEM;
  }
  return LN_OK;
}
