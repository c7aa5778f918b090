/* Tasks of 2025-11-25 (basic/utilities/tasks): a request with params.task is answered with a task,
 * which runs at a server for a client, or at a client for a server. The table of a session has, for
 * each of its tasks, the server, the ids, and the progress token, which stays valid after the
 * response.
 *
 * With one server ids are not changed, and requests for unknown ids go to that server, unless
 * another client's session began that task there, or may have: once the task of any session has
 * left the table, only those that were restored after a restart may ask for what is not in it. With
 * several servers clients see a server's id with "NAME:" before it. Of a shared link, clients can
 * use only their own tasks. Clients' ids are never changed: only the server that made the request
 * may use them. */
#ifndef LN_PROXY_NAMES_TASK_H
#define LN_PROXY_NAMES_TASK_H

#include "proxy/exchange/exchange.h"

struct ln_task_entry {
  struct ln_list in_session;    /* in session->tasks */
  struct ln_list in_link;       /* in link->tasks */
  struct ln_session *session;   /* not counted: freed when it ends */
  struct ln_server *server;     /* counted */
  struct ln_link *link;         /* the one it was made in; NULL: closed */
  bool of_client;               /* it runs at the client, for the server */
  bool over;                    /* completed, failed or cancelled: no more progress */
  struct ln_bytes *id;          /* as the side says at which it runs, unescaped */
  struct ln_bytes *shown;       /* the id for the other side; may be the same block */
  int64_t token;                /* our progress token for it; 0: none */
  struct ln_bytes *asked_token; /* the progress token of the request, raw; NULL: none */
  double progress;              /* the last that was passed on */
  struct ln_timer expiry;
};

/* A server's reply to a call: puts a new task into the table, and takes over what the reply says of
 * a known one. To be called before the reply is rewritten. */
void ln_task_server_replied(struct ln_call *call, const struct ln_msg *reply);
/* The same for a client's reply to a server's request; token: our progress token of it.
 */
void ln_task_client_replied(struct ln_exchange *x, int64_t token, const struct ln_msg *reply);
/* Takes over a notifications/tasks/status of either side. */
void ln_task_note_status(struct ln_task_entry *t, const struct ln_msg *msg);
/* The task with this unescaped id, or NULL: the id for the side that made the request … */
struct ln_task_entry *ln_task_by_shown(const struct ln_session *s, bool of_client,
                                       struct ln_str shown);
/* … or the server's own id. s: NULL: any session (of a shared link). */
struct ln_task_entry *ln_task_by_native(const struct ln_session *s, const struct ln_server *server,
                                        struct ln_str id);
/* The task that a server's message says in its _meta that it is related to, or NULL. */
struct ln_task_entry *ln_task_related(const struct ln_link *link, const struct ln_msg *msg);
/* The task with this progress token of ours, or NULL. */
struct ln_task_entry *ln_task_by_token(const struct ln_list *tasks_of_link, int64_t token);
/* The client's id for a server's task, unescaped, one reference. NULL: out of memory. */
struct ln_bytes *ln_task_name(const struct ln_session *s, const struct ln_server *server,
                              struct ln_str id);
/* For an id that the table doesn't have: the server that it names, and the server's own id in *id.
 * NULL: none. */
struct ln_server *ln_task_owner(const struct ln_session *s, struct ln_str shown, struct ln_str *id);
/* In mode "request" a task keeps its link until its result is fetched, it is cancelled, or its ttl
 * is over. When the client has as many such links as it may, closes one whose task is over; false:
 * there is none. */
bool ln_task_make_room(struct ln_session *s, const struct ln_server *server);
/* For ln_link_events.abandoned: a call that asks for a task is ended by tasks/cancel and not by
 * notifications/cancelled, once the task's id is known. */
ln_reply_fn ln_task_abandoned(const struct ln_call *call);
/* The session, or the link, ends. */
void ln_task_session_ends(struct ln_session *s);
void ln_task_link_ends(struct ln_link *link);
void ln_task_free(struct ln_task_entry *t);

#endif
