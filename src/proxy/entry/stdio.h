/* The transport of one client over two descriptors, usually standard input and output
 * (basic/transports, "stdio"). */
#ifndef LN_PROXY_ENTRY_STDIO_H
#define LN_PROXY_ENTRY_STDIO_H

#include "proxy/core/host.h"

struct ln_stdio_front;
/* Serves one client on two descriptors, which are closed at the end. ended is called (from the
 * loop) when the client has closed its side and its requests have been answered, or when writing to
 * it failed. NULL: out of memory. */
struct ln_stdio_front *ln_stdio_front_start(struct ln_host *h, int in, int out,
                                            void (*ended)(void *arg), void *arg);
/* No more input is read. */
void ln_stdio_front_drain(struct ln_stdio_front *f);
/* Ends the session and closes; closed is called last, from the loop. */
void ln_stdio_front_close(struct ln_stdio_front *f, void (*closed)(void *arg), void *arg);

#endif
