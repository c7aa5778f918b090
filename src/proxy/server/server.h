/* A server as declared, and how it fares. The sessions with it are links (link.h), what runs in a
 * link is a call (call.h).
 *
 * What it offers is kept by lists/, what shared sessions with it were told by route/: both hang on
 * the server and go with it (ln_link_events.server_ends). */
#ifndef LN_PROXY_SERVER_SERVER_H
#define LN_PROXY_SERVER_SERVER_H

#include "proxy/core/host.h"
#include "transport/channel.h"

struct ln_link;
struct ln_shared_state;

/* By what became of the last start of it, for it is started when it is needed: one that worked and
 * has ended is no worse than one that was never asked for. */
enum ln_server_health {
  LN_SERVER_UNKNOWN,
  LN_SERVER_UP,
  LN_SERVER_DOWN,   /* it could not be started, or ended before it did anything */
  LN_SERVER_STOPPED /* it ended by itself, after it had worked */
};

struct ln_server {
  struct ln_list link; /* in host->servers */
  uint32_t refs;       /* generations, sessions' pool slots and links */
  uint64_t serial;     /* never used again: for who must know a server that may have gone */
  struct ln_host *host;
  struct ln_server_conf *conf; /* a copy: it outlives the policy that declared it */
  struct ln_child_conf child;
  struct ln_http_conf http;
  struct ln_http_pool *pool;            /* HTTP only */
  struct ln_list links;                 /* struct ln_link */
  struct ln_link *shared;               /* the one, when clients share it … */
  bool shared_lost;                     /* … the last one ended by itself … */
  struct ln_shared_state *shared_state; /* … and what it was told (route/); NULL: nothing */
  struct ln_list indexes;               /* struct ln_index (lists/), those that sessions share */
  char topic[64];                       /* for the log: "upstream NAME" */
  enum ln_server_health health;
  char last_error[LN_WHY_MAX];
  uint64_t retry_at;      /* loop time before which no new start is tried */
  uint64_t backoff_until; /* loop time before which no list is a reason to try again */
  unsigned failures;      /* in a row: each doubles the pause before the next start */
  bool retired;           /* no longer declared: ends when what is under way is done */
};

/* max_message: bytes that one message of it may have. NULL with *why: out of memory, or a URL that
 * is none. One reference, the caller's. */
struct ln_server *ln_server_new(struct ln_host *h, const struct ln_server_conf *conf,
                                size_t max_message, const char **why);
struct ln_server *ln_server_ref(struct ln_server *server);
void ln_server_unref(struct ln_server *server);

/* A session with it has been initialized. */
void ln_server_works(struct ln_server *server);
/* A session with it could not be opened or has ended by itself. */
struct ln_server_failure {
  const char *why;    /* kept as last_error */
  bool worked;        /* the session had done something, or others with the server work */
  bool elsewhere;     /* others work now */
  bool ready;         /* it had been initialized … */
  uint64_t opened_at; /* … after it was begun at this loop time */
};
void ln_server_failed(struct ln_server *server, const struct ln_server_failure *f);
/* It failed a moment ago (no longer than it took to fail, and at least a second): what asks all
 * servers for something, as a list does, should do without it. */
bool ln_server_in_backoff(const struct ln_server *server);
/* Says that it was this server ("Server \"NAME\": why"), once: why may say so already. */
void ln_server_blame(const struct ln_server *server, const char *why, char *out, size_t size);

#endif
