/* What the files of a link share: link.c and link_init.c. */
#ifndef LN_PROXY_SERVER_LINK_IMPL_H
#define LN_PROXY_SERVER_LINK_IMPL_H

#include "proxy/server/link.h"

static inline const struct ln_link_events *ln_link_events_of(const struct ln_link *link) {
  return link->server->host->link_events;
}

/* --- link.c --- */
void ln_link_set_state(struct ln_link *link, enum ln_link_state state);
/* The server has failed in it. why is for the log, told for all clients and for /readyz. */
void ln_link_failed(struct ln_link *link, const char *why, const char *told);
/* It is ready, or (false, with why) won't be. */
void ln_link_tell_watchers(struct ln_link *link, bool ready, const char *why);

/* --- link_init.c --- */
/* It is initialize, so that the link can't be used without an answer to it. */
bool ln_link_is_initialize(const struct ln_link *link, const struct ln_call *call);
/* For ln_calls_events: a call fails; true: it was that one, and the link is closed. */
bool ln_link_call_failing(struct ln_call *call, const char *why);
/* Sends the calls that waited until it is open, which it is then. */
void ln_link_send_waiting(struct ln_link *link);

#endif
