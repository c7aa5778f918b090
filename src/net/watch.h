/* Watching files: says when one of a set has changed and has come to rest.
 *
 * Directories are watched, not files, so that a file that is replaced, or that is reached through
 * a symbolic link that is swapped, is noticed as well as one written in place. A change is reported
 * once the files have been the same for a moment: editors truncate, then write. A file that was
 * written with what it had is no change. A slow poll catches what the system doesn't report
 * (network file systems). */
#ifndef LN_NET_WATCH_H
#define LN_NET_WATCH_H

#include "base/source.h"
#include "net/loop.h"

struct ln_watch;

/* fn is called from the loop. Doesn't keep the loop alive. NULL: out of memory. */
struct ln_watch *ln_watch_new(struct ln_loop *l, void (*fn)(void *arg), void *arg);
/* Watches these from now on (copied). To be called when they have been read, with what was read: a
 * file that has other content by then is reported again. Also when fn was called and the set
 * is the same: links may lead elsewhere. LN_ENOMEM; what can't be watched is polled. */
int ln_watch_set(struct ln_watch *w, const struct ln_sources *files) LN_CHECK;
/* Has fn called once the files are at rest, also when nothing changed. */
void ln_watch_ask(struct ln_watch *w);
/* From within fn, when the files have been read (with what): true when one of them was written
 * meanwhile, so that what was read may be the half of it. */
bool ln_watch_moved(const struct ln_watch *w, const struct ln_sources *read);
/* Stops and frees; the handles close by and by. */
void ln_watch_free(struct ln_watch *w);

#endif
