/* See watchdog.h. All that the two threads share is atomic or under the lock; the Lua state is read
 * only by the signal handler, on its own thread. */
#include "script/watchdog.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/orphans.h"

enum { IDLE_MS = 1000, AGAIN_MS = 1000, TELL_MS = 500, STEP_MS = 5, MIN_LOOKS = 2 };

/* What is known of the loop; under the lock. */
struct pulse {
  struct ln_loop *loop; /* NULL: none is run */
  uint64_t ms;          /* that it may be blocked; 0: no limit */
  uint64_t beat;        /* ln_loop_beat at the last check */
  unsigned looks;       /* checks in a row that found it unchanged */
  uint64_t next;        /* ns: when to check again */
};

struct ln_watchdog {
  struct ln_log *log;
  pthread_t watched, thread;
  pthread_mutex_t lock; /* over stop and pulse */
  pthread_cond_t wake;
  bool stop;
  struct pulse pulse;
  _Atomic uint64_t due; /* ns: when Lua must be left; 0: not in Lua, or no limit */
  const struct ln_watched *_Atomic who;
  char place[256]; /* written by the signal handler, read once told is set */
  atomic_bool told;
};

/* --- on the thread that is watched --- */

struct ln_watch_mark ln_watchdog_enter(struct ln_watchdog *w, const struct ln_watched *who,
                                       uint64_t by, uint64_t patience) {
  if (!w) return (struct ln_watch_mark){0, NULL};
  struct ln_watch_mark mark = {atomic_load_explicit(&w->due, memory_order_relaxed),
                               atomic_load_explicit(&w->who, memory_order_relaxed)};
  atomic_store_explicit(&w->who, who, memory_order_relaxed);
  atomic_store_explicit(&w->due, patience ? by + patience : 0, memory_order_release);
  return mark;
}

void ln_watchdog_leave(struct ln_watchdog *w, struct ln_watch_mark mark) {
  if (!w) return;
  atomic_store_explicit(&w->due, mark.due, memory_order_relaxed);
  atomic_store_explicit(&w->who, mark.who, memory_order_release);
}

/* Never returns: the process is about to be ended. */
static void on_signal(int signum, siginfo_t *info, void *context) {
  struct ln_watchdog *w = info->si_value.sival_ptr;
  (void)signum;
  (void)context;
  if (info->si_code != SI_QUEUE || info->si_pid != getpid()) return;
  const struct ln_watched *who = atomic_load(&w->who);
  if (who)
    who->where(who, w->place, sizeof w->place);
  else if (w->pulse.loop)
    ln_loop_at(w->pulse.loop, w->place, sizeof w->place);
  atomic_store(&w->told, true);
  for (;;) pause();
}

/* --- the watchdog's own thread --- */

/* Has the watched thread write to w->place where it is. False: it doesn't, or that isn't known. */
static bool ask(struct ln_watchdog *w) {
  struct sigaction act = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigemptyset(&act.sa_mask);
  if (sigaction(SIGALRM, &act, NULL) == 0)
    pthread_sigqueue(w->watched, SIGALRM, (union sigval){.sival_ptr = w});
  for (int ms = 0; ms < TELL_MS && !atomic_load(&w->told); ms += STEP_MS) usleep(STEP_MS * 1000);
  return atomic_load(&w->told) && *w->place && strcmp(w->place, "?") != 0;
}

static void end(void) LN_NORETURN;
static void end(void) {
  ln_orphans_end();
  _exit(LN_EXIT_STUCK);
}

static void end_for_policy(struct ln_watchdog *w) LN_NORETURN;
static void end_for_policy(struct ln_watchdog *w) {
  /* No line is known in a finalizer of a policy being closed, or when no signal is taken.
   */
  bool known = ask(w);
  ln_log_write_apart(
      w->log, LN_LOG_ERROR, "watchdog",
      "%s: can't be stopped and holds everybody up: ending the process (a pattern that "
      "takes ages, reading a pipe, a finalizer without end?)",
      known ? w->place : "a policy");
  end();
}

static void end_for_loop(struct ln_watchdog *w) LN_NORETURN;
static void end_for_loop(struct ln_watchdog *w) {
  bool known = ask(w);
  ln_log_write_apart(w->log, LN_LOG_ERROR, "watchdog",
                     "%s: has held everybody up for %u s: ending the process",
                     known ? w->place : "the loop", w->pulse.looks * AGAIN_MS / 1000);
  end();
}

/* True when writing to the log would block, as with a paused terminal. */
static bool log_full(const struct ln_log *log) {
  struct pollfd p = {.fd = log->fd, .events = POLLOUT};
  return poll(&p, 1, 0) == 0;
}

static bool traced(void) {
  char line[128];
  long tracer = 0;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, "TracerPid:", 10) == 0) tracer = strtol(line + 10, NULL, 10);
  if (f) fclose(f);
  return tracer > 0;
}

static void look_at_loop(struct ln_watchdog *w, uint64_t now) {
  struct pulse *p = &w->pulse;
  if (!p->loop || !p->ms || now < p->next) return;
  p->next = now + AGAIN_MS * 1000000ull;
  uint64_t beat = ln_loop_beat(p->loop);
  bool still = beat == p->beat && !atomic_load_explicit(&w->who, memory_order_relaxed);
  p->looks = still ? p->looks + 1 : 0;
  p->beat = beat;
  ln_loop_poke(p->loop);
  if (p->looks < MIN_LOOKS || p->looks * (uint64_t)AGAIN_MS < p->ms) return;
  if (traced() || log_full(w->log))
    p->looks = 0;
  else
    end_for_loop(w);
}

static void wait_ms(struct ln_watchdog *w, uint64_t ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += (time_t)(ms / 1000);
  until.tv_nsec += (long)(ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_cond_timedwait(&w->wake, &w->lock, &until);
}

static void *watch(void *arg) {
  struct ln_watchdog *w = arg;
  uint64_t suspect = 0;
  pthread_mutex_lock(&w->lock);
  while (!w->stop) {
    uint64_t due = atomic_load_explicit(&w->due, memory_order_acquire), now = ln_clock_ns();
    bool late = due && now >= due;
    if (late && due == suspect) end_for_policy(w);
    suspect = late ? due : 0;
    look_at_loop(w, now);
    if (late)
      wait_ms(w, AGAIN_MS);
    else
      wait_ms(w, due ? LN_MIN((due - now) / 1000000 + 1, IDLE_MS) : IDLE_MS);
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

/* --- life --- */

static int start(struct ln_watchdog *w) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the watched thread's */
  int rc = pthread_create(&w->thread, NULL, watch, w);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return rc;
}

struct ln_watchdog *ln_watchdog_new(struct ln_log *log) {
  struct ln_watchdog *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->log = log;
  w->watched = pthread_self();
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&w->wake, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&w->lock, NULL);
  if (start(w) == 0) return w;
  pthread_cond_destroy(&w->wake);
  pthread_mutex_destroy(&w->lock);
  free(w);
  return NULL;
}

void ln_watchdog_loop(struct ln_watchdog *w, struct ln_loop *loop, uint64_t ms) {
  if (!w) return;
  pthread_mutex_lock(&w->lock);
  w->pulse = (struct pulse){.loop = loop, .ms = ms};
  pthread_mutex_unlock(&w->lock);
}

void ln_watchdog_free(struct ln_watchdog *w) {
  if (!w) return;
  pthread_mutex_lock(&w->lock);
  w->stop = true;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->lock);
  pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->wake);
  pthread_mutex_destroy(&w->lock);
  free(w);
}
