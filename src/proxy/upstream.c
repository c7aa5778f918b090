/* Servers as configured: how each is reached, and how it fares. */
#include "proxy/upstream.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/catalogue.h"

/* Presented names go to model APIs that allow letters, digits, '_' and '-' only. */
static char *safe_prefix(const char *name) {
  char *p = strdup(name);
  for (char *c = p; c && *c; c++) {
    bool ok = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '_' || *c == '-';
    if (!ok) *c = '_';
  }
  return p;
}

static int set_prefix(struct ln_upstream *u) {
  const struct ln_upstream_conf *c = u->conf;
  if (c->prefix_mode == LN_PREFIX_NEVER) return LN_OK;
  if (c->prefix_mode == LN_PREFIX_DEFAULT && u->host->n_upstreams < 2) return LN_OK;
  u->prefix = c->prefix_mode == LN_PREFIX_GIVEN ? strdup(c->prefix) : safe_prefix(c->name);
  if (!u->prefix) return LN_ENOMEM;
  if (!*u->prefix) {
    free(u->prefix);
    u->prefix = NULL;
  }
  return LN_OK;
}

int ln_upstream_init(struct ln_upstream *u, struct ln_host *h, size_t index,
                     const struct ln_upstream_conf *conf, const char **why) {
  *u = (struct ln_upstream){.host = h, .index = index, .conf = conf};
  ln_list_init(&u->usessions);
  ln_list_init(&u->catalogues);
  if (set_prefix(u)) {
    *why = "out of memory";
    return LN_ENOMEM;
  }
  size_t max = h->decls->settings.max_message_bytes;
  if (conf->transport == LN_VIA_STDIO) {
    u->child = (struct ln_child_conf){.name = conf->name,
                                      .command = conf->command,
                                      .args = conf->args,
                                      .env = conf->env,
                                      .cwd = conf->cwd,
                                      .max_message = max};
    return LN_OK;
  }
  if (conf->transport == LN_VIA_SSE) {
    *why = "transport \"sse\" is not there yet; use \"http\"";
    return LN_EINVALID;
  }
  u->http = (struct ln_http_conf){
      .name = conf->name, .url = conf->url, .headers = conf->headers, .max_message = max};
  u->pool = ln_http_pool_new(h->loop, &u->http, why);
  return u->pool ? LN_OK : LN_EINVALID;
}

bool ln_upstream_late(const struct ln_upstream *u) {
  uint64_t now = ln_loop_now(u->host->loop), patience = u->host->start_timeout_ms;
  LN_LIST_EACH(l, &u->usessions) {
    const struct ln_usession *us = LN_CONTAINER(l, struct ln_usession, link);
    if (us->state < LN_US_READY && now - us->opened_at > patience) return true;
  }
  return false;
}

void ln_upstream_deinit(struct ln_upstream *u) {
  LN_ASSERT(ln_list_empty(&u->usessions));
  LN_LIST_EACH(l, &u->catalogues) {
    ln_catalogue_unref(LN_CONTAINER(l, struct ln_catalogue, link));
  }
  free(u->prefix);
}
