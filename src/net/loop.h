/* The event loop of one worker: libuv's loop, coarse timers for everything that has a
 * deadline, the shared read buffer, how long its turns take, and counts of what is open (zero when
 * it is done).
 *
 * Nothing here is thread-safe but where it says so; one loop belongs to one thread. */
#ifndef LN_NET_LOOP_H
#define LN_NET_LOOP_H

#include "base/base.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"

struct ln_loop; /* private */
struct uv_loop_s;

/* NULL when out of memory or descriptors. The log is borrowed. SIGPIPE is ignored from here. */
struct ln_loop *ln_loop_new(struct ln_log *log);
/* Runs until nothing is left to do or ln_loop_stop. */
void ln_loop_run(struct ln_loop *l);
void ln_loop_stop(struct ln_loop *l);
/* Closes what is left of the loop's own and frees it. Everything others opened on it must be
 * closed: LN_EBUSY and nothing freed when handles are still open. */
int ln_loop_free(struct ln_loop *l) LN_CHECK;
struct uv_loop_s *ln_loop_uv(struct ln_loop *l);
struct ln_log *ln_loop_log(struct ln_loop *l);
/* Milliseconds, monotonic, as of the start of this loop iteration. */
uint64_t ln_loop_now(const struct ln_loop *l);
/* Handles that others opened on the loop and that are not yet closed. */
size_t ln_loop_handles(const struct ln_loop *l);

/* --- timers: embedded, no allocation, no libuv handle each; one wheel, 5 ms coarse, that
 * wakes the loop only when something is due. Never early; up to a tick late. --- */
struct ln_timer {
  struct ln_list link;
  uint64_t due;
  void (*fn)(struct ln_timer *t);
  struct ln_loop *loop;
};
void ln_timer_init(struct ln_timer *t);
/* Starts or restarts. fn runs once, from the loop, with the timer already stopped. */
void ln_timer_start(struct ln_loop *l, struct ln_timer *t, uint64_t ms,
                    void (*fn)(struct ln_timer *t));
void ln_timer_stop(struct ln_timer *t); /* also when it is not running */
bool ln_timer_running(const struct ln_timer *t);

/* --- work at the end of this loop iteration (or the next, when posted from inside one):
 * embedded, runs once; for "not from inside this callback" and for corking. --- */
struct ln_task {
  struct ln_list link;
  void (*fn)(struct ln_task *t);
};
void ln_task_init(struct ln_task *t);
void ln_task_post(struct ln_loop *l, struct ln_task *t,
                  void (*fn)(struct ln_task *t)); /* no-op when posted */
void ln_task_cancel(struct ln_task *t);
bool ln_task_posted(const struct ln_task *t); /* and not run yet */

/* --- turns: from waking up to the next sleep. Whatever arrives meanwhile waits so long. --- */
enum { LN_TURN_BOUNDS = 11 };
extern const unsigned ln_turn_bounds_ms[LN_TURN_BOUNDS];
struct ln_turns {
  uint64_t count, total_ms;
  uint64_t within[LN_TURN_BOUNDS]; /* how many were no longer than the bound, but than the last */
};
const struct ln_turns *ln_loop_turns(const struct ln_loop *l);
/* What the loop is at from here on: a line of the log tells it of a turn that took too long, the
 * watchdog of one that never ends. Copied, and cut. */
void ln_loop_doing(struct ln_loop *l, const char *whose, struct ln_str what);
/* The same thing, by a better name. */
void ln_loop_doing_what(struct ln_loop *l, struct ln_str what);
/* For a thread that watches this one: another number each turn; and makes it turn, if it can. */
uint64_t ln_loop_beat(const struct ln_loop *l);
void ln_loop_poke(struct ln_loop *l);
/* Writes what it is doing, "" when that isn't known. While the loop is blocked, any thread and
 * signal handler may call this. */
void ln_loop_at(const struct ln_loop *l, char *out, size_t max);

/* --- signals --- */
/* fn is called from the loop for SIGINT, SIGTERM and SIGHUP until ln_loop_signals(l, NULL, NULL).
 * The handles don't keep the loop alive. */
int ln_loop_signals(struct ln_loop *l, void (*fn)(void *arg, int signum), void *arg) LN_CHECK;

#endif
