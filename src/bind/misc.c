/* core: globs, URIs, hosts, the clock, the log, files. */
#include "bind/misc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mcp/template.h"
#include "mcp/uri.h"
#include "script/glob.h"
#include "script/modules.h"
#include "transport/url.h"
#include "wire/forwarded.h"
#include "wire/http_host.h"

static int l_misc_glob(lua_State *L) {
  const char *glob = luaL_checkstring(L, 1);
  lua_pushboolean(L, ln_glob_match(glob, ln_bind_str(L, 2)));
  return 1;
}

/* now() -> seconds since 1970, with fractions */
static int l_misc_now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  lua_pushnumber(L, (double)t.tv_sec + (double)t.tv_nsec / 1e9);
  return 1;
}

/* log(level, topic, text); level as in the command line's --log-level */
static int l_misc_log(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  int level = ln_log_level_parse(luaL_checkstring(L, 1));
  const char *topic = luaL_checkstring(L, 2), *text = luaL_checkstring(L, 3);
  if (vm->log && level >= 0 && level < LN_LOG_NONE && vm->log->level <= (enum ln_log_level)level)
    ln_log_write_always(vm->log, (enum ln_log_level)level, topic, "%s", text);
  return 0;
}

/* logs(level) -> whether such a line would be written */
static int l_misc_logs(lua_State *L) {
  struct ln_vm *vm = ln_bind_vm(L);
  int level = ln_log_level_parse(luaL_checkstring(L, 1));
  lua_pushboolean(L, vm->log && level >= 0 && vm->log->level <= (enum ln_log_level)level);
  return 1;
}

/* expired() -> whether the time is up for what runs now */
static int l_misc_expired(lua_State *L) {
  lua_pushboolean(L, ln_bind_vm(L)->guard.fired);
  return 1;
}

/* whole_name(text) -> an error's text with the whole name of its file */
static int l_misc_whole_name(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_settop(L, 1);
  ln_vm_whole_name(L, ln_bind_vm(L));
  return 1;
}

/* note_file(path): watched for reload; to be called before it is read, lest a change be missed */
static int l_misc_note_file(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  ln_sources_note(&ln_bind_vm(L)->require.sources, path, ln_source_content(path));
  return 0;
}

/* The text in one write, so that processes which share the file don't mix theirs. 0 or errno. */
static int append(int fd, struct ln_str text) {
  ssize_t n = text.n ? write(fd, text.p, text.n) : 0;
  return n < 0 ? errno : (size_t)n < text.n ? ENOSPC : 0;
}

/* append(path, text) -> the file's permissions, or nil and why. A file that is not there is made
 * for nobody else to read (0600), from its first moment; what a file is already is left as it is.
 * Not 0 is only told of regular files. */
static int l_misc_append(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct ln_str text = ln_bind_str(L, 2);
  struct stat st = {.st_mode = 0};
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
  int err = fd < 0 || fstat(fd, &st) < 0 ? errno : append(fd, text);
  if (fd >= 0) close(fd);
  if (!err) {
    lua_pushinteger(L, S_ISREG(st.st_mode) ? (lua_Integer)(st.st_mode & 0777) : 0);
    return 1;
  }
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", path, strerror(err));
  return 2;
}

/* modules() -> the names of Lunette's own */
static int l_misc_modules(lua_State *L) {
  lua_newtable(L);
  int n = 0;
  for (const struct ln_lua_module *m = ln_lua_modules; m->name; m++) {
    lua_pushstring(L, m->name);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* utf8(s) -> whether it is UTF-8 */
static int l_misc_utf8(lua_State *L) {
  lua_pushboolean(L, ln_utf8_valid(ln_bind_str(L, 1)));
  return 1;
}

/* uri(s) -> its normal form; s itself where there is none */
static int l_misc_uri(lua_State *L) {
  struct ln_str uri = ln_bind_str(L, 1), normal = {lua_newuserdata(L, LN_URI_ROOM(uri.n)), 0};
  struct ln_buf b;
  ln_buf_init(&b, LN_URI_ROOM(uri.n));
  bool made = ln_uri_normal(uri, &b) == LN_OK;
  /* Copied, since nothing may be held while a push can throw. */
  if (made && b.len) memcpy((char *)lua_touserdata(L, -1), b.data, b.len);
  if (made) normal.n = b.len;
  ln_buf_deinit(&b);
  if (!made) normal = uri;
  lua_pushlstring(L, normal.p, normal.n);
  return 1;
}

/* network(s) -> whether it is an address or a network */
static int l_misc_network(lua_State *L) {
  struct ln_network network;
  lua_pushboolean(L, ln_network_read(ln_bind_str(L, 1), &network));
  return 1;
}

/* host(s) -> whether it is a name or an address as Host has them, without a port */
static int l_misc_host(lua_State *L) {
  struct ln_http_host host;
  lua_pushboolean(L, ln_http_host_read(ln_bind_str(L, 1), &host) && !host.has_port);
  return 1;
}

/* origin(s) -> whether it is one as browsers send it */
static int l_misc_origin(lua_State *L) {
  struct ln_http_origin origin;
  lua_pushboolean(L, ln_http_origin_read(ln_bind_str(L, 1), &origin));
  return 1;
}

/* template_split(template, uri) -> { expression, what it stands for, … }, or nil */
static int l_misc_template_split(lua_State *L) {
  struct ln_template_parts parts;
  if (!ln_template_split(ln_bind_str(L, 1), ln_bind_str(L, 2), &parts, NULL)) return 0;
  lua_createtable(L, (int)(2 * parts.n), 0);
  for (size_t i = 0; i < parts.n; i++) {
    lua_pushlstring(L, parts.part[i].expr.p, parts.part[i].expr.n);
    lua_rawseti(L, -2, (int)(2 * i + 1));
    lua_pushlstring(L, parts.part[i].text.p, parts.part[i].text.n);
    lua_rawseti(L, -2, (int)(2 * i + 2));
  }
  return 1;
}

/* uri_climbs(uri) -> whether it has dot segments */
static int l_misc_uri_climbs(lua_State *L) {
  lua_pushboolean(L, ln_uri_climbs(ln_bind_str(L, 1)));
  return 1;
}

/* url_fault(url) -> what is wrong with it, or nil */
static int l_misc_url_fault(lua_State *L) {
  struct ln_url url;
  const char *why = NULL;
  int rc = ln_url_parse(&url, ln_bind_str(L, 1), 0, &why);
  if (rc == LN_ENOMEM) return ln_bind_error(L, "out of memory");
  if (rc) return lua_pushstring(L, why), 1;
  ln_url_deinit(&url);
  return 0;
}

const luaL_Reg ln_bind_misc[] = {{"glob", l_misc_glob},
                                 {"now", l_misc_now},
                                 {"log", l_misc_log},
                                 {"logs", l_misc_logs},
                                 {"utf8", l_misc_utf8},
                                 {"template_split", l_misc_template_split},
                                 {"uri_climbs", l_misc_uri_climbs},
                                 {"whole_name", l_misc_whole_name},
                                 {"expired", l_misc_expired},
                                 {"append", l_misc_append},
                                 {"note_file", l_misc_note_file},
                                 {"uri", l_misc_uri},
                                 {"host", l_misc_host},
                                 {"origin", l_misc_origin},
                                 {"network", l_misc_network},
                                 {"url_fault", l_misc_url_fault},
                                 {"modules", l_misc_modules},
                                 {NULL, NULL}};
