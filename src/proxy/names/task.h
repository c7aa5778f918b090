/* Tasks of 2025-11-25: what a request with params.task became after its response, at a server for a
 * client or at a client for a server (basic/utilities/tasks). The table of a session keeps whose
 * each is, under which id, and the progress token, which outlives the response.
 *
 * With one server ids stay what they are and one that the table doesn't know goes to the server.
 * With several a server's id has "NAME:" before it. Of a session that many clients share nobody may
 * touch but his own tasks. Clients' ids are never renamed: only the server that asked may use them.
 */
#ifndef LN_PROXY_NAMES_TASK_H
#define LN_PROXY_NAMES_TASK_H

#include "proxy/exchange/exchange.h"

struct ln_task_entry {
  struct ln_list in_session;    /* in session->tasks */
  struct ln_list in_link;       /* in link->tasks */
  struct ln_session *session;   /* not counted: its end is ours */
  struct ln_server *server;     /* counted */
  struct ln_link *link;         /* NULL: has gone */
  bool of_client;               /* the client works at it, for the server */
  bool over;                    /* completed, failed or cancelled: no more progress */
  struct ln_bytes *id;          /* its maker's, unescaped */
  struct ln_bytes *shown;       /* the other side's name for it; may be the same block */
  int64_t token;                /* ours in notifications/progress; 0: none */
  struct ln_bytes *asked_token; /* the asker's own, raw; NULL without */
  double progress;              /* the last one told */
  struct ln_timer expiry;
};

/* A server's reply has come to a request: notes the task that it made, and what a reply about a
 * task says of it. Before the reply is rewritten. */
void ln_task_server_replied(struct ln_call *call, const struct ln_msg *reply);
/* A client's reply to a server's request; token: what the request's progress token was to the
 * client. */
void ln_task_client_replied(struct ln_exchange *x, int64_t token, const struct ln_msg *reply);
/* A notifications/tasks/status of either side. */
void ln_task_note_status(struct ln_task_entry *t, const struct ln_msg *msg);
/* Both find by unescaped ids, NULL when nothing is known of it: by the name for the asking side …
 */
struct ln_task_entry *ln_task_by_shown(const struct ln_session *s, bool of_client,
                                       struct ln_str shown);
/* … and a server's by its own. u: whose. s: NULL for any session of a shared one. */
struct ln_task_entry *ln_task_by_native(const struct ln_session *s, const struct ln_server *server,
                                        struct ln_str id);
/* The task that a message of the server is related to by its _meta, or NULL. */
struct ln_task_entry *ln_task_related(const struct ln_link *link, const struct ln_msg *msg);
/* The one whose progress is told under this token of ours. */
struct ln_task_entry *ln_task_by_token(const struct ln_list *tasks_of_link, int64_t token);
/* The client's name for a server's task, unescaped, one reference. NULL: out of memory. */
struct ln_bytes *ln_task_name(const struct ln_session *s, const struct ln_server *server,
                              struct ln_str id);
/* The server that a client's id names, and its own id in *id, when the table doesn't know it. NULL:
 * none. */
struct ln_server *ln_task_owner(const struct ln_session *s, struct ln_str shown, struct ln_str *id);
/* In mode "request" a task keeps the session that it was made in until its result is fetched, it is
 * called off or its time is over. False: the client has as many of those as it may; of tasks that
 * are over the first makes room. */
bool ln_task_make_room(struct ln_session *s, const struct ln_server *server);
/* What becomes of a call that nobody waits for any more (ln_link_events.abandoned): one that the
 * server makes a task of is called off by tasks/cancel alone, once its id is known. */
ln_reply_fn ln_task_abandoned(const struct ln_call *call);
/* The session, or the session with the server, is over. */
void ln_task_session_ends(struct ln_session *s);
void ln_task_link_ends(struct ln_link *link);
void ln_task_free(struct ln_task_entry *t);

#endif
