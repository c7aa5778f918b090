/* Strays: what a policy started by itself (io.popen, os.execute). Nobody watches over them but the
 * call that waits for them: libuv doesn't know them, and they are in Lunette's own process group,
 * which may be its parent's as well, so that the guard can't end them. */
#ifndef LN_NET_STRAYS_H
#define LN_NET_STRAYS_H

/* Ends the strays that this process still has, and what those have started: TERM, and after a
 * moment KILL. Servers are left to the guard, what has gone into the background or a group of its
 * own to itself. For the last thing before _exit: waits a moment when there are any, and reaps
 * nothing. May be called while another thread is stopped anywhere: allocates nothing. */
void ln_strays_end(void);

#endif
