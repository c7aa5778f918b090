/* A server as declared, and whether it works. Sessions with it are links (link.h), requests in a
 * link calls (call.h).
 *
 * lists/ keeps here what it lists, route/ what a shared link was told; both are freed with it
 * (ln_link_events.server_ends). */
#ifndef LN_PROXY_SERVER_SERVER_H
#define LN_PROXY_SERVER_SERVER_H

#include "proxy/core/host.h"
#include "transport/channel.h"

struct ln_link;
struct ln_shared_state;

/* The outcome of its last link. Servers are started when needed: STOPPED is no fault, the next
 * request starts it again. */
enum ln_server_health {
  LN_SERVER_UNKNOWN,
  LN_SERVER_UP,
  LN_SERVER_DOWN,   /* it could not be started, or ended before it had served a request */
  LN_SERVER_STOPPED /* it ended after it had worked */
};

struct ln_server {
  struct ln_list link; /* in host->servers */
  uint32_t refs;       /* generations, sessions' pool slots and links */
  uint64_t serial;     /* never given twice: kept by what may outlive the server */
  struct ln_host *host;
  struct ln_server_conf *conf; /* a copy: it outlives the policy that declared it */
  const char *const *environ;  /* of its children; NULL over HTTP */
  struct ln_child_conf child;
  struct ln_http_conf http;
  struct ln_http_pool *pool; /* HTTP only */
  struct ln_list links;      /* struct ln_link */
  size_t n_children;         /* of these */
  char full[128];            /* why the last could not be started, when there were as many as may */
  struct ln_link *spare;     /* start.h: started ahead, for the first client; or NULL */
  struct ln_link *shared;    /* mode "shared": the link that all clients use, or NULL … */
  bool shared_lost;          /* … the last one was lost … */
  struct ln_shared_state *shared_state; /* … and what it was told (route/); NULL: nothing */
  struct ln_list indexes;               /* struct ln_index (lists/): those that sessions share */
  struct ln_list listings;              /* struct ln_listing (lists/): all that somebody has */
  struct ln_msg *apart; /* lists/share.c: its answer to initialize when it was seen to answer two
                           clients differently; counted; NULL: it was not … */
  struct ln_msg *said;  /* … and the last one of all, counted … */
  bool unsteady;        /* … which is not what the one before it said of the server */
  char topic[64];       /* for the log: "upstream NAME" */
  enum ln_server_health health;
  unsigned unlisted; /* a bit for each kind whose last fetch failed */
  char last_error[LN_WHY_MAX];
  uint64_t retry_at;      /* loop time before which no link is opened */
  uint64_t backoff_until; /* loop time before which no link is opened for a list */
  unsigned failures;      /* in a row: each doubles the pause before the next start */
  bool retired;           /* no longer declared: its links close after their calls */
};

/* max_message: bytes of one message from it. NULL with *why: out of memory, or no valid URL. One
 * reference, the caller's. */
struct ln_server *ln_server_new(struct ln_host *h, const struct ln_server_conf *conf,
                                size_t max_message, const char **why);
struct ln_server *ln_server_ref(struct ln_server *server);
void ln_server_unref(struct ln_server *server);
#ifndef LN_FFI
/* All clients use one link with it (session = "shared"). */
static inline bool ln_server_is_shared(const struct ln_server *server) {
  return server->conf->session == LN_SHARING_SHARED;
}
#endif

/* A link with it was initialized. */
void ln_server_works(struct ln_server *server);
/* A link with it could not be opened, or was lost. */
struct ln_server_failure {
  const char *why;    /* kept as last_error */
  bool worked;        /* the link had served a request or lasted, or another works */
  bool elsewhere;     /* another link with the server works */
  bool ready;         /* the link had been initialized */
  uint64_t opened_at; /* loop time of the link's beginning */
};
void ln_server_failed(struct ln_server *server, const struct ln_server_failure *f);
/* Milliseconds. No pause is longer than a list may be old (list_max_age): what is back and lists
 * otherwise would be known too late. Of a list that failed as long as that took, at least a second:
 * else all that there is would wait for it each time. */
uint64_t ln_server_longest_pause(const struct ln_server *server);
uint64_t ln_server_list_pause(const struct ln_server *server, uint64_t took);
/* True for a while after a link failed before it was initialized (as long as that took, at least a
 * second): requests that ask all servers, such as lists, do without it then. */
bool ln_server_in_backoff(const struct ln_server *server);
/* Milliseconds that a request to it may take without progress. */
uint64_t ln_server_timeout(const struct ln_server *server);
/* Writes "Server \"NAME\": why" to out; why may begin so already. */
void ln_server_error_text(const struct ln_server *server, const char *why, char *out, size_t size);

#endif
