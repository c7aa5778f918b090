/* Sinks of the HTTP front: messages to the client as the answer to an HTTP request. A POST is
 * answered with plain JSON if the response is the first message and Accept doesn't prefer a stream;
 * any other message makes it a stream of server-sent events, which may outlive the HTTP request. */
#ifndef LN_PROXY_HTTP_CLIENT_STREAM_H
#define LN_PROXY_HTTP_CLIENT_STREAM_H

#include "proxy/client/session.h"
#include "proxy/http/holder.h"
#include "proxy/http/replay.h"

/* All streams of a front. */
struct ln_client_streams {
  struct ln_loop *loop;
  struct ln_list waiting;  /* of POSTs that have sent nothing yet, the oldest first */
  struct ln_list finished; /* ended ones that are kept, the oldest first */
  size_t replay_bytes;     /* kept of all of them */
  uint32_t epoch;          /* a random number of this process, in every event id and session id */
};

/* The streams of one session. Freed when it ends: valid while session->front is set. */
struct ln_session_streams {
  struct ln_client_streams *all;
  struct ln_session *session;
  struct ln_str session_id; /* sent with the answer to initialize */
  /* GET's, or the only one of an HTTP+SSE session: counted, also while it has no connection; NULL:
   * the client hasn't opened it yet. */
  struct ln_client_stream *listening;
  struct ln_list posts; /* of POSTs that became streams, each counted */
  uint32_t last_number; /* of those */
  unsigned n_finished;
};

enum ln_client_stream_kind {
  LN_CLIENT_STREAM_POST, /* waits for a response */
  LN_CLIENT_STREAM_GET,  /* the listening stream of a session */
  LN_CLIENT_STREAM_SSE   /* the one stream of an HTTP+SSE session: its events are not kept */
};

struct ln_client_stream {
  const struct ln_http_holder *holder; /* while it has a request; first, see holder.h */
  struct ln_sink sink;
  struct ln_list link;          /* in all->waiting, then in its session's posts */
  struct ln_list finished_link; /* in all->finished */
  struct ln_client_streams *all;
  struct ln_session_streams *of;   /* valid while session->front is set */
  struct ln_session *session;      /* counted */
  struct ln_http_request *request; /* NULL: no connection now */
  enum ln_client_stream_kind kind;
  uint32_t number;     /* 0: the listening one, or none yet */
  bool streaming;      /* an SSE response has begun on the request */
  bool is_stream;      /* an SSE response has begun on this or an earlier one */
  bool prefers_stream; /* Accept prefers a stream to JSON */
  bool init_request;   /* answers initialize: has the Mcp-Session-Id header */
  bool full;           /* the outbox was told by LN_EFULL */
  bool finished;       /* nothing more will be sent */
  bool has_request_id; /* request_id, of the request that it answers, is set */
  uint64_t request_id;
  uint64_t since; /* loop time of its beginning, then of its end */
  struct ln_replay replay;
};

void ln_client_stream_init_all(struct ln_client_streams *all, struct ln_loop *loop, uint32_t epoch);
/* Drops streams that ended long ago; makes streams of POSTs that have waited that long. */
void ln_client_stream_tick_all(struct ln_client_streams *all, uint64_t now, uint64_t patience_ms);

void ln_client_stream_init_session(struct ln_session_streams *of, struct ln_client_streams *all,
                                   struct ln_session *session, struct ln_str session_id);
/* The session has ended: ends and drops its streams. */
void ln_client_stream_end_session(struct ln_session_streams *of);
/* The stream of this number, or NULL: it never began, or was dropped. */
struct ln_client_stream *ln_client_stream_find(const struct ln_session_streams *of,
                                               uint32_t number);

/* One reference, the request's. NULL: out of memory. */
struct ln_client_stream *ln_client_stream_new(struct ln_session_streams *of,
                                              struct ln_http_request *r,
                                              enum ln_client_stream_kind kind);
/* Makes it the session's listening stream, counted there. */
void ln_client_stream_listen(struct ln_client_stream *st);
/* Sets the id of the request that it answers; only numbers are kept. */
void ln_client_stream_set_request_id(struct ln_client_stream *st, struct ln_str request_id);
/* Begins the SSE response; since 2025-11-25 with an event that has an id and no data. */
int ln_client_stream_begin(struct ln_client_stream *st) LN_CHECK;
/* Continues the stream on another HTTP request. The one that it has, if any, ends: the client has
 * lost that connection. */
void ln_client_stream_attach(struct ln_client_stream *st, struct ln_http_request *r);
/* The same, and sends all kept events after that number. */
void ln_client_stream_resume(struct ln_client_stream *st, struct ln_http_request *r,
                             uint64_t after);
/* Tells the client to reconnect after that time (SSE retry) and ends the connection. Does nothing
 * where that isn't possible: an older version, another kind of sink. */
void ln_client_stream_disconnect(struct ln_sink *s, uint64_t retry_ms);
/* Sends an SSE comment, if the stream has a connection. */
void ln_client_stream_keep_alive(struct ln_client_stream *st);
/* Ends the response in order, if there is one. */
void ln_client_stream_end_response(struct ln_client_stream *st);

#endif
