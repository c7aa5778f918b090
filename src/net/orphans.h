/* Orphans: children that a policy started by itself (io.popen, os.execute) and that would outlive
 * this process. libuv doesn't know them, and they are in Lunette's own process group, which may be
 * its parent's as well, so that the guard can't end them. */
#ifndef LN_NET_ORPHANS_H
#define LN_NET_ORPHANS_H

/* Sends them and their descendants SIGTERM, and after a moment SIGKILL. Servers are left to the
 * guard; what has daemonized or has a group of its own goes on. To be called last before _exit:
 * waits a moment when there are any, and reaps none. Allocates nothing, so it may be called while
 * another thread is stopped anywhere. */
void ln_orphans_end(void);

#endif
