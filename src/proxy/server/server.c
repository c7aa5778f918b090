/* Servers as declared: how each is reached, and whether it works; see server.h. */
#include "proxy/server/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/server/conf.h"
#include "proxy/server/events.h"

enum { BACKOFF_FIRST_MS = 250, BACKOFF_MAX_MS = 30000, PAUSE_MS = 1000 };

static bool set_transport(struct ln_server *server, size_t max, const char **why) {
  const struct ln_server_conf *conf = server->conf;
  if (conf->transport == LN_VIA_STDIO) {
    if (!(server->environ = ln_conf_environ(conf))) {
      *why = ln_err_text(LN_ENOMEM);
      return false;
    }
    server->child = (struct ln_child_conf){.name = conf->name,
                                           .command = conf->command,
                                           .args = conf->args,
                                           .env = server->environ,
                                           .cwd = conf->cwd,
                                           .max_message = max};
    return true;
  }
  server->http = (struct ln_http_conf){.name = conf->name,
                                       .url = conf->url,
                                       .headers = conf->headers,
                                       .max_message = max,
                                       .sse = conf->transport == LN_VIA_SSE};
  server->pool = ln_http_pool_new(server->host->loop, &server->http, why);
  return server->pool != NULL;
}

static void server_free(struct ln_server *server) {
  struct ln_host *h = server->host;
  ln_list_remove(&server->link);
  ln_conf_free_list(server->environ);
  ln_conf_free(server->conf);
  free(server);
  ln_host_check_closed(h);
}

struct ln_server *ln_server_new(struct ln_host *h, const struct ln_server_conf *conf,
                                size_t max_message, const char **why) {
  struct ln_server *server = calloc(1, sizeof *server);
  if (server) server->conf = ln_conf_copy(conf);
  if (!server || !server->conf) {
    free(server);
    *why = "out of memory";
    return NULL;
  }
  server->refs = 1;
  server->serial = ++h->next_serial;
  server->host = h;
  snprintf(server->topic, sizeof server->topic, "upstream %s", conf->name);
  ln_list_init(&server->links);
  ln_list_init(&server->indexes);
  ln_list_init(&server->listings);
  ln_list_init(&server->link);
  if (!set_transport(server, max_message, why)) {
    ln_conf_free(server->conf);
    free(server);
    return NULL;
  }
  ln_list_push(&h->servers, &server->link);
  return server;
}

struct ln_server *ln_server_ref(struct ln_server *server) {
  server->refs++;
  return server;
}

static void pool_closed(void *arg) {
  server_free(arg);
}

void ln_server_unref(struct ln_server *server) {
  if (--server->refs) return;
  LN_ASSERT(ln_list_empty(&server->links));
  server->host->link_events->server_ends(server);
  if (server->pool)
    ln_http_pool_close(server->pool, pool_closed, server);
  else
    server_free(server);
}

/* --- its health --- */

void ln_server_works(struct ln_server *server) {
  server->health = LN_SERVER_UP;
}

uint64_t ln_server_longest_pause(const struct ln_server *server) {
  return LN_MIN(LN_MAX(server->host->settings.list_max_age_ms, PAUSE_MS), BACKOFF_MAX_MS);
}

uint64_t ln_server_list_pause(const struct ln_server *server, uint64_t took) {
  return LN_MAX(LN_MIN(took, ln_server_longest_pause(server)), PAUSE_MS);
}

/* None after the first failure. */
static uint64_t pause_after(const struct ln_server *server) {
  if (server->failures < 2) return 0;
  unsigned doublings = LN_MIN(server->failures - 2, 7);
  return LN_MIN((uint64_t)BACKOFF_FIRST_MS << doublings, ln_server_longest_pause(server));
}

/* A link that ends after it worked doesn't make it DOWN: one client may have caused that.
 */
void ln_server_failed(struct ln_server *server, const struct ln_server_failure *f) {
  uint64_t now = ln_loop_now(server->host->loop);
  if (f->worked) server->failures = 0;
  server->failures++;
  if (!f->worked)
    server->health = LN_SERVER_DOWN;
  else if (!f->elsewhere)
    server->health = LN_SERVER_STOPPED;
  server->retry_at = now + pause_after(server);
  server->backoff_until = f->ready ? 0 : now + ln_server_list_pause(server, now - f->opened_at);
  if (f->why != server->last_error)
    snprintf(server->last_error, sizeof server->last_error, "%s", f->why);
}

bool ln_server_in_backoff(const struct ln_server *server) {
  return server->health == LN_SERVER_DOWN &&
         ln_loop_now(server->host->loop) < server->backoff_until;
}

uint64_t ln_server_timeout(const struct ln_server *server) {
  uint64_t own = server->conf->timeout_ms;
  return own ? own : server->host->settings.request_timeout_ms;
}

void ln_server_error_text(const struct ln_server *server, const char *why, char *out, size_t size) {
  int n = snprintf(out, size, "Server \"%s\": ", server->conf->name);
  size_t lead = n > 0 && (size_t)n < size ? (size_t)n : 0;
  bool said = lead && strncmp(why, out, lead) == 0;
  snprintf(out + lead, size - lead, "%s", said ? why + lead : why);
}
