/* The HTTP front as a whole: paths, events of open requests, start and close; see http.h. */
#include "proxy/http/http.h"

#include <stdlib.h>

#include "proxy/http/check.h"
#include "proxy/http/cors.h"
#include "proxy/http/pages.h"
#include "proxy/http/respond.h"
#include "proxy/http/sse.h"
#include "proxy/http/streamable.h"
#include "wire/forwarded.h"

enum { TICK_MS = 15000 };

struct ln_http_front {
  struct ln_session_table table;
  struct ln_restorer restorer;
  struct ln_http_server *server;
  struct ln_timer tick; /* keep-alives, idle sessions, streams to forget */
  struct ln_check_hosts hosts;
  uint64_t hosts_under; /* host->reloads when their list was set */
  void (*closed)(void *arg);
  void *closed_arg;
};

/* --- paths --- */

static void serve_mcp(struct ln_http_front *f, struct ln_http_request *r) {
  ln_streamable_serve(&f->restorer, r);
}

static void serve_sse(struct ln_http_front *f, struct ln_http_request *r) {
  ln_sse_front_open(&f->table, r);
}

static void serve_messages(struct ln_http_front *f, struct ln_http_request *r) {
  ln_sse_front_post(&f->table, r);
}

static void serve_health(struct ln_http_front *f, struct ln_http_request *r) {
  (void)f;
  ln_pages_health(r);
}

static void serve_ready(struct ln_http_front *f, struct ln_http_request *r) {
  ln_pages_ready(f->table.host, f->table.state != LN_SESSION_TABLE_OPEN, r);
}

static void serve_metrics(struct ln_http_front *f, struct ln_http_request *r) {
  ln_pages_metrics(f->table.host, r);
}

static const struct {
  const char *path;
  void (*serve)(struct ln_http_front *f, struct ln_http_request *r);
  const char *methods; /* that pages may use; NULL: it is for reading alone */
} paths[] = {
    {"/mcp", serve_mcp, "GET, POST, DELETE"},
    {"/mcp/", serve_mcp, "GET, POST, DELETE"},
    {"/sse", serve_sse, "GET"},
    {"/messages", serve_messages, "POST"},
    {"/healthz", serve_health, NULL},
    {"/readyz", serve_ready, NULL},
    {"/metrics", serve_metrics, NULL},
};

/* The lists of hosts and origins are those of the policy in force. */
static struct ln_refusal check_origin(struct ln_http_front *f, const struct ln_http_head *head,
                                      struct ln_str *origin) {
  const struct ln_host *h = f->table.host;
  if (f->hosts_under != h->reloads)
    ln_check_hosts_list(&f->hosts, h->settings.hosts, h->settings.origins);
  f->hosts_under = h->reloads;
  return ln_check_origin(&f->hosts, head, origin);
}

static void on_request(void *arg, struct ln_http_request *r) {
  struct ln_http_front *f = arg;
  r->data = NULL;
  struct ln_str origin;
  struct ln_refusal refusal = check_origin(f, r->head, &origin);
  if (!refusal.status && origin.p && !ln_cors_expose(r, origin)) return;
  struct ln_str path = r->head->target;
  const char *query = path.p ? memchr(path.p, '?', path.n) : NULL;
  if (query) path.n = (size_t)(query - path.p);
  for (size_t i = 0; !refusal.status && i < LN_COUNT(paths); i++) {
    if (!ln_str_is(path, paths[i].path)) continue;
    bool reads = ln_str_is(r->head->method, "GET") || ln_str_is(r->head->method, "HEAD");
    if (!paths[i].methods && !reads)
      refusal = (struct ln_refusal){405, -32600, "Only GET", "Allow: GET\r\n"};
    else if (origin.p && ln_cors_asks(r->head))
      ln_cors_answer(r, paths[i].methods);
    else
      paths[i].serve(f, r);
    if (!refusal.status) return;
  }
  if (!refusal.status)
    refusal = (struct ln_refusal){404, -32600, "Nothing here: the MCP endpoint is /mcp", NULL};
  ln_respond_refusal(f->table.host->log, r, refusal);
}

static void on_drain(void *arg, struct ln_http_request *r) {
  (void)arg;
  const struct ln_http_holder **holder = r->data;
  if (holder && (*holder)->drained) (*holder)->drained(holder);
}

static void on_done(void *arg, struct ln_http_request *r, bool gone) {
  (void)arg;
  (void)gone;
  const struct ln_http_holder **holder = r->data;
  if (holder) (*holder)->done(holder, r);
}

