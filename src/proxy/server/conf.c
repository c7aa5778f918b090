/* Copies of servers' declarations, which outlive the policy that declared them; see conf.h. */
#include "proxy/server/conf.h"

#include <stdlib.h>

#include "script/glob.h"

extern char **environ;

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

void ln_conf_free_list(const char *const *list) {
  for (size_t i = 0; list && list[i]; i++) free((void *)list[i]);
  free((void *)list);
}

void ln_conf_free(struct ln_server_conf *c) {
  if (!c) return;
  free((void *)c->name);
  free((void *)c->where);
  free((void *)c->command);
  free((void *)c->cwd);
  free((void *)c->url);
  free((void *)c->prefix);
  free((void *)c->inherit);
  ln_conf_free_list(c->args);
  ln_conf_free_list(c->env);
  ln_conf_free_list(c->headers);
  free(c);
}

struct ln_server_conf *ln_conf_copy(const struct ln_server_conf *from) {
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
  c->inherit = copy_string(from->inherit, &ok);
  c->args = copy_list(from->args, &ok);
  c->env = copy_list(from->env, &ok);
  c->headers = copy_list(from->headers, &ok);
  if (ok) return c;
  ln_conf_free(c);
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

bool ln_conf_same(const struct ln_server_conf *a, const struct ln_server_conf *b) {
  return a->transport == b->transport && a->max_children == b->max_children &&
         a->session == b->session && same_string(a->name, b->name) &&
         same_string(a->command, b->command) && same_string(a->cwd, b->cwd) &&
         same_string(a->url, b->url) && same_string(a->inherit, b->inherit) &&
         same_list(a->args, b->args) && same_list(a->env, b->env) &&
         same_list(a->headers, b->headers);
}

/* --- what a child finds in its environment --- */

static size_t length(const char *const *list) {
  size_t n = 0;
  while (list && list[n]) n++;
  return n;
}

static struct ln_str name_of(const char *variable) {
  return (struct ln_str){variable, strcspn(variable, "=")};
}

static bool sets(const char *const *list, struct ln_str name) {
  for (size_t i = 0; list && list[i]; i++)
    if (ln_str_eq(name_of(list[i]), name)) return true;
  return false;
}

static bool inherits(const struct ln_server_conf *c, const char *variable) {
  struct ln_str name = name_of(variable);
  return c->inherit && ln_glob_match(c->inherit, name) && !sets(c->env, name);
}

const char *const *ln_conf_environ(const struct ln_server_conf *c) {
  const char *const *ours = (const char *const *)environ;
  size_t m = length(ours), used = 0;
  const char **list = calloc(m + length(c->env) + 1, sizeof *list);
  bool ok = list != NULL;
  for (size_t i = 0; ok && i < m; i++)
    if (inherits(c, ours[i])) list[used++] = copy_string(ours[i], &ok);
  for (size_t i = 0; ok && c->env && c->env[i]; i++) list[used++] = copy_string(c->env[i], &ok);
  if (ok) return list;
  ln_conf_free_list(list);
  return NULL;
}
