/* Where require looks: modules already given (package.preload), in the folder of the policy's file,
 * in $LUNETTE_LUA (development builds only), compiled in, then where the system keeps Lua modules.
 * Names under "lunette" are never looked for in that folder: a policy called lunette.lua must still
 * get the real one. */
#include "script/require.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "script/modules.h"

enum { PATH_BYTES = 4096, MAX_FILE = 64 << 20 };

/* Its address is the registry key of the state's struct ln_require. */
static const char require_key;

static struct ln_require *require_of(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&require_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  struct ln_require *r = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return r;
}

/* The registry's array of directories of policies. */
static const char dirs_key;

static void push_dirs(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&dirs_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

LN_THROWS void ln_require_add_dir_of(struct lua_State *L, const char *path) {
  const char *slash = strrchr(path, '/');
  push_dirs(L);
  if (slash)
    lua_pushlstring(L, path, (size_t)(slash - path) + 1);
  else
    lua_pushliteral(L, "");
  int n = (int)lua_objlen(L, -2);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, -2, i);
    bool there = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    if (there) {
      lua_pop(L, 2);
      return;
    }
  }
  lua_rawseti(L, -2, n + 1);
  lua_pop(L, 1);
}

/* The chunk of a file, or a message, pushed; true for the chunk. */
static bool load_text(lua_State *L, struct ln_require *r, const char *path, const char *chunk) {
  ln_buf_clear(&r->text); /* not on C's stack: nothing is lost when Lua throws */
  int rc = ln_sources_read(&r->sources, path, &r->text);
  if (rc) {
    lua_pushfstring(L, "cannot open %s: %s", path,
                    rc == LN_ESYSTEM ? strerror(errno) : ln_err_text(rc));
    return false;
  }
  rc = luaL_loadbufferx(L, r->text.data ? r->text.data : "", r->text.len, chunk, "t");
  ln_buf_deinit(&r->text);
  return rc == 0;
}

LN_THROWS bool ln_require_file(struct lua_State *L, const char *path) {
  struct ln_require *r = require_of(L);
  lua_pushfstring(L, "@%s", path);
  bool ok = load_text(L, r, path, lua_tostring(L, -1));
  lua_remove(L, -2);
  if (!ok) return false;
  if (r->loaded == LUA_NOREF) return true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->loaded);
  lua_pushvalue(L, -2);
  lua_pushstring(L, path);
  lua_call(L, 2, 0);
  return true;
}

/* "a.b" as "a/b". */
static const char *push_as_path(lua_State *L, const char *name) {
  return luaL_gsub(L, name, ".", "/");
}

/* Pushes the loaded chunk of the first of dir/name.lua and dir/name/init.lua that exists, or what
 * was tried. A file that is there and broken is an error. */
static bool try_dir(lua_State *L, const char *dir, const char *name) {
  static const char *const shapes[] = {"%s%s.lua", "%s%s/init.lua"};
  lua_pushliteral(L, "");
  for (size_t i = 0; i < LN_COUNT(shapes); i++) {
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, shapes[i], dir, name) >= (int)sizeof path) continue;
    if (access(path, R_OK) == 0) {
      if (!ln_require_file(L, path)) lua_error(L);
      return true;
    }
    ln_sources_note(&require_of(L)->missed, path, 0);
    lua_pushfstring(L, "\n\tno file '%s'", path);
    lua_concat(L, 2);
  }
  return false;
}

static bool is_own(const char *name) {
  return strncmp(name, "lunette", 7) == 0 && (name[7] == '.' || name[7] == '\0');
}

static int l_require_from_dirs(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (is_own(name)) return 0;
  const char *path = push_as_path(L, name);
  push_dirs(L);
  int dirs = lua_gettop(L), n = (int)lua_objlen(L, dirs);
  lua_pushliteral(L, "");
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, dirs, i);
    if (try_dir(L, lua_tostring(L, -1), path)) return 1;
    lua_remove(L, -2);
    lua_concat(L, 2);
  }
  return 1;
}

