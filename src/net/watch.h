/* Watching files: says when one of a set has changed and has come to rest.
 *
 * Directories are watched, not files, so that a file that is replaced, or that is reached through
 * a symbolic link that is swapped, is noticed as well as one written in place. A change is told
 * once the files have been the same for a moment: editors truncate, then write. A slow poll catches
 * what the system doesn't tell (network file systems). */
#ifndef LN_NET_WATCH_H
#define LN_NET_WATCH_H

#include "net/loop.h"

struct ln_watch;

/* fn is called from the loop. Doesn't keep the loop alive. NULL: out of memory. */
struct ln_watch *ln_watch_new(struct ln_loop *l, void (*fn)(void *arg), void *arg);
/* Watches these from now on (paths are copied). Also to be called when fn was and the set is the
 * same: links may lead elsewhere. Meant to be called when the files have been read: those that
 * changed since (since fn was called, or were told of before) are told of again. LN_ENOMEM; what
 * can't be watched is polled. */
int ln_watch_set(struct ln_watch *w, const char *const *files, size_t n) LN_CHECK;
/* Stops and frees; the handles close by and by. */
void ln_watch_free(struct ln_watch *w);

#endif
