/* What links with servers tell (server/events.h), handed to whoever deals with it. Here to find
 * where a thing that happens at a server is taken up. */
#ifndef LN_PROXY_ROUTE_LINK_EVENTS_H
#define LN_PROXY_ROUTE_LINK_EVENTS_H

#include "proxy/server/events.h"

extern const struct ln_link_events ln_link_events;

#endif
