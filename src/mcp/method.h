/* Every method of MCP's session era (2024-11-05 to 2025-11-25), a row each: who may send it, how
 * it is routed and which kind of component it is about. A new method is a row here; where in its
 * params the component is named, subject.c says. */
#ifndef LN_MCP_METHOD_H
#define LN_MCP_METHOD_H

#include "base/base.h"
#include "json/json.h"
#include "mcp/kind.h"

/* What becomes of a message (proxy/route/). */
enum ln_route {
  LN_ROUTE_OTHER, /* not in the table */
  LN_ROUTE_INITIALIZE,
  LN_ROUTE_INITIALIZED,
  LN_ROUTE_PING,
  LN_ROUTE_LIST,      /* answered from the view of a kind */
  LN_ROUTE_USE,       /* one component of a kind: goes to its server or handler */
  LN_ROUTE_SUBSCRIBE, /* by URI */
  LN_ROUTE_COMPLETE,  /* by params.ref */
  LN_ROUTE_SET_LEVEL, /* to every server that logs */
  LN_ROUTE_CANCELLED,
  LN_ROUTE_PROGRESS,
  LN_ROUTE_BROADCAST, /* a client's notification for all its servers */
  LN_ROUTE_ASK,       /* a server's request to the client */
  LN_ROUTE_LIST_CHANGED,
  LN_ROUTE_RELAY,    /* a server's notification to the client, related or not */
  LN_ROUTE_UPDATED,  /* a resource: to the clients that have subscribed */
  LN_ROUTE_ELICITED, /* to the client that was asked */
  LN_ROUTE_TASK,     /* about one task, to the side where it runs */
  LN_ROUTE_TASK_LIST,
  LN_ROUTE_TASK_STATUS, /* from the side where it runs */
};

enum { LN_FROM_CLIENT = 1, LN_FROM_SERVER = 2 };

/* LN_KINDS stands for "no kind". */
#define LN_METHODS(X)                                                                              \
  X("tools/call", LN_FROM_CLIENT, LN_ROUTE_USE, LN_KIND_TOOL)                                      \
  X("notifications/progress", LN_FROM_CLIENT | LN_FROM_SERVER, LN_ROUTE_PROGRESS, LN_KINDS)        \
  X("notifications/message", LN_FROM_SERVER, LN_ROUTE_RELAY, LN_KINDS)                             \
  X("resources/read", LN_FROM_CLIENT, LN_ROUTE_USE, LN_KIND_RESOURCE)                              \
  X("prompts/get", LN_FROM_CLIENT, LN_ROUTE_USE, LN_KIND_PROMPT)                                   \
  X("tools/list", LN_FROM_CLIENT, LN_ROUTE_LIST, LN_KIND_TOOL)                                     \
  X("resources/list", LN_FROM_CLIENT, LN_ROUTE_LIST, LN_KIND_RESOURCE)                             \
  X("resources/templates/list", LN_FROM_CLIENT, LN_ROUTE_LIST, LN_KIND_TEMPLATE)                   \
  X("prompts/list", LN_FROM_CLIENT, LN_ROUTE_LIST, LN_KIND_PROMPT)                                 \
  X("resources/subscribe", LN_FROM_CLIENT, LN_ROUTE_SUBSCRIBE, LN_KIND_RESOURCE)                   \
  X("resources/unsubscribe", LN_FROM_CLIENT, LN_ROUTE_SUBSCRIBE, LN_KIND_RESOURCE)                 \
  X("completion/complete", LN_FROM_CLIENT, LN_ROUTE_COMPLETE, LN_KINDS)                            \
  X("logging/setLevel", LN_FROM_CLIENT, LN_ROUTE_SET_LEVEL, LN_KINDS)                              \
  X("initialize", LN_FROM_CLIENT, LN_ROUTE_INITIALIZE, LN_KINDS)                                   \
  X("notifications/initialized", LN_FROM_CLIENT, LN_ROUTE_INITIALIZED, LN_KINDS)                   \
  X("ping", LN_FROM_CLIENT | LN_FROM_SERVER, LN_ROUTE_PING, LN_KINDS)                              \
  X("notifications/cancelled", LN_FROM_CLIENT | LN_FROM_SERVER, LN_ROUTE_CANCELLED, LN_KINDS)      \
  X("notifications/roots/list_changed", LN_FROM_CLIENT, LN_ROUTE_BROADCAST, LN_KINDS)              \
  X("notifications/tools/list_changed", LN_FROM_SERVER, LN_ROUTE_LIST_CHANGED, LN_KIND_TOOL)       \
  X("notifications/resources/list_changed", LN_FROM_SERVER, LN_ROUTE_LIST_CHANGED,                 \
    LN_KIND_RESOURCE)                                                                              \
  X("notifications/prompts/list_changed", LN_FROM_SERVER, LN_ROUTE_LIST_CHANGED, LN_KIND_PROMPT)   \
  X("notifications/resources/updated", LN_FROM_SERVER, LN_ROUTE_UPDATED, LN_KINDS)                 \
  X("notifications/elicitation/complete", LN_FROM_SERVER, LN_ROUTE_ELICITED, LN_KINDS)             \
  X("notifications/tasks/status", LN_FROM_CLIENT | LN_FROM_SERVER, LN_ROUTE_TASK_STATUS, LN_KINDS) \
  X("tasks/get", LN_FROM_CLIENT | LN_FROM_SERVER, LN_ROUTE_TASK, LN_KINDS)                         \
  X("tasks/result", LN_FROM_CLIENT | LN_FROM_SERVER, LN_ROUTE_TASK, LN_KINDS)                      \
  X("tasks/cancel", LN_FROM_CLIENT | LN_FROM_SERVER, LN_ROUTE_TASK, LN_KINDS)                      \
  X("tasks/list", LN_FROM_CLIENT | LN_FROM_SERVER, LN_ROUTE_TASK_LIST, LN_KINDS)                   \
  X("sampling/createMessage", LN_FROM_SERVER, LN_ROUTE_ASK, LN_KINDS)                              \
  X("elicitation/create", LN_FROM_SERVER, LN_ROUTE_ASK, LN_KINDS)                                  \
  X("roots/list", LN_FROM_SERVER, LN_ROUTE_ASK, LN_KINDS)

