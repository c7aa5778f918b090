/* See targets.h. */
#include "bind/targets.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

/* In a userdata on the stack, so that an error leaks nothing. */
static const char **string_array(lua_State *L, int idx) {
  size_t n = lua_istable(L, idx) ? lua_objlen(L, idx) : 0;
  const char **out = lua_newuserdata(L, (n + 1) * sizeof *out); /* stays on the stack */
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, idx, (int)i + 1);
    out[i] = luaL_checkstring(L, -1); /* anchored by the table */
    lua_pop(L, 1);
  }
  out[n] = NULL;
  return out;
}

static void read_target(lua_State *L, int idx, struct ln_target *t) {
  static const char *const kinds[] = {"lua", "json", "url", "command", "text", NULL};
  lua_getfield(L, idx, "kind");
  t->kind = (enum ln_target_kind)luaL_checkoption(L, -1, NULL, kinds);
  lua_getfield(L, idx, "text");
  t->text = luaL_checkstring(L, -1);
  lua_getfield(L, idx, "args");
  t->args = string_array(L, lua_gettop(L));
  if (t->kind == LN_TARGET_TEXT && !(t->args[0] && t->args[1])) luaL_error(L, "text without names");
}

void ln_targets_free(struct ln_targets *all) {
  for (size_t i = 0; i < all->n; i++) {
    struct ln_target *t = &all->list[i];
    free((void *)t->text);
    for (size_t k = 0; t->args && t->args[k]; k++) free((void *)t->args[k]);
    free((void *)t->args);
  }
  free(all->list);
  *all = (struct ln_targets){NULL, 0};
}

static bool keep_target(struct ln_target *to, const struct ln_target *from) {
  size_t n = 0;
  while (from->args[n]) n++;
  const char **args = calloc(n + 1, sizeof *args);
  *to = (struct ln_target){from->kind, strdup(from->text), args};
  bool ok = to->text && args;
  for (size_t i = 0; i < n && ok; i++) ok = (args[i] = strdup(from->args[i])) != NULL;
  return ok;
}

static bool keep_all(struct ln_targets *all, const struct ln_target *targets, size_t n) {
  all->list = calloc(n + 1, sizeof *all->list);
  bool ok = all->list != NULL;
  for (size_t i = 0; i < n && ok; i++) {
    all->n++;
    ok = keep_target(&all->list[i], &targets[i]);
  }
  return ok;
}

LN_THROWS void ln_targets_take(struct lua_State *L, int idx, struct ln_targets *all) {
  luaL_checktype(L, idx, LUA_TTABLE);
  size_t n = lua_objlen(L, idx);
  luaL_checkstack(L, (int)n * 5 + 20, "too many targets");
  struct ln_target *targets = lua_newuserdata(L, (n + 1) * sizeof *targets);
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, idx, (int)i + 1);
    read_target(L, lua_gettop(L), &targets[i]);
  }
  ln_targets_free(all);
  if (!keep_all(all, targets, n)) luaL_error(L, "out of memory");
}
