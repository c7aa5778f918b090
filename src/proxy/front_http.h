/* Inside the HTTP front: its parts, split by what they do.
 *   front_http.c    paths, sessions, keep-alives, beginning and end
 *   front_gate.c    which requests may come in at all
 *   front_mcp.c     Streamable HTTP at /mcp
 *   front_ticket.c  what a session's id there says
 *   front_revive.c  sessions of a process before this one, whose clients still use them
 *   front_sse.c     HTTP+SSE, the transport of 2024-11-05, at /sse and /messages
 *   front_pipe.c    the way back to the client: one HTTP request, or a stream that outlives it
 *   front_replay.c  what a stream has sent, kept for the case that it got lost
 *
 * Who holds what: the front holds each of its sessions once; a session's entry holds the listening
 * pipe and every POST's pipe that has become a stream; an HTTP request holds its pipe while it is
 * open. */
#ifndef LN_PROXY_FRONT_HTTP_H
#define LN_PROXY_FRONT_HTTP_H

#include "net/seal.h"
#include "proxy/entry/batch.h"
#include "proxy/entry/parse.h"
#include "proxy/front.h"
#include "proxy/front_replay.h"
#include "proxy/front_ticket.h"
#include "transport/http_server.h"
#include "wire/http_host.h"

/* Why a request is turned away. status 0: it is not. */
struct ln_gate {
  int status;
  int code; /* JSON-RPC */
  const char *why;
  const char *headers; /* whole lines, or NULL */
};

/* Who is at work on an open request: its data points at the first member of that. */
struct ln_front_holder {
  void (*drained)(void *holder); /* may be NULL */
  void (*done)(void *holder, struct ln_http_request *r);
};

/* --- the front
 * ---------------------------------------------------------------------------------------------------------
 */

/* Sessions of other processes that have ended in this one, by the names of their tickets: so many,
 * then the oldest is forgotten (and a client that keeps using it would have it again). */
enum { LN_ENDED_MAX = 16384 };
struct ln_ended {
  struct ln_map names;
  char (*ring)[LN_TICKET_NAME]; /* NULL: none yet */
  size_t next;
};

struct ln_front_http {
  struct ln_host *host;
  struct ln_http_server *server;
  struct ln_map by_id;     /* struct ln_front_session */
  struct ln_list sessions; /* the same */
  struct ln_list waiting;  /* pipes of POSTs that have sent nothing yet, the oldest first */
  struct ln_list finished; /* pipes kept after their end, the oldest first */
  size_t replay_bytes;     /* kept of all streams */
  uint32_t epoch; /* in every event id and session id: tells ours from those of another process */
  unsigned char key[LN_SEAL_KEY]; /* of session ids */
  struct ln_ended ended;
  struct ln_timer tick; /* keep-alives, idle sessions, streams to forget */
  struct ln_http_hosts hosts;
  char own_name[256]; /* the machine's */
  char last_host[64]; /* that was served … */
  size_t last_host_n;
  uint64_t last_host_under; /* … by a policy: host->reloads then */
  char why[160];            /* see ln_gate_origin */
  bool draining;
  void (*closed)(void *arg);
  void *closed_arg;
};

/* What the front keeps of a client's session. Gone when the session ends. */
struct ln_front_session {
  struct ln_list link;
  struct ln_front_http *front;
  struct ln_session *session; /* counted */
  struct ln_str id;           /* what the client calls it by */
  bool sse;                   /* HTTP+SSE: it lives as long as its stream */
  bool foreign;               /* another process made it: when it has ended here it stays so */
  struct ln_revival *revival; /* counted: what it must go through first; NULL: nothing */
  struct ln_pipe *get;        /* counted: the listening stream, connected or not */
  struct ln_list streams;     /* pipes of POSTs that became streams, each counted */
  uint32_t next_stream;
  unsigned n_finished; /* of streams */
  char id_text[];
};

/* id: of a session to revive, or absent: a new one, for a client that says hello (NULL for sse).
 * NULL with gate set: shutting down, too many, or no memory. */
struct ln_front_session *ln_front_session_new(struct ln_front_http *f, bool sse, struct ln_str id,
                                              const struct ln_msg *hello, struct ln_gate *gate);
/* NULL: none such, or of the other transport. */
struct ln_front_session *ln_front_session_find(struct ln_front_http *f, struct ln_str id, bool sse);

void ln_front_reply(struct ln_http_request *r, int status, const char *type, const char *headers,
                    struct ln_str body);
void ln_front_refuse(struct ln_front_http *f, struct ln_http_request *r, struct ln_gate g);
void ln_front_reply_fault(struct ln_http_request *r, int status, struct ln_msg_fault *fault);
/* The body of a POST as a message (one reference), or its fault was answered and it is NULL. */
struct ln_msg *ln_front_message(struct ln_front_http *f, struct ln_http_request *r,
                                struct ln_str text);
/* The body without white space around. */
struct ln_str ln_front_body(const struct ln_http_request *r);
/* The headers, when the policy may ask for them (one reference), or NULL. */
struct ln_bytes *ln_front_headers(struct ln_front_http *f, const struct ln_http_request *r);

/* --- front_gate.c
 * ------------------------------------------------------------------------------------------------------
 */

/* Once f->server listens: by what hosts it goes. */
void ln_gate_init(struct ln_front_http *f);
/* Origin and Host (DNS rebinding): what browsers send from elsewhere is refused. Why is in words
 * that hold until the next call. */
struct ln_gate ln_gate_origin(struct ln_front_http *f, const struct ln_http_head *head);
/* Whether a POST would rather be answered by a stream than by plain JSON, going by Accept (its
 * first line). */
