/* A stream from the inside: what stream.c (life, reading), write.c, connect.c, tls.c and file.c
 * share.
 *
 * Layers. The raw stream is the libuv handle with the write queue. TLS, when there, sits between
 * it and the public calls: what is read goes through ln_tls_feed, what is written through
 * ln_tls_write, which calls ln_stream_send with what it made of it.
 *
 * Life. `open`: a libuv handle is initialised and not yet closed. `up`: it is connected. A
 * connecting stream goes through one handle per address it tries. Once `closing` is set, the
 * stream is freed by ln_stream_finish as soon as no handle and no request is left; `closing` is
 * checked after every call out. */
#ifndef LN_NET_STREAM_IMPL_H
#define LN_NET_STREAM_IMPL_H

#include "net/loop_impl.h"
#include "net/queue.h"
#include "net/share.h"
#include "net/stream.h"

enum ln_stream_kind { LN_STREAM_TCP, LN_STREAM_PIPE, LN_STREAM_TTY, LN_STREAM_FILE };

struct ln_connect;
struct ln_tls;
struct ln_file;

struct ln_stream {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_tty_t tty;
  } h;
  struct ln_loop *loop;
  const struct ln_stream_ops *ops;
  void *arg;

  struct ln_queue queue;
  size_t low, high, hard;
  size_t in_flight; /* of the queue's front: handed to libuv */
  uv_write_t write_req;
  uv_shutdown_t shutdown_req;

  struct ln_timer timer; /* connect and handshake; late news of a broken write; flushed close */
  struct ln_task task;   /* what mustn't come from inside a call: a late failure, the end */

  struct ln_connect *connect; /* while on_connect is due */
  struct ln_tls *tls;
  struct ln_file *file; /* kind FILE */

  unsigned char address[16]; /* of an accepted one: its peer's; IPv4 is mapped */
  int stdio;                 /* 0, 1 or 2 when it stands for that descriptor; else -1 */
  int saved_flags; /* of a file description shared with other processes; -1: nothing to restore */
  enum ln_stream_kind kind;
  bool spare; /* accepted with a descriptor of those that are kept back */
  bool fifo;  /* a pipe(2), not a socket: has no shutdown */
  bool open;
  bool handle_closing;
  bool up;
  struct ln_share_place place; /* among its peer's */
  bool begun;                  /* a read that counts for it is under way */
  bool want_read;              /* the owner's wish */
  bool reading;                /* libuv's state */
  bool ended;                  /* on_end was called */
  bool broken;                 /* a write failed */
  bool failed;                 /* on_end was called with an error */
  bool full;                   /* LN_EFULL was returned, on_drain is due */
  bool shut;                   /* ln_stream_shutdown was called */
  bool shut_sent;
  bool flushing; /* ln_stream_close_flushed was called: only on_closed follows */
  bool closing;
};

/* stream.c */
struct ln_stream *ln_stream_new(struct ln_loop *l, enum ln_stream_kind kind);
/* Takes over a connected, non-blocking TCP socket of that peer; NULL leaves it the caller's. */
struct ln_stream *ln_stream_accepted(struct ln_loop *l, int fd, const unsigned char address[16]);
/* Starts or stops libuv's reading by what is wanted now. */
void ln_stream_sync_reading(struct ln_stream *s);
/* Closes the libuv handle, not the stream. */
void ln_stream_release(struct ln_stream *s);
/* on_end, at most once with 0 and at most once with an error. */
void ln_stream_report_end(struct ln_stream *s, int err);
/* Reports, when closing and nothing is left, on_closed, and frees. */
void ln_stream_finish(struct ln_stream *s);
int ln_stream_uv_err(int uverr);
/* Puts /dev/null in the place of a standard descriptor that the stream stood for. */
void ln_stream_give_up_stdio(struct ln_stream *s);

/* write.c */
/* Gives bytes to the kernel or the queue, whatever the state of TLS. */
int ln_stream_send(struct ln_stream *s, const struct ln_iov *parts, size_t n) LN_CHECK;
/* Writes more of the queue and does what was to be done when it is empty. */
void ln_stream_flush(struct ln_stream *s);

/* connect.c */
/* The handle of a failed attempt is closed. */
void ln_connect_next(struct ln_stream *s);
/* TLS is up, or failed: on_connect. */
void ln_connect_done(struct ln_stream *s);
void ln_connect_fail(struct ln_stream *s, int err, const char *why);
void ln_connect_free(struct ln_stream *s);

/* tls.c */
/* Makes s->tls; LN_ESYSTEM, LN_ENOMEM with *why. */
int ln_tls_new(struct ln_stream *s, const struct ln_tls_conf *conf, const char *host,
               const char **why) LN_CHECK;
void ln_tls_free(struct ln_stream *s);
void ln_tls_handshake(struct ln_stream *s);
bool ln_tls_wants_read(const struct ln_stream *s);
/* Bytes and the end of the raw stream. */
void ln_tls_feed(struct ln_stream *s, const char *p, size_t n);
void ln_tls_eof(struct ln_stream *s);
/* Reading was started again: hand out what was decrypted meanwhile. */
void ln_tls_resume(struct ln_stream *s);
int ln_tls_write(struct ln_stream *s, const struct ln_iov *parts, size_t n) LN_CHECK;
size_t ln_tls_queued(const struct ln_stream *s);
/* Sends close_notify. */
void ln_tls_close_notify(struct ln_stream *s);

/* file.c */
int ln_file_open(struct ln_stream *s, int fd) LN_CHECK;
void ln_file_sync_reading(struct ln_stream *s);
/* False while a read is under way; then ln_stream_finish is called again. */
bool ln_file_close(struct ln_stream *s);
int ln_file_write(struct ln_stream *s, const struct ln_iov *parts, size_t n) LN_CHECK;

#endif