/* A connection is its address's. A request is its connection's, unless a proxy that is trusted made
 * it for another: what is shared is counted by whom it is for. */
static struct ln_account *account_of(void *arg, const unsigned char address[16],
                                     const struct ln_http_head *head) {
  struct ln_host *h = ((struct ln_http_front *)arg)->table.host;
  char name[LN_PEER_NAME];
  unsigned char peer[16];
  if (head && !h->settings.trusted_proxies) return NULL;
  memcpy(peer, address, sizeof peer);
  if (head) ln_forwarded_peer(head, h->settings.trusted_proxies, peer);
  if (head && memcmp(peer, address, sizeof peer) == 0) return NULL;
  return ln_ledger_account(&h->ledger, ln_peer_name(peer, name));
}

/* How we are can be asked even when there is no room for anybody. */
static bool spare(void *arg, const struct ln_http_head *head) {
  (void)arg;
  struct ln_str path = head->target;
  const char *query = memchr(path.p, '?', path.n);
  if (query) path.n = (size_t)(query - path.p);
  bool body = head->chunked || head->content_length > 0;
  for (size_t i = 0; !body && i < LN_COUNT(paths); i++)
    if (!paths[i].methods && ln_str_is(path, paths[i].path)) return true;
  return false;
}

static const struct ln_http_server_ops server_ops = {.spare = spare,
                                                     .account = account_of,
                                                     .on_request = on_request,
                                                     .on_drain = on_drain,
                                                     .done = on_done};

/* --- life --- */

static uint64_t tick_ms(const struct ln_http_front *f) {
  uint64_t half = f->table.host->settings.session_timeout_ms / 2;
  return LN_MIN(LN_MAX(half, 1), (uint64_t)TICK_MS);
}

static void on_tick(struct ln_timer *t) {
  struct ln_http_front *f = LN_CONTAINER(t, struct ln_http_front, tick);
  struct ln_loop *loop = f->table.host->loop;
  uint64_t now = ln_loop_now(loop), ms = tick_ms(f);
  ln_session_table_tick(&f->table, now);
  ln_client_stream_tick_all(&f->table.streams, now, ms);
  ln_timer_start(loop, &f->tick, ms, on_tick);
}

static void front_free(struct ln_http_front *f) {
  ln_session_table_deinit(&f->table);
  ln_restore_deinit(&f->restorer);
  free(f);
}

int ln_http_front_start(struct ln_host *h, const char *host, uint16_t port,
                        struct ln_http_front **out, const char **why) {
  struct ln_http_front *f = calloc(1, sizeof *f);
  if (!f) {
    *why = "out of memory";
    return LN_ENOMEM;
  }
  ln_timer_init(&f->tick);
  const struct ln_http_server_conf conf = {.host = host,
                                           .port = port,
                                           .max_body = h->settings.max_message_bytes,
                                           .max_connections = h->settings.max_connections};
  *why = "no random numbers";
  int rc = ln_session_table_init(&f->table, h);
  ln_restore_init(&f->restorer, &f->table);
  if (!rc) rc = ln_http_server_start(h->loop, &conf, &server_ops, f, &f->server, why);
  if (rc) {
    front_free(f);
    return rc;
  }
  ln_check_hosts_init(&f->hosts, ln_http_server_on_loopback(f->server));
  ln_check_hosts_list(&f->hosts, h->settings.hosts, h->settings.origins);
  f->hosts_under = h->reloads;
  ln_timer_start(h->loop, &f->tick, tick_ms(f), on_tick);
  *out = f;
  return LN_OK;
}

uint16_t ln_http_front_port(const struct ln_http_front *f) {
  return ln_http_server_port(f->server);
}

bool ln_http_front_on_loopback(const struct ln_http_front *f) {
  return ln_http_server_on_loopback(f->server);
}

void ln_http_front_drain(struct ln_http_front *f) {
  ln_session_table_drain(&f->table);
  ln_http_server_drain(f->server);
}

void ln_http_front_end_listening(struct ln_http_front *f) {
  ln_session_table_end_listening(&f->table);
}

static void server_closed(void *arg) {
  struct ln_http_front *f = arg;
  void (*closed)(void *) = f->closed;
  void *closed_arg = f->closed_arg;
  front_free(f);
  closed(closed_arg);
}

void ln_http_front_close(struct ln_http_front *f, void (*closed)(void *arg), void *arg) {
  f->closed = closed;
  f->closed_arg = arg;
  ln_timer_stop(&f->tick);
  ln_session_table_close(&f->table);
  ln_http_server_close(f->server, server_closed, f);
}
