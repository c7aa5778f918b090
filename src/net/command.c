/* The lookup of commands; see command.h. */
#include "net/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

/* The value of name in a NULL-terminated "K=V" list, or NULL. The last one counts. */
static const char *env_value(const char *const *env, const char *name) {
  const char *found = NULL;
  size_t n = strlen(name);
  for (; env && *env; env++)
    if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') found = *env + n + 1;
  return found;
}

/* 0 or an errno. */
static int executable(int dir, const char *path) {
  struct stat st;
  if (fstatat(dir, path, &st, 0)) return errno;
  if (S_ISDIR(st.st_mode)) return EISDIR;
  if (!S_ISREG(st.st_mode)) return EACCES;
  return faccessat(dir, path, X_OK, AT_EACCESS) ? errno : 0;
}

static int put_path(struct ln_buf *path, const char *dir, size_t dir_n, const char *name) {
  ln_buf_clear(path);
  ln_buf_append(path, dir, dir_n);
  if (dir_n) ln_buf_append_c(path, "/");
  return ln_buf_append(path, name, strlen(name) + 1);
}

/* LN_OK with *err 0: found. LN_OK otherwise: the best reason why not is in *err. */
static int search(int dir, const char *dirs, const char *command, struct ln_buf *path, int *err) {
  *err = ENOENT;
  for (;;) {
    size_t n = strcspn(dirs, ":");
    int rc = n ? put_path(path, dirs, n, command) : put_path(path, ".", 1, command);
    if (rc) return rc;
    int e = executable(dir, path->data);
    if (!e || e == EACCES) *err = e;
    if (!e || !dirs[n]) return LN_OK;
    dirs += n + 1;
  }
}

static int explain(struct ln_buf *why, const char *command, const char *what) {
  int rc = ln_buf_printf(why, "%s: %s", command, what);
  return rc ? rc : LN_ENOTFOUND;
}

int ln_command_find(const char *command, const char *const *env, const char *cwd,
                    struct ln_buf *path, struct ln_buf *why) {
  ln_buf_clear(why);
  if (!command || !*command) return explain(why, "no command", "it is empty");
  int rc, err, dir = AT_FDCWD;
  if (cwd && (dir = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
    rc = ln_buf_printf(why, "%s: can't enter the working directory %s: %s", command, cwd,
                       uv_strerror(uv_translate_sys_error(errno)));
    return rc ? rc : LN_ENOTFOUND;
  }
  bool named = strchr(command, '/') != NULL;
  if (named) {
    rc = put_path(path, "", 0, command);
    err = rc ? 0 : executable(dir, path->data);
  } else {
    const char *dirs = env_value(env, "PATH");
    if (!dirs) dirs = getenv("PATH");
    rc = search(dir, dirs ? dirs : default_path, command, path, &err);
  }
  if (dir != AT_FDCWD) close(dir);
  if (rc) {
    /* The reason is short even when memory is. */
    ln_buf_printf(why, "the command: %s", ln_err_text(rc));
    return rc;
  }
  if (!err) return LN_OK;
  switch (err) {
    case ENOENT:
      return explain(
          why, command,
          named ? "no such file or directory" : "no such file or directory (looked for in PATH)");
    case EACCES: return explain(why, command, "permission denied (is it executable?)");
    case EISDIR: return explain(why, command, "is a directory");
    default: return explain(why, command, uv_strerror(uv_translate_sys_error(err)));
  }
}
