/* The file of a secret; see secret.h. A file that can't be trusted is never mended: whose it is
 * must look why. */
#include "net/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER = 0700 };

static int explain(char *why, int rc, const char *fmt, ...) LN_PRINTF(3, 4);
static int explain(char *why, int rc, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(why, LN_SECRET_WHY, fmt, ap);
  va_end(ap);
  return rc;
}

static int failed(char *why, const char *what, const char *path) {
  return explain(why, LN_ESYSTEM, "%s can't be %s: %s", path, what, strerror(errno));
}

/* --- where --- */

/* The folders of a path, each that is missing. What can't be made shows when the file is. */
static void make_folders(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    int rc = mkdir(path, FOLDER);
    (void)rc;
    *slash = '/';
  }
}

/* An absolute path that a variable holds: others are to be ignored (XDG Base Directory). */
static const char *folder_in(const char *variable) {
  const char *path = getenv(variable);
  return path && *path == '/' ? path : NULL;
}

char *ln_secret_place(const char *name, char why[LN_SECRET_WHY]) {
  const char *state = folder_in("XDG_STATE_HOME"), *home = folder_in("HOME");
  char *path = NULL;
  if (!state && !home) {
    explain(why, LN_ESYSTEM, "neither XDG_STATE_HOME nor HOME says where");
    return NULL;
  }
  if (asprintf(&path, "%s%s/lunette/%s", state ? state : home, state ? "" : "/.local/state", name) <
      0) {
    explain(why, LN_ENOMEM, "out of memory");
    return NULL;
  }
  make_folders(path);
  return path;
}

/* --- what is there --- */

static int check(const char *path, const struct stat *st, char *why) {
  /* Who reads a file of root's without being root is of its group. */
  bool roots = st->st_uid == 0 && geteuid() != 0;
  if (!S_ISREG(st->st_mode)) return explain(why, LN_EREFUSED, "%s is not a regular file", path);
  if (st->st_uid != geteuid() && !roots)
    return explain(why, LN_EREFUSED, "%s belongs to another user (%lu)", path,
                   (unsigned long)st->st_uid);
  if (st->st_mode & (roots ? 037 : 077))
    return explain(
        why, LN_EREFUSED,
        "%s can be used by others (its mode is %03o): if nobody has read it, chmod 600 it, "
        "else remove it",
        path, (unsigned)st->st_mode & 0777);
  if (st->st_size != LN_SECRET_BYTES)
    return explain(why, LN_EREFUSED,
                   "%s must hold %d random bytes, not %lld: remove it, and it is made anew", path,
                   LN_SECRET_BYTES, (long long)st->st_size);
  return LN_OK;
}

/* LN_ENOTFOUND: it is not there. A pipe must not make us wait, nor be waited for. */
static int load(const char *path, unsigned char *secret, char *why) {
  struct stat st;
  unsigned char bytes[LN_SECRET_BYTES];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return errno == ENOENT ? LN_ENOTFOUND : failed(why, "read", path);
  int rc = fstat(fd, &st) ? failed(why, "read", path) : check(path, &st, why);
  if (!rc && read(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes)
    rc = explain(why, LN_ESYSTEM, "%s can't be read whole", path);
  if (!rc) memcpy(secret, bytes, sizeof bytes);
  close(fd);
  return rc;
}

/* --- making it --- */

/* Written under another name first and then linked, unless the file exists by now, so that no
 * process ever reads a part of it. */
static int make(const char *path, char *why) {
  unsigned char bytes[LN_SECRET_BYTES];
  char *temporary = NULL;
  int rc = LN_OK, fd = -1;
  if (asprintf(&temporary, "%s.XXXXXX", path) < 0) return explain(why, LN_ENOMEM, "out of memory");
  fd = mkostemp(temporary, O_CLOEXEC);
  if (fd < 0) {
    rc = failed(why, "made", path);
    goto out;
  }
  if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes || fchmod(fd, 0600) ||
      write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes || fsync(fd) ||
      (link(temporary, path) && errno != EEXIST))
    rc = failed(why, "made", path);
  unlink(temporary);
  close(fd);
out:
  free(temporary);
  return rc;
}

int ln_secret_load(const char *path, unsigned char secret[LN_SECRET_BYTES],
                   char why[LN_SECRET_WHY]) {
  int rc = load(path, secret, why);
  if (rc != LN_ENOTFOUND) return rc;
  rc = make(path, why);
  if (rc) return rc;
  rc = load(path, secret, why);
  return rc == LN_ENOTFOUND ? explain(why, LN_ESYSTEM, "%s leads nowhere", path) : rc;
}
