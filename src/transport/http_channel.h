/* What the files of the HTTP channel share: http_channel.c (the channel, sending, closing),
 * http_channel_post.c (what a response means), http_channel_stream.c (GET streams, resuming) and
 * sse_channel.c (what is different in HTTP+SSE, the transport of 2024-11-05, and finding out that
 * the server speaks it).
 *
 * A post is one message on its way and then its response; the listening GET, the one stream of
 * HTTP+SSE and the closing DELETE are posts too. Invariants
 * - A post is in c->posts from its making until it is freed, by ln_http_post_free only. While one
 *   of its own callbacks is on the stack (`busy`), it is only marked and freed on the way out.
 * - Every request ends by abandon or by failed(): a response whose body ended without the owner
 *   having called abandon is a failure. (In HTTP+SSE the response comes by the stream: there the
 *   owner's requests end with the channel.)
 * - The owner is called last: nothing of a post is touched after a failed(), and after a
 *   message() only what `busy` protects.
 * - No event goes out once the channel is closing, but closed. */
#ifndef LN_TRANSPORT_HTTP_CHANNEL_H
#define LN_TRANSPORT_HTTP_CHANNEL_H

#include "transport/http_pool.h"
#include "wire/sse.h"

enum {
  LN_CHANNEL_HIGH = 256,  /* messages waiting for a connection: say LN_EFULL */
  LN_CHANNEL_LOW = 64,    /* then drain */
  LN_CHANNEL_HARD = 4096, /* refuse */
  LN_CHANNEL_HIGH_BYTES = 1 << 18,
  LN_CHANNEL_LOW_BYTES = 1 << 16,
  LN_CHANNEL_HARD_BYTES = 1 << 26,
  LN_CHANNEL_CLOSE_MS = 1000, /* for the last answers and DELETE */
  LN_CHANNEL_SKIP_MS = 250,   /* for the rest of a response that isn't needed */
  LN_CHANNEL_LISTEN_MS = 250, /* for the listening stream to begin before anything is asked */
  LN_CHANNEL_SKIP_BYTES = 16 * 1024, /* and how much of it is read, to keep the connection */
  LN_CHANNEL_TRIES = 5,              /* to resume, without an event between */
  LN_CHANNEL_REDIRECTS = 5,
  LN_CHANNEL_ID_MAX = 1024,     /* a session id, an event id */
  LN_CHANNEL_RETRY_MS = 1000,   /* before a stream is asked for again, unless the server names it */
  LN_CHANNEL_BACKOFF_MS = 30000 /* the longest wait between tries */
};

enum ln_http_post_kind {
  LN_POST_REQUEST = LN_NOTE_REQUEST,
  LN_POST_NOTIFICATION = LN_NOTE_NOTIFICATION,
  LN_POST_RESPONSE = LN_NOTE_RESPONSE,
  LN_POST_LISTEN,
  LN_POST_STREAM, /* of HTTP+SSE */
  LN_POST_DELETE
};

/* What is done with the body of a response. */
enum ln_http_post_mode {
  LN_MODE_NONE, /* no head yet */
  LN_MODE_JSON, /* kept: a message */
  LN_MODE_SSE,
  LN_MODE_ERROR_TEXT, /* its beginning is kept, to say what went wrong */
  LN_MODE_SKIP
};

/* What a response that wasn't kept amounts to once it is over. */
enum ln_http_post_outcome { LN_OUTCOME_FINE, LN_OUTCOME_REDIRECT, LN_OUTCOME_FAILED };

struct ln_http_post {
  struct ln_http_call call;
  struct ln_list link; /* in c->posts */
  struct ln_http_channel *c;
  struct ln_timer timer; /* the end of skipping, or the wait before a GET */
  uint64_t tag;
  uint8_t kind, mode, outcome;
  uint8_t redirects, tries;
  bool initialize;
  bool opens;       /* it is c->opening: others wait for it */
  bool had_session; /* the request named the session */
  bool held;        /* in c->held */
  bool unsent;      /* in c's counts */
  bool getting;     /* the request is a GET */
  bool opened;      /* LISTEN: it was a stream once */
  bool abandoned;   /* the owner has its response, or wants it no more */
  bool busy;
  bool dead; /* free when no longer busy */
  int status;
  size_t bytes;           /* of the message */
  size_t skipped;         /* of the response */
  uint64_t since;         /* when the stream began */
  struct ln_url *url;     /* after a redirect */
  struct ln_bytes *whole; /* LN_MODE_JSON with a length … */
  size_t got;
  struct ln_buf text; /* … without one; LN_MODE_ERROR_TEXT; a reason … */
  size_t own;         /* … of which so many bytes are ours: what follows is the server's */
  struct ln_sse sse;
  struct ln_buf last_id; /* between two GETs */
  int64_t retry_ms;
  char length[28]; /* "123\r\n\r\n" */
  size_t n_parts;
  struct ln_iov parts[]; /* [0] a redirected request's line, [1] the head, [2] length, [3…] */
};

/* A sentence, and what of an error's body is quoted after it. */
enum { LN_HTTP_WHY = 840 };

