/* The connection to one server, for any transport: a child's pipes, Streamable HTTP or the older
 * HTTP+SSE. It carries raw JSON-RPC texts and doesn't read them, but for what HTTP needs, which its
 * owner says in ln_channel_note.
 *
 * Life: made by ln_channel_child or ln_channel_http; every event comes from the loop, never
 * from inside a call; `closed` is the last one, exactly once, and the channel is gone when it
 * returns. */
#ifndef LN_TRANSPORT_CHANNEL_H
#define LN_TRANSPORT_CHANNEL_H

#include "base/buf.h"
#include "net/loop.h"

struct ln_channel;

/* The most bytes of a channel's `why`, its NUL included. Who copies one keeps them all: what the
 * server itself said is at its end. */
enum { LN_WHY_MAX = 2048 };

enum ln_note_kind { LN_NOTE_REQUEST, LN_NOTE_NOTIFICATION, LN_NOTE_RESPONSE };

struct ln_channel_note {
  enum ln_note_kind kind;
  uint64_t tag; /* requests: the owner's name for it, never 0; for others 0 */
  /* The request is `initialize`: HTTP takes the session id from its response and from no other,
   * and sends it without one, as the beginning of a new session. */
  bool initialize;
};

struct ln_channel_events {
  /* Messages may be sent. For a child: it was started; nothing more is known. */
  void (*ready)(void *arg);
  /* One message text arrived (one reference, now the owner's): a line of a child, a JSON body, an
   * SSE event's data. It may be anything: it is not parsed. related is the tag of the request on
   * whose response stream it came, 0 when the transport doesn't know. When it is the response to
   * that request, the owner calls ln_channel_abandon(c, related) from inside: an HTTP response that
   * ends without that has failed, and is resumed or reported as such. */
  void (*message)(void *arg, struct ln_bytes *text, uint64_t related);
  /* The request with this tag will get no response. err as in err.h, status the HTTP status or 0,
   * why a sentence. The channel lives on. LN_ENOTFOUND with 404: the session is gone upstream. For
   * a lost notification or response tag is 0. */
  void (*failed)(void *arg, uint64_t tag, int err, int status, const char *why);
  /* The queue drained after a send said LN_EFULL. */
  void (*drain)(void *arg);
  /* The server closed the stream of this request and wants the client to resume it after so many
   * milliseconds (SSE retry); the channel does that by itself. May be NULL. */
  void (*disconnected)(void *arg, uint64_t tag, uint64_t retry_ms);
  /* The server can't answer any more (a child that closed a pipe, and takes its time to end): the
   * owner closes the channel, and gets `closed` when it is over. May be NULL. */
  void (*lost)(void *arg, const char *why);
  /* The end, asked for (err 0) or not: why says what happened. Pending requests are the owner's to
   * fail. */
  void (*closed)(void *arg, int err, const char *why);
};

struct ln_channel_ops {
  int (*send)(struct ln_channel *c, const struct ln_iov *parts, size_t n,
              const struct ln_channel_note *note);
  void (*initialized)(struct ln_channel *c, const char *version, bool listen);
  void (*abandon)(struct ln_channel *c, uint64_t tag);
  void (*pause)(struct ln_channel *c);
  void (*resume)(struct ln_channel *c);
  void (*close)(struct ln_channel *c);
};

struct ln_channel {
  const struct ln_channel_ops *ops;
  const struct ln_channel_events *events;
  void *arg;
  /* Messages come on streams of their own: related 0 says that one belongs to no request. Else (a
   * child, HTTP+SSE) it says nothing. May change until the first message. */
  bool streams;
  /* During failed, lost and closed: how many bytes of why are ours. Those after are what the server
   * itself said, unchecked: the end of a child's stderr, the beginning of an HTTP error's body.
   * They may hold a secret of the server's, so they are for the log and not for clients. 0: all. */
  size_t own;
  /* HTTP, once initialized: what belongs to no request can't reach us now, for the server has no
   * session or no stream for it … */
  bool deaf;
  uint64_t heard_since; /* … and the loop time since when it has without a gap; 0: from the start */
};