/* Reads a whole module of Lunette's own from the development tree, under the same chunk name as
 * the one compiled in has. */
static bool load_own_file(lua_State *L, const char *dir, const char *name) {
  static const char *const shapes[] = {"%s/%s.lua", "%s/%s/init.lua"};
  for (size_t i = 0; i < LN_COUNT(shapes); i++) {
    char path[PATH_BYTES], chunk[PATH_BYTES];
    if (snprintf(path, sizeof path, shapes[i], dir, name) >= (int)sizeof path) continue;
    if (access(path, R_OK)) continue;
    snprintf(chunk, sizeof chunk, "=%s", path + strlen(dir) + 1);
    if (!load_text(L, require_of(L), path, chunk)) lua_error(L);
    return true;
  }
  return false;
}

/* Only where Lunette is developed: what is installed keeps its own code, whatever the environment
 * says that it was started with. */
static const char *development_tree(void) {
#ifdef LN_DEBUG
  return getenv("LUNETTE_LUA");
#else
  return NULL;
#endif
}

static int l_require_own(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *tree = development_tree();
  if (!is_own(name)) return 0;
  if (tree && *tree && load_own_file(L, tree, push_as_path(L, name))) return 1;
  for (const struct ln_lua_module *m = ln_lua_modules; m->name; m++) {
    if (strcmp(m->name, name) != 0) continue;
    lua_pushfstring(L, "=%s", m->path);
    if (luaL_loadbufferx(L, m->text, m->len, lua_tostring(L, -1), "t")) return lua_error(L);
    return 1;
  }
  lua_pushfstring(L, "\n\tno module of Lunette's own called '%s'", name);
  return 1;
}

/* Whoever starts Lunette in a folder does not mean to run what lies there: "./?.lua" and the like
 * go from the system's path. */
static void drop_here(lua_State *L, const char *field) {
  lua_getfield(L, -1, field);
  lua_pushliteral(L, ";");
  lua_insert(L, -2);
  lua_concat(L, 2);
  const char *path = lua_tostring(L, -1);
  luaL_Buffer kept;
  luaL_buffinit(L, &kept);
  for (const char *part = path; part; part = strchr(part + 1, ';')) {
    const char *end = strchr(part + 1, ';');
    size_t n = end ? (size_t)(end - part) : strlen(part);
    if (strncmp(part, ";./", 3) != 0) luaL_addlstring(&kept, part, n);
  }
  luaL_pushresult(&kept);
  lua_setfield(L, -3, field);
  lua_pop(L, 1);
}

LN_THROWS void ln_require(struct lua_State *L, const char *name) {
  lua_getglobal(L, "require");
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}

void ln_require_init(struct ln_require *r) {
  *r = (struct ln_require){.loaded = LUA_NOREF};
  ln_buf_init(&r->text, MAX_FILE);
}

void ln_require_deinit(struct ln_require *r) {
  ln_sources_deinit(&r->sources);
  ln_sources_deinit(&r->missed);
  ln_buf_deinit(&r->text);
}

LN_THROWS void ln_require_install(struct ln_require *r, struct lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&require_key);
  lua_pushlightuserdata(L, r);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&dirs_key);
  lua_newtable(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_getglobal(L, "package");
  drop_here(L, "path");
  drop_here(L, "cpath");
  lua_getfield(L, -1, "loaders");
  static const lua_CFunction ours[] = {l_require_from_dirs, l_require_own};
  int n = (int)lua_objlen(L, -1), more = (int)LN_COUNT(ours);
  for (int i = n; i > 1; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + more);
  }
  for (int i = 0; i < more; i++) {
    lua_pushcfunction(L, ours[i]);
    lua_rawseti(L, -2, 2 + i);
  }
  lua_pop(L, 2);
}
