/* One connection to a server's origin, directly or through a proxy, and its calls, one after the
 * other. http_client.c deals with bytes and framing, http_pool.c with which call goes on which
 * connection, http_channel*.c with what requests and answers mean.
 *
 * Invariants
 * - client->call is set exactly while a request was handed to the stream and its response isn't
 *   complete; that call's client points back.
 * - Cancelling a call closes its connection: the rest of its response is not read.
 * - A client is freed in its stream's on_closed, nowhere else. */
#ifndef LN_TRANSPORT_HTTP_CLIENT_H
#define LN_TRANSPORT_HTTP_CLIENT_H

#include "base/list.h"
#include "net/stream.h"
#include "transport/url.h"
#include "wire/http.h"

struct ln_http_pool;
struct ln_http_client;
struct ln_http_call;

/* --- the way to the origin: http_client_route.c --- */
struct ln_http_route {
  struct ln_url url;
  struct ln_url proxy;      /* text is NULL without one */
  bool tunnel;              /* CONNECT, then TLS inside */
  struct ln_tls_conf tls;   /* the origin's */
  struct ln_buf connect;    /* the whole CONNECT request; holds the proxy's password */
  struct ln_buf proxy_auth; /* "Proxy-Authorization: …\r\n" where each request carries it */
  char name[320];           /* what a failed connection was to: "http://host:1" */
};

/* Reads the URL and the environment: http_proxy (lower case only: HTTP_PROXY is what a CGI gets
 * from a request's Proxy header), https_proxy, all_proxy, no_proxy and the others' upper case. */
int ln_http_route_init(struct ln_http_route *r, const char *url, const struct ln_tls_conf *tls,
                       const char **why) LN_CHECK;
void ln_http_route_deinit(struct ln_http_route *r);
/* True when no_proxy's list covers this host. */
bool ln_http_no_proxy(struct ln_str list, const struct ln_url *url);
/* "POST /mcp HTTP/1.1\r\n", in absolute form where a proxy reads it. */
int ln_http_route_line(const struct ln_http_route *r, const char *method, const struct ln_url *url,
                       struct ln_buf *out);

/* --- a request and its response --- */
/* What may be under way at once, so that nothing waits for what waits for it: requests that have no
 * response head yet are limited; answers (and notifications, DELETE) have a limit of their
 * own, since a request may wait for one; a stream counts nowhere. */
enum ln_http_lane { LN_LANE_REQUEST, LN_LANE_ANSWER, LN_LANE_STREAM, LN_LANES };

enum ln_http_call_state { LN_CALL_NONE, LN_CALL_WAITING, LN_CALL_ACTIVE, LN_CALL_FAILED };

struct ln_http_call_ops {
  /* The request was handed to a connection. May come from inside ln_http_pool_submit of any call
   * of the pool's. */
  void (*sent)(struct ln_http_call *x);
  /* The rest comes from the loop. head is valid until return; so is a piece of the body. */
  void (*head)(struct ln_http_call *x, const struct ln_http_head *head);
  void (*body)(struct ln_http_call *x, struct ln_str piece);
  /* The end, once, unless cancelled: LN_OK when the response was complete. The call may be
   * submitted again or freed from here. */
  void (*end)(struct ln_http_call *x, int err, const char *why);
};

struct ln_http_call {
  const struct ln_http_call_ops *ops;
  const struct ln_iov *parts; /* the request whole; the owner keeps it until head or end */
  size_t n_parts;
  enum ln_http_lane lane;
  bool idempotent; /* may be sent again when the connection died without a word */
  bool head_only;  /* a HEAD request: its response has no body */
  bool paused;
  bool retried;                  /* private from here */
  uint8_t state;                 /* enum ln_http_call_state */
  int err;                       /* LN_CALL_FAILED: why, until the loop says so */
  struct ln_list link;           /* in the pool's waiting or failed list */
  struct ln_http_pool *pool;     /* of the last submit */
  struct ln_http_client *client; /* LN_CALL_ACTIVE */
};

/* --- the connection --- */
enum ln_http_client_state {
  LN_CLIENT_CONNECTING, /* TCP, and TLS where it comes first */
  LN_CLIENT_TUNNELLING, /* CONNECT was sent */
  LN_CLIENT_SECURING,   /* TLS inside the tunnel */
  LN_CLIENT_IDLE,
  LN_CLIENT_BUSY,
  LN_CLIENT_CLOSING
};

struct ln_http_client {
  struct ln_list all;  /* in the pool's list */
  struct ln_list idle; /* in the pool's idle list */
  struct ln_http_pool *pool;
  struct ln_stream *stream;
  struct ln_http_call *call;
  struct ln_timer timer; /* while TUNNELLING and SECURING */
  uint64_t idle_until;
  uint32_t idle_ms; /* how long it may be idle */
  uint8_t state;
  bool reused;   /* it has carried a whole call before */
  bool answered; /* a byte of the call's response came */
  struct ln_http http;
};

/* Begins to connect; ln_http_pool_connected or ln_http_pool_unreachable follows. NULL: no memory.
 */
struct ln_http_client *ln_http_client_open(struct ln_http_pool *pool);
/* Writes the call's request. On an error nothing of it was taken and the client must be closed. */
int ln_http_client_start(struct ln_http_client *c, struct ln_http_call *x) LN_CHECK;
/* Once, by the pool only. */
void ln_http_client_close(struct ln_http_client *c);

#endif
