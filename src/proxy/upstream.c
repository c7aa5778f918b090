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

static void conf_free(struct ln_upstream_conf *c) {
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

static struct ln_upstream_conf *conf_copy(const struct ln_upstream_conf *from) {
  struct ln_upstream_conf *c = malloc(sizeof *c);
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

bool ln_upstream_same(const struct ln_upstream *u, const struct ln_upstream_conf *b) {
  const struct ln_upstream_conf *a = u->conf;
  return a->transport == b->transport && a->session == b->session &&
         same_string(a->name, b->name) && same_string(a->command, b->command) &&
         same_string(a->cwd, b->cwd) && same_string(a->url, b->url) &&
         same_list(a->args, b->args) && same_list(a->env, b->env) &&
         same_list(a->headers, b->headers);
}

/* --- life --- */

static bool set_way(struct ln_upstream *u, const char **why) {
  const struct ln_upstream_conf *conf = u->conf;
  size_t max = u->host->settings.max_message_bytes;
  if (conf->transport == LN_VIA_STDIO) {
    u->child = (struct ln_child_conf){.name = conf->name,
                                      .command = conf->command,
                                      .args = conf->args,
                                      .env = conf->env,
                                      .cwd = conf->cwd,
                                      .max_message = max};
    return true;
  }
  u->http = (struct ln_http_conf){.name = conf->name,
                                  .url = conf->url,
                                  .headers = conf->headers,
                                  .max_message = max,
                                  .sse = conf->transport == LN_VIA_SSE};
  u->pool = ln_http_pool_new(u->host->loop, &u->http, why);
  return u->pool != NULL;
}

static void upstream_free(struct ln_upstream *u) {
  struct ln_host *h = u->host;
  ln_list_remove(&u->link);
  conf_free(u->conf);
  free(u);
  ln_host_check_closed(h);
}

struct ln_upstream *ln_upstream_new(struct ln_host *h, const struct ln_upstream_conf *conf,
                                    const char **why) {
  struct ln_upstream *u = calloc(1, sizeof *u);
  if (u) u->conf = conf_copy(conf);
  if (!u || !u->conf) {
    free(u);
    *why = "out of memory";
    return NULL;
  }
  u->refs = 1;
  u->host = h;
  ln_list_init(&u->usessions);
  ln_list_init(&u->catalogues);
  ln_list_init(&u->link);
  if (!set_way(u, why)) {
    conf_free(u->conf);
    free(u);
    return NULL;
  }
  ln_list_push(&h->upstreams, &u->link);
  return u;
}

struct ln_upstream *ln_upstream_ref(struct ln_upstream *u) {
  u->refs++;
  return u;
}

static void pool_closed(void *arg) {
  upstream_free(arg);
}

void ln_upstream_unref(struct ln_upstream *u) {
  if (--u->refs) return;
  LN_ASSERT(ln_list_empty(&u->usessions));
  ln_share_free(u);
  LN_LIST_EACH(l, &u->catalogues) {
    struct ln_catalogue *c = LN_CONTAINER(l, struct ln_catalogue, link);
    ln_list_remove(&c->link);
    ln_catalogue_unref(c);
  }
  if (u->pool)
    ln_http_pool_close(u->pool, pool_closed, u);
  else
    upstream_free(u);
}

void ln_upstream_retire(struct ln_upstream *u) {
  u->retired = true;
  LN_LIST_EACH(l, &u->usessions) {
    struct ln_usession *us = LN_CONTAINER(l, struct ln_usession, link);
    if (!ln_usession_busy(us)) ln_usession_close(us, "the server is no longer configured");
  }
}

bool ln_upstream_rests(const struct ln_upstream *u) {
  return u->health == LN_UPSTREAM_DOWN && ln_loop_now(u->host->loop) < u->rest_until;
}

void ln_upstream_blame(const struct ln_upstream *u, const char *why, char *out, size_t size) {
  int n = snprintf(out, size, "Server \"%s\": ", u->conf->name);
  size_t lead = n > 0 && (size_t)n < size ? (size_t)n : 0;
  bool said = lead && strncmp(why, out, lead) == 0;
  snprintf(out + lead, size - lead, "%s", said ? why + lead : why);
}

bool ln_upstream_late(const struct ln_upstream *u) {
  uint64_t now = ln_loop_now(u->host->loop), patience = u->host->settings.start_timeout_ms;
  LN_LIST_EACH(l, &u->usessions) {
    const struct ln_usession *us = LN_CONTAINER(l, struct ln_usession, link);
    if (us->state < LN_US_READY && now - us->opened_at > patience) return true;
  }
  return false;
}
