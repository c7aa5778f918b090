/* What servers' sessions tell the rooms above: one table, set with the host. A link knows no
 * clients, lists or rules; its owner is a pointer that it never follows. */
#ifndef LN_PROXY_SERVER_EVENTS_H
#define LN_PROXY_SERVER_EVENTS_H

#include "rpc/reply.h"

struct ln_call;
struct ln_exchange;
struct ln_link;
struct ln_server;

struct ln_link_events {
  /* --- its beginning --- */

  /* The initialize request for a new link. One reference; NULL: out of memory. */
  struct ln_msg *(*init_request)(struct ln_link *link);
  /* initialize was answered (link->init_reply), and what waits for the link is about to be told.
   * *client_ready: notifications/initialized may go out at once. LN_ENOMEM: the link can't be used.
   */
  int (*initialized)(struct ln_link *link, bool *client_ready);
  /* notifications/initialized has gone out: what the server must know of its client (log level,
   * subscriptions) may follow. */
  void (*opened)(struct ln_link *link);
  /* It is ready, and follows one that had ended by itself. */
  void (*reopened)(struct ln_link *link);

  /* --- what the server says --- */

  /* Bytes from its channel, as ln_channel_events.message has them (takes the reference):
   * ln_receive.
   */
  void (*received)(struct ln_link *link, struct ln_bytes *bytes, uint64_t related);
  /* A message was dropped: too long to be taken, or no memory for it: ln_receive_dropped. */
  void (*dropped)(struct ln_link *link, const char *why);
  /* A request or notification (borrowed); call: the one on whose stream it came, or NULL. */
  void (*message)(struct ln_link *link, struct ln_msg *msg, struct ln_call *call);
  /* The reply to a call made for an exchange (takes the reference): the call is out of all tables,
   * but lives until this returns. Its reply function is the callee's to call. */
  void (*replied)(struct ln_call *call, struct ln_msg *reply);
  /* Nobody waits for the call any more, but the server must not be told so as usual: what takes its
   * reply (with the call's table as its argument), or NULL: it is to be told. */
  ln_reply_fn (*abandoned)(const struct ln_call *call);
  /* A call made for this exchange is freed: its reference goes. */
  void (*release)(struct ln_exchange *x);
  /* The server ended the stream of the call on purpose, to be asked for the rest after that time.
   */
  void (*parted)(struct ln_call *call, uint64_t retry_ms);

  /* --- how it goes --- */

  /* The server doesn't keep up with what is sent to it; or does again, or has gone. */
  void (*stalled)(struct ln_link *link, bool stalled);
  /* The server has forgotten the session before it did anything for this call. True: the call went
   * to another link. */
  bool (*forgotten)(struct ln_link *link, struct ln_call *call);

  /* --- its end --- */

  /* It is about to end, not because we wanted it. Its owner is still there. */
  void (*lost)(struct ln_link *link);
  /* Nothing new may come to it; its owner is taken away after this. */
  void (*detached)(struct ln_link *link);
  /* All its calls have been answered with why: whatever else the server had under way ends. */
  void (*ended)(struct ln_link *link);
  /* It is freed after this. */
  void (*freed)(struct ln_link *link);
  /* The last that knew the server has gone: what hangs on it goes. */
  void (*server_ends)(struct ln_server *server);
};

#endif
