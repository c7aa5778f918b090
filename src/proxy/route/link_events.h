/* The table of callbacks of links with servers (server/events.h): which function handles what. */
#ifndef LN_PROXY_ROUTE_LINK_EVENTS_H
#define LN_PROXY_ROUTE_LINK_EVENTS_H

#include "proxy/server/events.h"

extern const struct ln_link_events ln_link_events;

#endif