struct ln_method {
  const char *name;
  size_t name_len;
  unsigned from;
  enum ln_route route;
  enum ln_kind kind;
};

/* The row of a method that may come from this side; the row for "other" when it has none. Never
 * NULL. */
const struct ln_method *ln_method_find(struct ln_str name, unsigned from);

/* The name in the table that one without a row (m: what was found for it) differs from by case
 * alone, whichever side it may come from, or NULL: some servers match methods without case. */
const char *ln_method_case_twin(const struct ln_method *m, struct ln_str name);

/* True for the rows of requests; false for notifications and for what is not in the table. */
bool ln_method_is_request(const struct ln_method *m);

/* What differs between the four kinds, for lists and their notifications. */
struct ln_kind_row {
  const char *list_method; /* "tools/list" */
  const char *array;       /* the result's member: "tools" */
  const char *key;         /* the item's identity: "name", "uri", "uriTemplate" */
  const char *capability;  /* the server capability that promises the list */
  const char *changed;     /* the notification */
  const char *noun;        /* "tool" */
};
extern const struct ln_kind_row ln_kind_rows[LN_KINDS];
/* The kinds that have a list_changed of their own: templates share that of resources. */
enum { LN_KINDS_TOLD = 3 };
extern const enum ln_kind ln_kinds_told[LN_KINDS_TOLD];

/* --- log levels --- */

enum { LN_LEVELS = 8 }; /* of RFC 5424, from debug to emergency */
/* The place of params.level among them, 0 for debug; -1: it names none. params may be absent. */
int ln_level_of(struct ln_str params);
extern const char *const ln_level_names[LN_LEVELS];

/* --- capabilities --- */

/* What initialize declares under this name. Anything but an object declares nothing. */
bool ln_capability(struct ln_str capabilities, const char *name, struct ln_json_item *it);

/* --- versions --- */

#define LN_VERSION_LATEST "2025-11-25"
/* True for the session versions Lunette speaks. */
bool ln_version_known(struct ln_str version);
/* What initialize answers: the version asked for when known, else the latest. */
const char *ln_version_answer(struct ln_str asked);

#endif
