/* An HTTP/1.1 server on wire/http and net/: connections, keep-alive, limits, request bodies, plain
 * and SSE replies. It knows paths and headers, nothing of MCP.
 *
 * A request lives from on_request until it was replied to in full or its peer has gone:
 * exactly one of `done` follows, after which the pointer is dead. Calls on it from inside
 * on_request are fine; `done` never comes from inside a call. */
#ifndef LN_TRANSPORT_HTTP_SERVER_H
#define LN_TRANSPORT_HTTP_SERVER_H

#include "base/account.h"
#include "base/buf.h"
#include "net/stream.h"
#include "wire/http.h"

struct ln_http_server;

struct ln_http_request {
  const struct ln_http_head *head; /* valid inside on_request only; copy what is needed later */
  struct ln_bytes *body;           /* NULL when empty; the request's reference, valid until done */
  void *data;                      /* the owner's */
  struct ln_account *account;      /* its peer's, valid until done; NULL: nobody counts */
};

struct ln_http_server_ops {
  /* Whose a connection from that address is (head NULL), and whose a request that came by it, whose
   * body is still to come; counted. NULL: the connection's, or nobody counts. May be NULL. */
  struct ln_account *(*account)(void *arg, const unsigned char address[16],
                                const struct ln_http_head *head);
  /* Whether this request, which has no body, is served even when there is no room for more
   * connections. May be NULL. */
  bool (*spare)(void *arg, const struct ln_http_head *head);
  /* A whole request has arrived. */
  void (*on_request)(void *arg, struct ln_http_request *r);
  /* Its SSE queue drained after ln_http_sse_send said LN_EFULL. */
  void (*on_drain)(void *arg, struct ln_http_request *r);
  /* The end: gone is true when the peer went away (or a write failed) before the reply was
   * complete. */
  void (*done)(void *arg, struct ln_http_request *r, bool gone);
};

struct ln_http_server_conf {
  const char *host; /* an address, IPv4 or IPv6 without brackets */
  uint16_t port;
  size_t max_head;          /* 0: 16 KiB */
  size_t max_body;          /* 0: 4 MiB */
  unsigned max_connections; /* 0: 10,000; more are closed on arrival */
  uint64_t head_timeout_ms; /* a head or body must be complete in this time; 0: 30 s */
  uint64_t idle_timeout_ms; /* a kept-alive connection between requests; 0: 60 s */
};

int ln_http_server_start(struct ln_loop *l, const struct ln_http_server_conf *conf,
                         const struct ln_http_server_ops *ops, void *arg,
                         struct ln_http_server **out, const char **why) LN_CHECK;
uint16_t ln_http_server_port(const struct ln_http_server *s);
/* Whether it listens on a loopback address, however that was written. While it listens. */
bool ln_http_server_on_loopback(const struct ln_http_server *s);
size_t ln_http_server_connections(const struct ln_http_server *s);
/* Stops accepting; idle connections close now, the others after their request. */
void ln_http_server_drain(struct ln_http_server *s);
/* Closes everything (pending requests get `done` with gone), frees, then calls closed. */
void ln_http_server_close(struct ln_http_server *s, void (*closed)(void *arg), void *arg);

/* headers: NULL, or whole lines "Name: value\r\n…" of the owner's, already checked. Content-Length,
 * Connection and Date are ours. type may be NULL when there is no body. The parts are the body. */
int ln_http_reply(struct ln_http_request *r, int status, const char *type, const char *headers,
                  const struct ln_iov *parts, size_t n) LN_CHECK;
/* Whole lines, already checked, that the reply will carry besides, whichever it becomes; copied. */
int ln_http_reply_lines(struct ln_http_request *r, struct ln_str lines) LN_CHECK;
/* Starts an SSE reply (chunked, no-cache, X-Accel-Buffering: no). */
int ln_http_sse_start(struct ln_http_request *r, const char *headers) LN_CHECK;
/* One event with the parts as its data (no raw CR or LF in them). id may be absent. LN_OK, LN_EFULL
 * (queued; stop the source until on_drain), LN_ECLOSED, LN_ELIMIT. */
int ln_http_sse_send(struct ln_http_request *r, struct ln_str id, const struct ln_iov *parts,
                     size_t n) LN_CHECK;
/* The same with an event type (absent: none), for the transport that needs them. */
int ln_http_sse_event(struct ln_http_request *r, struct ln_str type, struct ln_str id,
                      const struct ln_iov *parts, size_t n) LN_CHECK;
/* Writes the time that the peer should wait before it reconnects; no event. */
int ln_http_sse_retry(struct ln_http_request *r, uint64_t ms) LN_CHECK;
/* A comment, to keep the connection alive; left out while the peer has something to read. */
int ln_http_sse_comment(struct ln_http_request *r) LN_CHECK;
/* Ends the SSE reply; the connection is kept. */
void ln_http_sse_end(struct ln_http_request *r);
/* Closes its connection at once. (Requests on one connection are served one at a time: while one
 * is open nothing more is read than what notices the peer's going.) */
void ln_http_request_abort(struct ln_http_request *r);

#endif
