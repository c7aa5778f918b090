/* Generations; see generation.h. */
#include "proxy/server/generation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/server/conf.h"

struct ln_generation *ln_generation_ref(struct ln_generation *g) {
  g->refs++;
  return g;
}

void ln_generation_unref(struct ln_generation *g) {
  if (!g || --g->refs) return;
  for (size_t i = 0; g->servers && g->prefixes && i < g->n_servers; i++) {
    ln_server_unref(g->servers[i]);
    free(g->prefixes[i]);
  }
  free(g->servers);
  free(g->prefixes);
  ln_map_deinit(&g->by_prefix);
  size_t i = 0;
  struct ln_map_slot *slot;
  while (ln_map_next(&g->warned, &i, &slot)) ln_bytes_unref(slot->value);
  ln_map_deinit(&g->warned);
  ln_policy_unref(g->policy);
  free(g);
}

bool ln_generation_has(const struct ln_generation *g, const struct ln_server *server) {
  for (size_t i = 0; i < g->n_servers; i++)
    if (g->servers[i] == server) return true;
  return false;
}

size_t ln_generation_owner(const struct ln_generation *g, struct ln_str name) {
  for (size_t n = LN_MIN(name.n, g->longest_prefix + 1); n-- > 0;) {
    char *const *at =
        name.p[n] == '_' ? ln_map_get(&g->by_prefix, (struct ln_str){name.p, n}) : NULL;
    if (at) return (size_t)(at - g->prefixes);
  }
  return g->n_servers;
}

struct ln_str ln_generation_native(const struct ln_generation *g, const struct ln_server *server,
                                   struct ln_str name) {
  for (size_t i = 0; i < g->n_servers; i++) {
    if (g->servers[i] != server || !g->prefixes[i]) continue;
    size_t n = strlen(g->prefixes[i]);
    bool has = name.n > n && memcmp(name.p, g->prefixes[i], n) == 0 && name.p[n] == '_';
    if (has) return (struct ln_str){name.p + n + 1, name.n - n - 1};
  }
  return name;
}

static int index_prefix(struct ln_generation *g, size_t i) {
  if (!g->prefixes[i]) return LN_OK;
  struct ln_str prefix = ln_str_c(g->prefixes[i]);
  g->longest_prefix = LN_MAX(g->longest_prefix, prefix.n);
  return ln_map_get(&g->by_prefix, prefix) ? LN_OK
                                           : ln_map_put(&g->by_prefix, prefix, &g->prefixes[i]);
}

void ln_generation_warn_once(struct ln_generation *g, const char *topic, const char *fmt, ...) {
  enum { MAX_WARNED = 1000 }; /* servers can send ever new names */
  char text[2048];
  va_list ap;
  int n = snprintf(text, sizeof text, "%.200s\n", topic);
  va_start(ap, fmt);
  vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
  va_end(ap);
  if (g->warned.len >= MAX_WARNED || ln_map_get(&g->warned, ln_str_c(text))) return;
  struct ln_bytes *kept = ln_bytes_copy(text, strlen(text));
  if (!kept || ln_map_put(&g->warned, (struct ln_str){kept->data, kept->len}, kept))
    ln_bytes_unref(kept);
  /* Once each, and no more than a thousand: none of them is cut. */
  ln_log_write_always(g->host->log, LN_LOG_WARN, topic, "%s", text + n);
}

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

/* NULL: no prefix, or (*ok false) out of memory. */
static char *prefix_of(const struct ln_server_conf *c, size_t n_servers, bool *ok) {
  if (c->prefix_mode == LN_PREFIX_NEVER) return NULL;
  if (c->prefix_mode == LN_PREFIX_DEFAULT && n_servers < 2) return NULL;
  if (c->prefix_mode == LN_PREFIX_GIVEN && !*c->prefix) return NULL;
  char *p = c->prefix_mode == LN_PREFIX_GIVEN ? strdup(c->prefix) : safe_prefix(c->name);
  if (!p) *ok = false;
  return p;
}

/* The server of the generation in force that is declared so, or a new one. */
static struct ln_server *server_for(struct ln_host *h, const struct ln_server_conf *conf,
                                    size_t max_message, const char **why) {
  for (size_t i = 0; h->gen && i < h->gen->n_servers; i++)
    if (ln_conf_same(h->gen->servers[i]->conf, conf)) return ln_server_ref(h->gen->servers[i]);
  return ln_server_new(h, conf, max_message, why);
}

struct ln_generation *ln_generation_new(struct ln_host *h, struct ln_policy *policy,
                                        const char **why) {
  struct ln_generation *g = calloc(1, sizeof *g);
  *why = "out of memory";
  if (!g) {
    ln_policy_unref(policy);
    return NULL;
  }
  g->refs = 1;
  g->host = h;
  g->policy = policy;
  g->decls = ln_policy_decls(policy);
  ln_map_init(&g->warned);
  ln_map_init(&g->by_prefix);
  for (size_t i = 0; i < g->decls->n_components; i++)
    g->components[g->decls->components[i].kind] = true;
  size_t n = g->decls->n_servers;
  g->servers = calloc(n + 1, sizeof(struct ln_server *));
  g->prefixes = calloc(n + 1, sizeof(char *));
  bool ok = g->servers && g->prefixes;
  for (size_t i = 0; ok && i < n; i++) {
    const struct ln_server_conf *conf = &g->decls->servers[i];
    g->servers[i] = server_for(h, conf, g->decls->settings.max_message_bytes, why);
    if (!g->servers[i]) {
      ok = false;
      break;
    }
    g->n_servers++;
    g->prefixes[i] = prefix_of(conf, n, &ok);
    ok = ok && index_prefix(g, i) == LN_OK;
  }
  if (ok) return g;
  ln_generation_unref(g);
  return NULL;
}
