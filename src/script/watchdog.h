/* The watchdog: a thread that ends the process when a policy's code, or the loop itself, blocks and
 * nothing else can stop it.
 *
 * The guard's hook stops Lua code, but is not called while a C function runs (a slow pattern,
 * reading from a pipe), nor in finalizers or compiled loops. Then no client is served any more: a
 * process that logs where it hangs and ends, for its supervisor to start again, is better. Its
 * servers are ended by net/guard.c, and processes that the policy has started by net/orphans.c.
 *
 * Entering and leaving Lua stores the time by which it should be left. When the thread finds that
 * time passed twice in a row (the process may just have been stopped), it makes the main thread
 * write down by a signal which line it is at, logs that and exits with LN_EXIT_STUCK.
 *
 * It checks the loop, too: that it has turned since the last check, when the thread woke it up.
 * After so many failed checks in a row as fit into the given time it ends the process. Checks are
 * counted, not time, since they stop when the process is stopped (SIGSTOP, a suspended machine).
 * While Lua runs, only Lua's time counts. Nothing is done while a debugger is attached, or the log
 * can't be written. */
#ifndef LN_SCRIPT_WATCHDOG_H
#define LN_SCRIPT_WATCHDOG_H

#include "net/loop.h"

/* The exit code of a process that its watchdog ended. */
enum { LN_EXIT_STUCK = 3 };

struct ln_watchdog;

/* What is running Lua. where writes "FILE:LINE", or "?"; it is called in a signal handler on the
 * watched thread, so that it may only read, and allocate nothing. */
struct ln_watched {
  void (*where)(const struct ln_watched *who, char *out, size_t max);
};

struct ln_watch_mark {
  uint64_t due;
  const struct ln_watched *who;
};

/* Watches the thread that calls this. The log is borrowed. NULL: out of memory, or no thread could
 * be started. */
struct ln_watchdog *ln_watchdog_new(struct ln_log *log);
/* To be called by the watched thread; NULL is fine. */
void ln_watchdog_free(struct ln_watchdog *w);

/* The watched thread enters Lua, and must leave it within patience after `by` (both ns; patience 0:
 * no limit). Calls nest: an inner one has its own limit. w: NULL is fine. */
struct ln_watch_mark ln_watchdog_enter(struct ln_watchdog *w, const struct ln_watched *who,
                                       uint64_t by, uint64_t patience);
void ln_watchdog_leave(struct ln_watchdog *w, struct ln_watch_mark mark);

/* The watched thread is about to run the loop, which may be blocked for so long (at least 2 s; 0:
 * no limit); or (NULL) will not run it any more: the loop must live until then. w: NULL is fine. */
void ln_watchdog_loop(struct ln_watchdog *w, struct ln_loop *loop, uint64_t ms);

#endif
