/* The ways back to a client of the HTTP front: one HTTP request, or a stream that outlives it. A
 * POST is answered by plain JSON when its response comes first and the client likes that as well as
 * a stream, and becomes a stream as soon as anything else comes. */
#ifndef LN_PROXY_HTTP_STREAM_H
#define LN_PROXY_HTTP_STREAM_H

#include "proxy/client/session.h"
#include "proxy/http/holder.h"
#include "proxy/http/replay.h"

/* All streams of a front. */
struct ln_front_streams {
  struct ln_loop *loop;
  struct ln_list waiting;  /* those of POSTs that have sent nothing yet, the oldest first */
  struct ln_list finished; /* those kept after their end, the oldest first */
  size_t replay_bytes;     /* kept of all of them */
  uint32_t epoch; /* in every event id and session id: tells ours from those of another process */
};

/* The streams of one session, while it lasts: then session->front is set. */
struct ln_session_streams {
  struct ln_front_streams *all;
  struct ln_session *session;
  struct ln_str session_id; /* told to the client with the answer to initialize */
  /* GET's, or the only one of an HTTP+SSE session: counted, with a connection or without; NULL: not
   * yet asked for. */
  struct ln_front_stream *listening;
  struct ln_list posts; /* those of POSTs that became streams, each counted */
  uint32_t last_number; /* of those */
  unsigned n_finished;
};

enum ln_front_stream_kind {
  LN_FRONT_STREAM_POST, /* waits for a response */
  LN_FRONT_STREAM_GET,  /* the listening stream of a session */
  LN_FRONT_STREAM_SSE   /* the one stream of an HTTP+SSE session: nothing of it is kept */
};

struct ln_front_stream {
  const struct ln_http_holder *holder; /* while it has a request; first, see holder.h */
  struct ln_sink sink;
  struct ln_list link;          /* in all->waiting, then in its session's posts */
  struct ln_list finished_link; /* in all->finished */
  struct ln_front_streams *all;
  struct ln_session_streams *of;   /* valid while session->front is set */
  struct ln_session *session;      /* counted */
  struct ln_http_request *request; /* NULL: no connection now */
  enum ln_front_stream_kind kind;
  uint32_t number;     /* 0: the listening one, or none yet */
  bool streaming;      /* an SSE response has begun on the request */
  bool is_stream;      /* an SSE response has begun on this or an earlier one */
  bool prefers_stream; /* the client would rather have a stream, whatever comes first */
  bool init_request;   /* answers initialize: tells the session's id */
  bool full;           /* the session was told so */
  bool finished;       /* nothing more will be sent */
  bool has_request_id; /* request_id is what it answers: in the ids of its events */
  uint64_t request_id;
  uint64_t since; /* loop time of its beginning, then of its end */
  struct ln_replay replay;
};

void ln_front_stream_init_all(struct ln_front_streams *all, struct ln_loop *loop, uint32_t epoch);
/* Forgets what ended long ago; starts streams for those who have waited that long. */
void ln_front_stream_tick_all(struct ln_front_streams *all, uint64_t now, uint64_t patience_ms);

void ln_front_stream_init_session(struct ln_session_streams *of, struct ln_front_streams *all,
                                  struct ln_session *session, struct ln_str session_id);
/* The session has ended: so do its streams, and nobody can come back for them. */
void ln_front_stream_end_session(struct ln_session_streams *of);
/* The stream of this number, or NULL: never begun, or forgotten. */
struct ln_front_stream *ln_front_stream_find(const struct ln_session_streams *of, uint32_t number);

/* One reference, the request's. NULL: out of memory. */
struct ln_front_stream *ln_front_stream_new(struct ln_session_streams *of,
                                            struct ln_http_request *r,
                                            enum ln_front_stream_kind kind);
/* It is the session's listening stream from here on, which counts it. */
void ln_front_stream_listen(struct ln_front_stream *st);
/* The request that it answers: told in the ids of its events if it is a number. */
void ln_front_stream_set_request_id(struct ln_front_stream *st, struct ln_str request_id);
/* Begins the SSE response, where the client knows such with an event that has an id and no data. */
int ln_front_stream_begin(struct ln_front_stream *st) LN_CHECK;
/* The stream goes on with another request. One that it may still have ends: the client knows better
 * that the connection is lost. */
void ln_front_stream_attach(struct ln_front_stream *st, struct ln_http_request *r);
/* The same, begun; the client gets all events after that number. */
void ln_front_stream_resume(struct ln_front_stream *st, struct ln_http_request *r, uint64_t after);
/* The client is told to come back after that time, and its connection is given up meanwhile; where
 * it can't be told (an older version, another kind of sink) nothing happens. */
void ln_front_stream_disconnect(struct ln_sink *s, uint64_t retry_ms);
/* A comment, where nothing else is under way. */
void ln_front_stream_keep_alive(struct ln_front_stream *st);
/* Ends the response in order, if there is one. */
void ln_front_stream_end_response(struct ln_front_stream *st);

#endif
