/* A byte stream: TCP, a pipe or an inherited descriptor, with TLS on it when asked. Reads go
 * to the loop's shared buffer; writes are vectored, tried at once, and what the kernel won't
 * take is kept by reference (parts with an owner) or copied (parts without).
 *
 * Life: created by connect, listen or open; lives until on_closed, which is called exactly
 * once, from the loop (never from inside ln_stream_close), after which it is gone. */
#ifndef LN_NET_STREAM_H
#define LN_NET_STREAM_H

#include "base/buf.h"
#include "net/loop.h"

struct ln_stream;

struct ln_stream_ops {
  /* Client streams only: connected (TLS done) with err 0, or failed; why is a sentence. On
   * failure the stream closes by itself (on_closed follows). */
  void (*on_connect)(void *arg, int err, const char *why);
  /* Bytes arrived; p points into the shared buffer and holds until return. */
  void (*on_read)(void *arg, const char *p, size_t n);
  /* The peer ended its side (err 0) or the stream broke (LN_ECLOSED, LN_ESYSTEM, LN_ENOMEM). Writes
   * may still work after err 0; should they break later, that is reported too. Not called after
   * ln_stream_close. */
  void (*on_end)(void *arg, int err);
  /* The queue fell below the low-water mark after having been above the high one. */
  void (*on_drain)(void *arg);
  void (*on_closed)(void *arg);
};

/* Any op may be NULL but on_closed. Reading starts with ln_stream_read_start. */
void ln_stream_set_ops(struct ln_stream *s, const struct ln_stream_ops *ops, void *arg);

struct ln_tls_conf {
  bool on;
  bool no_verify;
  const char *ca_file; /* NULL: the system's */
  const char *alpn;    /* NULL or "http/1.1" */
};

struct ln_connect_opts {
  const char *host; /* name or address; copied */
  uint16_t port;
  struct ln_tls_conf tls;
  const char *tls_host; /* name to verify and send as SNI; NULL: host */
  uint64_t timeout_ms;  /* for name, connection and handshake together; 0: 30 s */
};
/* Looks the name up, tries its addresses in turn (both families). NULL when out of memory. */
struct ln_stream *ln_stream_connect(struct ln_loop *l, const struct ln_connect_opts *opts,
                                    const struct ln_stream_ops *ops, void *arg);
/* TLS on a stream that is connected already (through a CONNECT proxy): on_connect tells. */
int ln_stream_start_tls(struct ln_stream *s, const struct ln_tls_conf *tls,
                        const char *host) LN_CHECK;
/* A stream on a descriptor (pipe, socket, terminal or file), which it owns and closes. NULL, and
 * the descriptor is still the caller's, when it is none of these or out of memory. In place of a
 * standard descriptor /dev/null is left; those shared with other processes are blocking again then.
 */
struct ln_stream *ln_stream_open(struct ln_loop *l, int fd, const struct ln_stream_ops *ops,
                                 void *arg);

/* Reading stops and starts as often as wanted: the back-pressure valve. */
void ln_stream_read_start(struct ln_stream *s);
void ln_stream_read_stop(struct ln_stream *s);
/* It was accepted with one of the last descriptors: to be closed soon. */
bool ln_stream_spare(const struct ln_stream *s);
/* 16 bytes: the peer of a stream that was accepted; an IPv4 address as its mapped IPv6 address. */
const unsigned char *ln_stream_address(const struct ln_stream *s);

/* Writes the parts, in order. LN_OK: written or queued whole. LN_EFULL: queued whole too, and the
 * queue is now above its high-water mark: stop the source until on_drain. LN_ECLOSED, LN_ENOMEM,
 * LN_ELIMIT (the queue's hard maximum; nothing of this write was taken): the stream should
 * be closed. */
int ln_stream_write(struct ln_stream *s, const struct ln_iov *parts, size_t n) LN_CHECK;
/* Whoever holds what is queued from now on (base/buf.h); borrowed: it must outlive the stream. */
void ln_stream_set_payer(struct ln_stream *s, struct ln_account *payer);
/* Bytes accepted and not yet given to the kernel. */
size_t ln_stream_queued(const struct ln_stream *s);
/* Whether the peer has sent what is not read yet, or has ended: asks the kernel at once.
 * False for what is no socket. */
bool ln_stream_pending(const struct ln_stream *s);
/* Defaults: high 256 KiB, low 64 KiB, hard 64 MiB. */
void ln_stream_set_marks(struct ln_stream *s, size_t low, size_t high, size_t hard);
/* Ends our side once the queue is written (shutdown of a socket, close of a pipe). The stream lives
 * on until it is closed. */
void ln_stream_shutdown(struct ln_stream *s);
/* For a stream on stdin or stdout: moves it to another descriptor. Other code that uses the
 * standard one from now on, and child processes of a policy, read nothing, or write to stderr. */
void ln_stream_shield_stdio(struct ln_stream *s);
/* Closes at once; what is queued is lost. on_closed follows. May be called again. */
void ln_stream_close(struct ln_stream *s);
/* Closes once the queue is written, or after the given time at the latest; over TCP only when the
 * peer has closed too, so that a reset doesn't overtake the last bytes. No event but on_closed
 * follows. */
void ln_stream_close_flushed(struct ln_stream *s, uint64_t timeout_ms);

/* --- listening --- */
struct ln_listener;
/* host is an address; port 0 takes any. on_accept gets a new stream, whose ops it must set at
 * once; on descriptor exhaustion accepting pauses and resumes by itself. *why is a sentence on
 * error. */
int ln_listen(struct ln_loop *l, const char *host, uint16_t port,
              void (*on_accept)(void *arg, struct ln_stream *s), void *arg,
              struct ln_listener **out, const char **why) LN_CHECK;
/* Called before a connection from that address is accepted with one of the last descriptors: true
 * when it has freed one, so that it need not be. */
void ln_listener_on_scarce(struct ln_listener *l,
                           bool (*on_scarce)(void *arg, const unsigned char address[16]));
uint16_t ln_listener_port(const struct ln_listener *l);
/* Where it really listens; an IPv4 address as its mapped IPv6 address. */
void ln_listener_address(const struct ln_listener *l, unsigned char address[16]);
void ln_listener_close(struct ln_listener *l, void (*closed)(void *arg), void *arg);

#endif
