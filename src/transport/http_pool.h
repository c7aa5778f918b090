/* The connections of one origin and the calls that wait for one.
 *
 * A call starts on an idle connection, else on a new one. A new connection isn't bound to the call
 * it was opened for: the call that has waited longest gets the first that becomes free.
 *
 * A call is sent again, once and on a new connection, only when the server can't have carried it
 * out: a connection that had been used before is closed without a byte of response, and the call is
 * idempotent or part of its request never left this process. */
#ifndef LN_TRANSPORT_HTTP_POOL_H
#define LN_TRANSPORT_HTTP_POOL_H

#include "transport/channel.h"
#include "transport/http_client.h"

enum {
  LN_POOL_OPEN = 128,   /* requests without a response head; ln_http_conf.max_open overrides */
  LN_POOL_ANSWERS = 16, /* answers and notifications under way */
  LN_POOL_CONNECT_MS = 10000,
  LN_POOL_IDLE_MS = 4000,      /* under the 5 s after which common servers close, unannounced */
  LN_POOL_IDLE_MAX_MS = 60000, /* where the server announces how long it waits */
  LN_POOL_HEAD = 64 * 1024,    /* bytes in a response head */
  LN_POOL_MESSAGE = 1 << 24    /* bytes in a message when the configuration gives no limit */
};

struct ln_http_pool {
  struct ln_loop *loop;
  const struct ln_http_conf *conf;
  struct ln_http_route route;
  struct ln_buf common; /* header lines of every request */
  char topic[80];       /* for the log */
  size_t max_message;
  unsigned limits[LN_LANES];
  unsigned active[LN_LANES];
  unsigned n_waiting[LN_LANES];
  struct ln_list waiting[LN_LANES];
  struct ln_list failed; /* calls whose end is still to be reported */
  struct ln_list clients;
  struct ln_list idle; /* last used at the end */
  unsigned n_clients;
  unsigned n_connecting;
  unsigned n_closing;
  unsigned n_idle;
  unsigned n_channels;
  bool closing;
  struct ln_task task;
  struct ln_timer sweep;
  void (*closed)(void *arg);
  void *closed_arg;
};

/* --- for channels --- */
/* A channel keeps the pool alive. */
void ln_http_pool_hold(struct ln_http_pool *p);
void ln_http_pool_drop(struct ln_http_pool *p);
/* Closes the idle connections. For a server whose response was none to its request: what comes next
 * on any of them may belong to another request, too. */
void ln_http_pool_close_idle(struct ln_http_pool *p);
/* ops, parts, lane, idempotent and paused are set. */
void ln_http_pool_submit(struct ln_http_pool *p, struct ln_http_call *x);
/* No further event of this call; its connection closes. Also for one that isn't under way. */
void ln_http_call_cancel(struct ln_http_call *x);
/* Its response turned out to be a stream: it gives its place up. */
void ln_http_call_stream(struct ln_http_call *x);
void ln_http_call_pause(struct ln_http_call *x, bool paused);

/* --- header lines of users --- */
bool ln_http_is_token(struct ln_str s);
/* Appends "Name: value" as a line. LN_EINVALID with *why for none, and for headers that are ours:
 * what frames messages and belongs to the connection, with mcp also what MCP uses. */
int ln_http_append_line(struct ln_buf *out, struct ln_str line, bool mcp,
                        const char **why) LN_CHECK;

/* --- for connections --- */
void ln_http_pool_connected(struct ln_http_pool *p, struct ln_http_client *c);
void ln_http_pool_unreachable(struct ln_http_pool *p, struct ln_http_client *c, int err,
                              const char *why);
/* The call on c is over (c->call is still it): reports its end, or starts it again elsewhere. */
void ln_http_pool_finished(struct ln_http_pool *p, struct ln_http_client *c, int err,
                           const char *why, bool reusable);
/* The idle connection c is of no more use: closes it. */
void ln_http_pool_lost(struct ln_http_pool *p, struct ln_http_client *c);
/* c's stream has closed; c is freed next. */
void ln_http_pool_gone(struct ln_http_pool *p, struct ln_http_client *c);

#endif
