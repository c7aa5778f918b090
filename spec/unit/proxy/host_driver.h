/* What the files of the played host share; see host_driver.c. */
#ifndef LN_SPEC_HOST_DRIVER_H
#define LN_SPEC_HOST_DRIVER_H

#include "base/list.h"
#include "base/log.h"
#include "net/loop.h"
#include "proxy/client/session.h"
#include "proxy/exchange/exchange.h"
#include "proxy/lists/fetch.h"
#include "transport/channel.h"

struct pl_event {
  struct ln_list link;
  const char
      *kind;   /* "open" and "gone" of a channel, "server" and "client" for what is said to it */
  uint64_t id; /* the channel's number, or the session's key */
  struct ln_bytes *text;
};

struct player {
  struct ln_channel channel;
  struct ln_list link; /* in rig->players until closed */
  struct pl *rig;
  uint64_t id;
  struct ln_task task;
  struct ln_list lines; /* struct pl_event: said, not yet heard */
  bool told, closing, lost;
};

struct client {
  struct ln_sink sink;
  struct ln_list link;
  struct pl *rig;
  struct ln_session *session; /* counted */
};

struct pl_answer {
  bool there;
  struct ln_view *view; /* counted, as is what follows */
  struct ln_listing *listing;
  struct ln_msg *msg;    /* a reply, a refusal, or a message as the client is to see it */
  struct ln_exchange *x; /* what it was asked for, under way until the answer is dropped */
  bool found, differs;
  char why[512];
  bool dropped;              /* nothing is kept any more */
  struct ln_fetch_wait list; /* pl_listing's; not known in host.lua */
};

struct pl {
  struct ln_loop *loop;
  struct ln_log log;
  int log_fd;
  struct ln_host host;
  struct ln_list players, clients, events;
  struct pl_event current; /* the one taken last */
  struct pl_answer *answers[4096];
  int n_answers;
  uint64_t last_player;
  struct ln_task stop;
  struct ln_timer timer;
  bool closing;
};

/* At the end of events. Takes the text's reference. */
void pl_push(struct ln_list *list, const char *kind, uint64_t id, struct ln_bytes *text);

#endif