bool ln_gate_wants_stream(const struct ln_http_head *head);
/* Method and, for POST, Content-Type and Accept. */
struct ln_gate ln_gate_mcp(const struct ln_http_head *head);
/* The same for /sse and for /messages. */
struct ln_gate ln_gate_sse(const struct ln_http_head *head);
struct ln_gate ln_gate_messages(const struct ln_http_head *head);
/* MCP-Protocol-Version, when there is one. */
struct ln_gate ln_gate_version(const struct ln_http_head *head);
/* Mcp-Method and Mcp-Name, when there, say what the message says. */
struct ln_gate ln_gate_routing(const struct ln_http_head *head, const struct ln_msg *msg);
/* A request has an id of its own: with that of one under way its answer could not be told from the
 * other's. */
struct ln_gate ln_gate_id(struct ln_session *s, const struct ln_msg *msg);

/* --- front_pipe.c
 * ------------------------------------------------------------------------------------------------------
 */

enum ln_pipe_kind {
  LN_PIPE_POST, /* waits for a response; becomes a stream when something else comes first */
  LN_PIPE_GET,  /* the listening stream of a session */
  LN_PIPE_SSE   /* the one stream of an HTTP+SSE session: nothing of it is kept */
};

struct ln_pipe {
  const struct ln_front_holder *holder; /* while it has a request */
  struct ln_sink sink;
  struct ln_list link; /* in front->waiting, then in the session's streams */
  struct ln_list old;  /* in front->finished */
  struct ln_front_http *front;
  struct ln_session *session;      /* counted */
  struct ln_http_request *request; /* NULL: no connection now */
  enum ln_pipe_kind kind;
  uint32_t number; /* of the stream; 0: the listening one, or none yet */
  bool streaming;  /* an SSE reply has begun on the request */
  bool began;      /* it is a stream, with or without a connection */
  bool eager;      /* the client would rather have a stream, whatever comes first */
  bool hello;      /* answers initialize: names the session */
  bool clogged;    /* the session was told so */
  bool finished;   /* nothing more will be sent */
  bool asks;       /* request_id is what it answers: in the ids of its events */
  uint64_t request_id;
  uint64_t since; /* loop time of its beginning, then of its end */
  struct ln_replay replay;
};

/* One reference, the request's. NULL: out of memory. */
struct ln_pipe *ln_pipe_new(struct ln_front_session *fs, struct ln_http_request *r,
                            enum ln_pipe_kind kind);
/* The request that it answers: told in the ids of its events if it is a number. */
void ln_pipe_answers(struct ln_pipe *p, struct ln_str request_id);
/* Begins the SSE reply, with an event that has an id and no data where the client knows such. */
int ln_pipe_begin(struct ln_pipe *p) LN_CHECK;
/* Whether it does. */
bool ln_pipe_primes(const struct ln_session *s);
/* The stream goes on with another request. One that it may still have ends: the client knows better
 * that the connection is lost. */
void ln_pipe_attach(struct ln_pipe *p, struct ln_http_request *r);
/* The same, begun; it hears all after that number. */
void ln_pipe_resume(struct ln_pipe *p, struct ln_http_request *r, uint64_t after);
/* The stream of this number, or NULL: never begun, or forgotten. */
struct ln_pipe *ln_pipe_find(const struct ln_front_session *fs, uint32_t number);
/* The client is told to come back after that time, and its connection is given up meanwhile; where
 * it can't be told (an older version, another kind of sink) nothing happens. */
void ln_pipe_part(struct ln_sink *s, uint64_t retry_ms);
/* A sign of life, where nothing else is under way. */
void ln_pipe_comment(struct ln_pipe *p);
/* Ends the connection in order, if there is one. */
void ln_pipe_hang_up(struct ln_pipe *p);
/* The session's entry lets go of a stream that it holds. */
void ln_pipe_forget(struct ln_front_session *fs, struct ln_pipe *p);
/* Forgets what ended long ago; starts streams for those who have waited long. */
void ln_pipe_tick(struct ln_front_http *f, uint64_t now, uint64_t patience_ms);

/* --- front_revive.c
 * ------------------------------------------------------------------------------------------------------
 */

/* gate's status for a request that waits: it is served later. */
enum { LN_GATE_LATER = -1 };

/* Finds the key that session ids are sealed with; where no file can hold it, says so in the log. */
int ln_front_revive_init(struct ln_front_http *f) LN_CHECK;
void ln_front_revive_deinit(struct ln_front_http *f);
/* A request for a session that is not there (fs NULL) or not ready. With an id that another process
 * gave, the session comes to life again under it: the client's own initialize is repeated, and who
 * asks for the session meanwhile waits. gate is set to that, or to why not: an id that says nothing
 * and one of a session that ended are told the same. */
void ln_front_revive(struct ln_front_http *f, struct ln_http_request *r, struct ln_str id,
                     struct ln_front_session *fs, struct ln_gate *gate);
/* The session of this id, which is not there, won't ever be. False: it could not have been. */
bool ln_front_revive_never(struct ln_front_http *f, struct ln_str id);
/* The session ends: whoever waits for it is told, and it stays ended. */
void ln_front_revive_ended(struct ln_front_session *fs);

/* --- the endpoints
 * ------------------------------------------------------------------------------------------------------
 */

void ln_front_mcp(struct ln_front_http *f, struct ln_http_request *r);
void ln_front_sse(struct ln_front_http *f, struct ln_http_request *r);
void ln_front_messages(struct ln_front_http *f, struct ln_http_request *r);

#endif
