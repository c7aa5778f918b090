/* The sessions of an HTTP front by their ids, which it makes. It counts each once; an entry is
 * freed when its session ends. */
#ifndef LN_PROXY_HTTP_SESSION_TABLE_H
#define LN_PROXY_HTTP_SESSION_TABLE_H

#include "net/seal.h"
#include "proxy/http/client_stream.h"
#include "proxy/http/refusal.h"

struct ln_restore;

enum ln_http_session_kind {
  LN_HTTP_SESSION_STREAMABLE,
  LN_HTTP_SESSION_SSE /* HTTP+SSE: ends with its stream */
};

enum ln_session_table_state {
  LN_SESSION_TABLE_OPEN,
  LN_SESSION_TABLE_DRAINING, /* no more sessions; those there are go on */
  LN_SESSION_TABLE_CLOSING   /* all sessions are ended */
};

/* What the front keeps of a client's session. Freed when the session ends. */
struct ln_http_session {
  struct ln_list link;
  struct ln_session_table *table;
  struct ln_session *session; /* counted */
  struct ln_str id;           /* the whole id */
  enum ln_http_session_kind kind;
  bool restored; /* another process made the id: after its end it must not be restored again */
  struct ln_restore *restore; /* counted: while it is being restored; else NULL */
  struct ln_session_streams streams;
  char id_text[];
};

struct ln_session_table {
  struct ln_host *host;
  struct ln_map by_name;   /* struct ln_http_session, by ln_session_id_name */
  struct ln_list sessions; /* the same */
  struct ln_client_streams streams;
  unsigned char key[LN_SEAL_KEY]; /* of session ids */
  enum ln_session_table_state state;
  /* A session ends: its entry is out of the table and is freed after this. */
  void (*on_end)(void *arg, struct ln_http_session *hs);
  void *on_end_arg;
};

/* Finds the key that session ids are sealed with; where no file can hold it, says so in the log.
 * LN_ESYSTEM: no random numbers. deinit is due in either case. */
int ln_session_table_init(struct ln_session_table *t, struct ln_host *h) LN_CHECK;
void ln_session_table_deinit(struct ln_session_table *t);
/* A session of the request's peer. id: of a session to restore, or absent: a new one, for this
 * initialize request (NULL for HTTP+SSE). NULL with refusal set: shutting down, too many, or no
 * memory. */
struct ln_http_session *ln_session_table_add(struct ln_session_table *t,
                                             const struct ln_http_request *r,
                                             enum ln_http_session_kind kind, struct ln_str id,
                                             const struct ln_msg *init_request,
                                             struct ln_refusal *refusal);
/* NULL: none such, or of the other kind. */
struct ln_http_session *ln_session_table_find(const struct ln_session_table *t, struct ln_str id,
                                              enum ln_http_session_kind kind);
/* Sends keep-alives on listening streams; ends other sessions idle for session_timeout.
 */
void ln_session_table_tick(struct ln_session_table *t, uint64_t now);
/* No more sessions. */
void ln_session_table_drain(struct ln_session_table *t);
/* Ends the listening streams, each in order. */
void ln_session_table_end_listening(struct ln_session_table *t);
/* Ends all sessions. */
void ln_session_table_close(struct ln_session_table *t);

#endif