struct ln_http_channel {
  struct ln_channel base;
  struct ln_http_pool *pool;
  struct ln_list posts;
  struct ln_list held; /* calls that wait for `opening` */
  /* notifications/initialized until the server took it, then the listening GET until it is
   * answered: many servers drop requests and notifications that they can't send yet. */
  struct ln_http_post *opening;
  struct ln_http_post *delivering;
  struct ln_bytes *head; /* of every POST, up to "Content-Length: "; NULL: to be made */
  size_t line;           /* bytes of it that are the request line */
  struct ln_bytes *session;
  char version[32];
  size_t unsent, unsent_bytes;
  bool ready_due, drain_due, finished;
  bool full; /* drain was promised */
  bool paused;
  bool expects; /* the next notification is notifications/initialized */
  bool listens; /* a GET stream is wanted after it */
  bool lost;    /* the server said that the session is gone */
  bool closing;
  bool deleted;                /* DELETE was sent */
  bool open_due;               /* HTTP+SSE from the start: its stream is to be opened */
  bool readied;                /* ready was called */
  bool sse;                    /* HTTP+SSE: messages go to the endpoint, all others come by … */
  bool detected;               /* that was tried once already */
  struct ln_http_post *stream; /* … this */
  struct ln_url *endpoint;     /* where to POST; NULL: the URL */
  struct ln_http_post *undecided; /* the initialize that was refused, until we know */
  int end_err;                    /* why it closed by itself … */
  size_t end_own;                 /* … in this many bytes of ours, and the server's */
  char end_why[LN_HTTP_WHY];
  struct ln_task task;
  struct ln_timer timer;
};

/* --- http_channel.c --- */
/* The posts' own part of ln_http_call_ops. */
void ln_http_channel_sent(struct ln_http_post *p);
struct ln_http_post *ln_http_post_new(struct ln_http_channel *c, enum ln_http_post_kind kind,
                                      size_t n_parts, size_t extra);
/* Cancels what is under way, unlinks and frees (or, when busy, marks). */
void ln_http_post_free(struct ln_http_post *p);
/* The same for a post that has come to its end; what waited for that goes on. accepted: the server
 * took the message. */
void ln_http_post_done(struct ln_http_post *p, bool accepted);
/* What waited for this post, if it is the one, goes on. */
void ln_http_post_opened(struct ln_http_post *p);
/* The head of a GET or DELETE, whole. */
struct ln_bytes *ln_http_channel_head(struct ln_http_channel *c, const char *method,
                                      const struct ln_url *url, struct ln_str last_id);
/* The request line of a redirected POST. */
struct ln_bytes *ln_http_channel_line(struct ln_http_channel *c, const struct ln_url *url);
/* Forgets the session and the head that names it. */
void ln_http_channel_forget(struct ln_http_channel *c);
/* A head made from now on is a new one. */
void ln_http_channel_stale(struct ln_http_channel *c);
/* Where messages go. */
const struct ln_url *ln_http_channel_url(const struct ln_http_channel *c);
/* A refused POST goes once more, with a head made anew. */
void ln_http_channel_resend(struct ln_http_post *p);
/* The channel ends without having been closed. own as in ln_channel. */
void ln_http_channel_fail(struct ln_http_channel *c, int err, const char *why, size_t own);

/* --- http_channel_post.c --- */
extern const struct ln_http_call_ops ln_http_post_ops;
/* Gives the post up and calls failed(), when it is one that the owner knows. */
void ln_http_post_fail(struct ln_http_post *p, int err, int status, const char *why);
/* The rest of the response isn't needed: it is read for a moment, to keep the connection. */
void ln_http_post_skip_rest(struct ln_http_post *p);
/* What a whole response amounts to, when its end had been held back. */
void ln_http_post_conclude(struct ln_http_post *p);
/* err and a sentence for a response that was refused, whatever its status. */
int ln_http_post_explain(const struct ln_http_post *p, char *why, size_t size);
/* Writes to out why, which may lie in the post, and after it what the server said in an error's
 * body; returns the length of why alone, as ln_channel has it in `own`. */
size_t ln_http_post_quote(const struct ln_http_post *p, const char *why, char out[LN_HTTP_WHY]);

/* --- http_channel_stream.c --- */
/* Opens the listening stream, for which others wait. False: out of memory. */
bool ln_http_channel_listen(struct ln_http_channel *c);
/* Sends the GET of a stream now. */
void ln_http_stream_get(struct ln_http_post *p);
/* The SSE response has begun. */
void ln_http_stream_begin(struct ln_http_post *p);
void ln_http_stream_data(struct ln_http_post *p, struct ln_str data);
/* The stream ended, or its GET came to nothing: err and why of the connection, or the status
 * in p->status. The post goes on or is gone. */
void ln_http_stream_over(struct ln_http_post *p, int err, const char *why);
void ln_http_stream_refused(struct ln_http_post *p);

/* --- sse_channel.c --- */
void ln_sse_open(struct ln_http_channel *c);
/* This response, once it is over, may mean that the server speaks HTTP+SSE. */
bool ln_sse_hint(const struct ln_http_post *p);
/* It is over: true when that is being found out now, and the post waits for it. */
bool ln_sse_detect(struct ln_http_post *p);
void ln_sse_data(struct ln_http_post *p, struct ln_str data);
/* The stream ended or never began. */
void ln_sse_lost(struct ln_http_post *p, int err, const char *why);

#endif
