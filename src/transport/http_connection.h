/* What the three files of the HTTP server share: http_server.c (listening, limits, closing),
 * http_connection.c (bytes in, requests out, timeouts, the ends) and http_reply.c (replies).
 *
 * Invariants
 * - A connection has a parser only while a request is being received; parsers come from a pool
 *   of the server's, since one is larger than all the rest of a connection.
 * - It has one request at most, embedded. While that is open the stream is read on, to notice
 *   the peer's going, and what arrives is held; past LN_HTTP_HOLD held bytes reading stops.
 * - Whatever ends it ends in ln_stream_close; its memory goes in on_closed, nowhere else. So no
 *   call of the owner's, from whatever callback, ever frees what is on the stack below. */
#ifndef LN_TRANSPORT_HTTP_CONNECTION_H
#define LN_TRANSPORT_HTTP_CONNECTION_H

#include "base/list.h"
#include "net/loop.h"
#include "net/share.h"
#include "net/stream.h"
#include "transport/http_server.h"
#include "wire/http.h"

/* Why a request is refused that there is no room for. */
#define LN_HTTP_FULL \
  "as much is waiting as may (max_buffered_bytes), and most of it is yours: try again later"

enum {
  LN_HTTP_HOLD = 8 * 1024,     /* held bytes at which reading stops */
  LN_HTTP_HOLD_MAX = 1 << 20,  /* and a whole read buffer may come on top */
  LN_HTTP_YOUNG_MS = 500,      /* what is so old may be closed for another of its peer */
  LN_HTTP_SPARE = 8,           /* spare connections at once; the oldest goes when another comes */
  LN_HTTP_SPARE_MS = 2000,     /* and how long one may take */
  LN_HTTP_LINGER_MS = 2000,    /* how long an answered peer may take to close */
  LN_HTTP_POOLED_PARSERS = 32, /* more are freed when they come back */
  LN_HTTP_DATE_LINE = 40       /* "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" and a NUL */
};

enum ln_http_phase {
  LN_HTTP_IDLE,      /* between requests, nothing received yet */
  LN_HTTP_RECEIVING, /* part of a request is here */
  LN_HTTP_OPEN,      /* a request is with the owner, or its reply still has to drain */
  LN_HTTP_LINGERING, /* answered for the last time, our side ended; what arrives is dropped */
  LN_HTTP_CLOSED     /* the stream is closing; only on_closed follows */
};

struct ln_http_parser {
  struct ln_http http;
  struct ln_list link; /* in the pool */
};

struct ln_http_server {
  struct ln_loop *loop;
  const struct ln_http_server_ops *ops;
  void *arg;
  struct ln_http_server_conf conf; /* defaults filled in; host is not kept */
  struct ln_listener *listener;    /* NULL once its closing was asked for */
  bool listening;                  /* until it has closed */
  bool draining;
  bool closing;
  uint16_t port;
  unsigned n_parsers;
  size_t n_connections;
  size_t n_spare;   /* of these */
  size_t n_refused; /* streams over the limit that are not closed yet */
  struct ln_list connections;
  struct ln_list parsers;
  struct ln_buf scratch; /* the fields of one SSE event, while it is written */
  uint64_t date_until;   /* loop time from which the date line is stale */
  char date[LN_HTTP_DATE_LINE];
  struct ln_task closed_task;
  void (*closed)(void *arg);
  void *closed_arg;
};

struct ln_http_connection {
  struct ln_list link;
  struct ln_http_server *server;
  struct ln_stream *stream;
  struct ln_account *account;     /* of who connected; counted, or NULL */
  struct ln_holding holding;      /* of account: itself, and what it holds between requests */
  struct ln_holding body_holding; /* of payer: the request's body, or its reply that waits */
  size_t body_charged;            /* to payer: of a body that is being received … */
  size_t head_charged;           /* … and to account: of a head, and of what waits for its turn */
  struct ln_account *payer;      /* of the request's peer, from its head on; counted, or NULL */
  struct ln_http_parser *parser; /* while receiving */
  struct ln_bytes *body;         /* while receiving, of a known length */
  size_t body_len;               /* how much of it is here */
  struct ln_buf chunks;          /* while receiving, of unknown length */
  struct ln_buf held;            /* what came while a request was open … */
  size_t held_at;                /* … of which this much was parsed */
  struct ln_buf cork;            /* the head of an SSE reply until its first event */
  struct ln_timer timer;
  struct ln_task task;
  struct ln_task go; /* it was told to give way */
  bool counted;      /* in account */
  bool spare; /* on one of the last descriptors: no more than a page is served, and no other */
  struct ln_http_request request;
  char *lines;    /* of the open request's reply besides its own, or NULL */
  uint64_t since; /* loop time of its beginning, then of the end of its last request */
  size_t queued;  /* at the timer's last look: has the peer taken anything since? */
  enum ln_http_phase phase;
  uint8_t minor;    /* the request's HTTP/1.minor */
  bool open;        /* a request awaits its done; outlasts the phase when that becomes CLOSED */
  bool keep;        /* another request may follow this one */
  bool head_only;   /* a HEAD request: no body in the reply */
  bool inside;      /* on_request is on the stack */
  bool sse;         /* an SSE reply was started */
  bool full;        /* the owner was told LN_EFULL and waits for on_drain */
  bool complete;    /* the reply was accepted in full by the stream */
  bool flushing;    /* complete, but done waits for the queue to drain */
  bool eof;         /* the peer ended its side */
  bool end_waits;   /* so it did, while requests of it wait for their turn */
  bool paused;      /* reading is stopped */
  bool timing_head; /* the timer runs for the request being received */
};

/* --- http_server.c --- */
/* A parser between messages; NULL when out of memory. */
struct ln_http_parser *ln_http_server_take_parser(struct ln_http_server *s);
/* clean: it ended at a message's end and can go on with another. */
void ln_http_server_give_parser(struct ln_http_server *s, struct ln_http_parser *p, bool clean);
/* The Date header's line, made anew once a second. */
const char *ln_http_server_date(struct ln_http_server *s);
/* Closes at once. An open request gets its done from on_closed. */
void ln_http_connection_close(struct ln_http_connection *c);
/* Closes one that is between requests, once it has sent what is queued. */
void ln_http_connection_close_idle(struct ln_http_connection *c);
/* A connection (or a refused stream) is gone. */
void ln_http_server_lost(struct ln_http_server *s);

/* --- http_connection.c --- */
/* spare: there is no room for it, but for a question about how we are. */
int ln_http_connection_new(struct ln_http_server *s, struct ln_stream *stream, bool spare) LN_CHECK;
/* The reply was written; rc is what the stream said to its last part. */
void ln_http_connection_complete(struct ln_http_connection *c, int rc);
/* Runs ln_http_reply_uncork at the end of this iteration. */
void ln_http_connection_cork(struct ln_http_connection *c);

/* --- http_reply.c --- */
/* Answers what could not become a request. LN_OK or an error of the stream's. */
int ln_http_reply_refusal(struct ln_http_connection *c, int status, const char *why) LN_CHECK;
int ln_http_reply_continue(struct ln_http_connection *c) LN_CHECK;
/* The open request's reply is over, and with it what was to go into its head. */
void ln_http_reply_forget(struct ln_http_connection *c);
/* Writes a corked SSE head, if there is one. */
int ln_http_reply_uncork(struct ln_http_connection *c) LN_CHECK;

#endif
