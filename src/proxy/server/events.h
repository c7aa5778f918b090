/* Callbacks of links into the rooms above: one table, set in the host (route/link_events.c). A link
 * knows nothing of clients, lists or rules; its owner is only a handle to it. */
#ifndef LN_PROXY_SERVER_EVENTS_H
#define LN_PROXY_SERVER_EVENTS_H

#include "rpc/reply.h"

struct ln_account;
struct ln_call;
struct ln_exchange;
struct ln_host;
struct ln_link;
struct ln_server;
struct ln_session;

struct ln_link_events {
  /* --- its beginning --- */

  /* Whose its child is (counted; NULL: out of memory), and room for one of a payer's where there is
   * none (client/make_room.h). */
  struct ln_account *(*payer)(struct ln_host *h, struct ln_session *owner);
  bool (*make_room)(struct ln_host *h, struct ln_server *server, struct ln_account *payer,
                    size_t max);
  /* The initialize request for a new link. One reference; NULL: out of memory. */
  struct ln_msg *(*init_request)(struct ln_link *link);
  /* initialize was answered (link->init_reply); watchers are told after this. *client_ready:
   * notifications/initialized may be sent at once. LN_ENOMEM: the link is closed. */
  int (*initialized)(struct ln_link *link, bool *client_ready);
  /* notifications/initialized was sent: the client's log level and subscriptions may follow. */
  void (*opened)(struct ln_link *link);
  /* It is ready, and the link before it was lost. */
  void (*reopened)(struct ln_link *link);

  /* For the first time something of the client's is about to be sent that may change what the
   * server lists for it (ln_link_use_now). */
  void (*used)(struct ln_link *link);

  /* --- messages from the server --- */

  /* Bytes from its channel, as ln_channel_events.message has them (takes the reference):
   * ln_receive.
   */
  void (*received)(struct ln_link *link, struct ln_bytes *bytes, uint64_t related);
  /* A message was dropped: too long to be taken, or no memory for it: ln_receive_dropped. */
  void (*dropped)(struct ln_link *link, const char *why);
  /* A request or notification (borrowed); call: the one on whose stream it came, or NULL. */
  void (*message)(struct ln_link *link, struct ln_msg *msg, struct ln_call *call);
  /* The reply to a call made for an exchange (takes the reference). The callee calls the call's
   * reply function; the call is freed after this. */
  void (*replied)(struct ln_call *call, struct ln_msg *reply);
  /* Nobody waits for the call any more. NULL: the server gets notifications/cancelled. Else it must
   * not (a task is ended by tasks/cancel), and this function takes the reply, with the call's table
   * as its argument. */
  ln_reply_fn (*abandoned)(const struct ln_call *call);
  /* A call made for this exchange is freed: release its reference. */
  void (*release)(struct ln_exchange *x);
  /* The server closed the call's stream and wants it resumed after that time. */
  void (*disconnected)(struct ln_call *call, uint64_t retry_ms);

  /* --- its state --- */

  /* Whether it has to stay though nothing is under way: somebody listens to what it may say. */
  bool (*needed)(const struct ln_link *link);
  /* The server doesn't keep up with what is sent to it, or (false) does again or has gone. */
  void (*stalled)(struct ln_link *link, bool stalled);
  /* The server answered this call with 404: it has lost the session and did nothing for the call.
   * True: the call was moved to another link. */
  bool (*forgotten)(struct ln_link *link, struct ln_call *call);

  /* --- its end --- */

  /* It is about to end, and we didn't close it. It has its owner still. */
  void (*lost)(struct ln_link *link);
  /* Instead of `lost`: we end it, as there is nothing to do. What it listed holds until the next.
   */
  void (*asleep)(struct ln_link *link);
  /* No new calls may be made in it. It loses its owner after this. */
  void (*detached)(struct ln_link *link);
  /* All its calls have been answered: the server's own requests and tasks end, too. */
  void (*ended)(struct ln_link *link);
  /* It is about to be freed. */
  void (*freed)(struct ln_link *link);
  /* The server is about to be freed: free what rooms above keep for it. */
  void (*server_ends)(struct ln_server *server);
};

#endif
