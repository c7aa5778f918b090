/* The sessions of an HTTP front by their ids, which it makes. It holds each once; who has one of
 * the entries has it until its session ends. */
#ifndef LN_PROXY_HTTP_SESSION_TABLE_H
#define LN_PROXY_HTTP_SESSION_TABLE_H

#include "net/seal.h"
#include "proxy/http/refusal.h"
#include "proxy/http/stream.h"

struct ln_restore;

enum ln_http_session_kind {
  LN_HTTP_SESSION_STREAMABLE,
  LN_HTTP_SESSION_SSE /* HTTP+SSE: it lives as long as its stream */
};

enum ln_session_table_state {
  LN_SESSION_TABLE_OPEN,
  LN_SESSION_TABLE_DRAINING, /* no more sessions; those there are served */
  LN_SESSION_TABLE_CLOSING   /* those there end */
};

/* What the front keeps of a client's session. Gone when the session ends. */
struct ln_http_session {
  struct ln_list link;
  struct ln_session_table *table;
  struct ln_session *session; /* counted */
  struct ln_str id;           /* what the client calls it by */
  enum ln_http_session_kind kind;
  bool restored; /* another process gave the id: ended here, it is not restored again */
  struct ln_restore *restore; /* counted: what it must go through first; NULL: nothing */
  struct ln_session_streams streams;
  char id_text[];
};

struct ln_session_table {
  struct ln_host *host;
  struct ln_map by_id;     /* struct ln_http_session */
  struct ln_list sessions; /* the same */
  struct ln_front_streams streams;
  unsigned char key[LN_SEAL_KEY]; /* of session ids */
  enum ln_session_table_state state;
  /* A session is about to go: called while its entry is whole, but can't be found any more. */
  void (*on_end)(void *arg, struct ln_http_session *hs);
  void *on_end_arg;
};

/* Finds the key that session ids are sealed with; where no file can hold it, says so in the log.
 * LN_ESYSTEM: no random numbers. deinit is due in either case. */
int ln_session_table_init(struct ln_session_table *t, struct ln_host *h) LN_CHECK;
void ln_session_table_deinit(struct ln_session_table *t);
/* id: of a session to restore, or absent: a new one, for this initialize request (NULL for
 * HTTP+SSE). NULL with refusal set: shutting down, too many, or no memory. */
struct ln_http_session *ln_session_table_add(struct ln_session_table *t,
                                             enum ln_http_session_kind kind, struct ln_str id,
                                             const struct ln_msg *init_request,
                                             struct ln_refusal *refusal);
/* NULL: none such, or of the other kind. */
struct ln_http_session *ln_session_table_find(const struct ln_session_table *t, struct ln_str id,
                                              enum ln_http_session_kind kind);
/* Signs of life to those who listen; of the other sessions those that do nothing are ended after
 * their time. */
void ln_session_table_tick(struct ln_session_table *t, uint64_t now);
/* No more sessions. */
void ln_session_table_drain(struct ln_session_table *t);
/* Ends the streams that clients listen on, in order. */
void ln_session_table_end_listening(struct ln_session_table *t);
/* Ends all sessions. */
void ln_session_table_close(struct ln_session_table *t);

#endif
