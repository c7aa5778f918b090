/* Servers as configured: how each is reached, and how it fares. */
#include "proxy/upstream.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/catalogue.h"
#include "proxy/share.h"

/* --- configurations: one block each, strings and all --- */

static const char *copy_string(const char *s, bool *ok) {
  char *p = s ? strdup(s) : NULL;
  if (s && !p) *ok = false;
  return p;
}

static const char *const *copy_list(const char *const *list, bool *ok) {
  if (!list) return NULL;
  size_t n = 0;
  while (list[n]) n++;
  const char **copy = calloc(n + 1, sizeof *copy);
  if (!copy) *ok = false;
  for (size_t i = 0; copy && i < n; i++) copy[i] = copy_string(list[i], ok);
  return copy;
}

static void free_list(const char *const *list) {
  for (size_t i = 0; list && list[i]; i++) free((void *)list[i]);
  free((void *)list);
}

static void conf_free(struct ln_server_conf *c) {
  if (!c) return;
  free((void *)c->name);
  free((void *)c->where);
  free((void *)c->command);
  free((void *)c->cwd);
  free((void *)c->url);
  free((void *)c->prefix);
  free_list(c->args);
  free_list(c->env);
  free_list(c->headers);
  free(c);
}

static struct ln_server_conf *conf_copy(const struct ln_server_conf *from) {
  struct ln_server_conf *c = malloc(sizeof *c);
  if (!c) return NULL;
  bool ok = true;
  *c = *from;
  c->name = copy_string(from->name, &ok);
  c->where = copy_string(from->where, &ok);
  c->command = copy_string(from->command, &ok);
  c->cwd = copy_string(from->cwd, &ok);
  c->url = copy_string(from->url, &ok);
  c->prefix = copy_string(from->prefix, &ok);
  c->args = copy_list(from->args, &ok);
  c->env = copy_list(from->env, &ok);
  c->headers = copy_list(from->headers, &ok);
  if (ok) return c;
  conf_free(c);
  return NULL;
}

static bool same_string(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(const char *const *a, const char *const *b) {
  if (!a || !b) return a == b || (a && !a[0]) || (b && !b[0]);
  for (; *a && *b; a++, b++)
    if (strcmp(*a, *b) != 0) return false;
  return *a == *b;
}

bool ln_server_same(const struct ln_server *server, const struct ln_server_conf *b) {
  const struct ln_server_conf *a = server->conf;
  return a->transport == b->transport && a->session == b->session &&
         same_string(a->name, b->name) && same_string(a->command, b->command) &&
         same_string(a->cwd, b->cwd) && same_string(a->url, b->url) &&
         same_list(a->args, b->args) && same_list(a->env, b->env) &&
         same_list(a->headers, b->headers);
}

/* --- life --- */

static bool set_way(struct ln_server *server, const char **why) {
  const struct ln_server_conf *conf = server->conf;
  size_t max = server->host->settings.max_message_bytes;
  if (conf->transport == LN_VIA_STDIO) {
    server->child = (struct ln_child_conf){.name = conf->name,
                                           .command = conf->command,
                                           .args = conf->args,
                                           .env = conf->env,
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
  conf_free(server->conf);
  free(server);
  ln_host_check_closed(h);
}

struct ln_server *ln_server_new(struct ln_host *h, const struct ln_server_conf *conf,
                                const char **why) {
  struct ln_server *server = calloc(1, sizeof *server);
  if (server) server->conf = conf_copy(conf);
  if (!server || !server->conf) {
    free(server);
    *why = "out of memory";
    return NULL;
  }
  server->refs = 1;
  server->host = h;
  ln_list_init(&server->links);
  ln_list_init(&server->indexes);
  ln_list_init(&server->link);
  if (!set_way(server, why)) {
    conf_free(server->conf);
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
  ln_share_free(server);
  LN_LIST_EACH(l, &server->indexes) {
    struct ln_index *c = LN_CONTAINER(l, struct ln_index, link);
    ln_list_remove(&c->link);
    ln_index_unref(c);
  }
  if (server->pool)
    ln_http_pool_close(server->pool, pool_closed, server);
  else
    server_free(server);
}

void ln_server_retire(struct ln_server *server) {
  server->retired = true;
  LN_LIST_EACH(l, &server->links) {
    struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
    if (!ln_link_busy(link)) ln_link_close(link, "the server is no longer configured");
  }
}

bool ln_server_in_backoff(const struct ln_server *server) {
  return server->health == LN_SERVER_DOWN &&
         ln_loop_now(server->host->loop) < server->backoff_until;
}

void ln_server_blame(const struct ln_server *server, const char *why, char *out, size_t size) {
  int n = snprintf(out, size, "Server \"%s\": ", server->conf->name);
  size_t lead = n > 0 && (size_t)n < size ? (size_t)n : 0;
  bool said = lead && strncmp(why, out, lead) == 0;
  snprintf(out + lead, size - lead, "%s", said ? why + lead : why);
}

bool ln_server_late(const struct ln_server *server) {
  uint64_t now = ln_loop_now(server->host->loop),
           patience = server->host->settings.start_timeout_ms;
  LN_LIST_EACH(l, &server->links) {
    const struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
    if (link->state < LN_LINK_READY && now - link->opened_at > patience) return true;
  }
  return false;
}