#ifndef LN_FFI
/* Sends one message; the parts hold it whole, without the line end. It has no raw CR or LF.
 * LN_OK, LN_EFULL (sent, but stop the source until `drain`), LN_ECLOSED, LN_ELIMIT, LN_ENOMEM. */
static inline int ln_channel_send(struct ln_channel *c, const struct ln_iov *parts, size_t n,
                                  const struct ln_channel_note *note) {
  return c->ops->send(c, parts, n, note);
}
/* The initialize exchange is done: HTTP sends `MCP-Protocol-Version: version` from now on and,
 * with listen, opens its GET stream (a 405 is fine) once notifications/initialized was accepted. */
static inline void ln_channel_initialized(struct ln_channel *c, const char *version, bool listen) {
  c->ops->initialized(c, version, listen);
}
/* This request is over, because its response came or isn't wanted: HTTP closes its stream, at its
 * end or after a moment. No event with this tag follows. */
static inline void ln_channel_abandon(struct ln_channel *c, uint64_t tag) {
  c->ops->abandon(c, tag);
}
/* Back-pressure: stop reading from the server, and start again. What was read already (a read
 * buffer's worth) may still come as messages after pause. */
static inline void ln_channel_pause(struct ln_channel *c) {
  c->ops->pause(c);
}
static inline void ln_channel_resume(struct ln_channel *c) {
  c->ops->resume(c);
}
/* Ends it: a child by stdin, TERM, KILL; HTTP with DELETE of its session. `closed` follows. */
static inline void ln_channel_close(struct ln_channel *c) {
  c->ops->close(c);
}
#endif

/* --- children --- */
struct ln_child_conf {
  const char *name; /* the upstream's, for its stderr lines in the log */
  const char *command;
  const char *const *args; /* NULL-terminated or NULL */
  const char *const *env;  /* all of its environment, NULL-terminated "K=V"; NULL: Lunette's own */
  const char *cwd;
  size_t max_message; /* bytes in one line */
};
/* NULL with *why when it can't be started. The configuration must live until `closed`. */
struct ln_channel *ln_channel_child(struct ln_loop *l, const struct ln_child_conf *conf,
                                    const struct ln_channel_events *events, void *arg,
                                    const char **why);

/* --- Streamable HTTP, HTTP+SSE --- */
struct ln_http_pool; /* keep-alive connections of one origin, shared by all its sessions */

struct ln_http_conf {
  const char *name;
  const char *url;            /* http or https */
  const char *const *headers; /* NULL-terminated "Name: value" of the user's; or NULL */
  size_t max_message;
  uint64_t connect_timeout_ms; /* 0: 10 s */
  unsigned max_open;           /* requests under way without a response head; 0: 128 */
  bool tls_no_verify;
  const char *tls_ca_file;
  bool sse; /* the server speaks HTTP+SSE, the transport of 2024-11-05, at this URL */
};
/* NULL with *why for a URL that is none. The configuration must live as long as the pool. Proxies
 * come from http_proxy, https_proxy, all_proxy, no_proxy. */
struct ln_http_pool *ln_http_pool_new(struct ln_loop *l, const struct ln_http_conf *conf,
                                      const char **why);
/* Closes idle connections; frees itself when its last channel has closed and its last
 * connection too; then calls closed. */
void ln_http_pool_close(struct ln_http_pool *p, void (*closed)(void *arg), void *arg);
/* Where initialize is answered with 400, 404 or 405, a GET finds out whether the server speaks
 * HTTP+SSE; if so the channel does too. In HTTP+SSE the channel is `ready` when the server has said
 * where to POST, and closed when its stream is lost; every message comes with related 0, and a
 * request whose POST was accepted gets no failed(). */
struct ln_channel *ln_channel_http(struct ln_http_pool *pool,
                                   const struct ln_channel_events *events, void *arg);

#endif
