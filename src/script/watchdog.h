/* The watchdog: ends the process when a policy, or the loop itself, blocks and nothing can stop it.
 *
 * The guard's hook stops what Lua runs. It never gets to run while C does (a pattern that takes
 * ages, a pipe that is read from), nor in finalizers, nor in compiled loops. Then nobody is served
 * any more, so a process that says where and ends, for its supervisor to start again, is
 * better than one that hangs. Its servers are ended by net/guard.c, as ever, and what the policy
 * itself has started by net/orphans.c.
 *
 * A thread of its own looks now and then at until when whoever is in Lua should be out again: one
 * store on the way in and one on the way out. Overdue twice in a row (the process may just
 * have been stopped), it makes the main thread say by a signal which line it is at, writes that to
 * the log and exits with LN_EXIT_STUCK.
 *
 * It looks at the loop, too: when that hasn't turned, though poked, at so many looks in a row as
 * make up the time that a policy may have. Looks are counted, not time: whatever stops the process
 * (SIGSTOP, a frozen machine) stops them as well. While Lua runs, its own time is what counts (a
 * policy may load for 10 s); what a debugger holds, or a log that nobody reads, is left alone. */
#ifndef LN_SCRIPT_WATCHDOG_H
#define LN_SCRIPT_WATCHDOG_H

#include "net/loop.h"

/* The exit code of a process that its watchdog ended. */
enum { LN_EXIT_STUCK = 3 };

struct ln_watchdog;

/* Whoever is in Lua. where writes "FILE:LINE", or "?", and is called by a signal's handler on the
 * watched thread: it only reads, and allocates nothing. */
struct ln_watched {
  void (*where)(const struct ln_watched *who, char *out, size_t max);
};

struct ln_watch_mark {
  uint64_t due;
  const struct ln_watched *who;
};

/* Watches the thread that calls this. The log is borrowed. NULL: there is no memory or no thread
 * to be had. */
struct ln_watchdog *ln_watchdog_new(struct ln_log *log);
/* From that thread; NULL is fine. */
void ln_watchdog_free(struct ln_watchdog *w);

/* That thread goes into Lua, and has until patience after `by` (both ns; patience 0: as long as it
 * likes). Nests: an inner one starts a time of its own. w: NULL is fine. */
struct ln_watch_mark ln_watchdog_enter(struct ln_watchdog *w, const struct ln_watched *who,
                                       uint64_t by, uint64_t patience);
void ln_watchdog_leave(struct ln_watchdog *w, struct ln_watch_mark mark);

/* That thread is about to run the loop, which may stand still for so long (at least 2 s; 0: for
 * ever); or has left it for good (NULL). The loop must live until then. w: NULL is fine. */
void ln_watchdog_loop(struct ln_watchdog *w, struct ln_loop *loop, uint64_t ms);

#endif
