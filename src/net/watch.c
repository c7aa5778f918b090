/* File watching on libuv's fs events; see watch.h. */
#include "net/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { REST_MS = 15, EMPTY_MS = 250, POLL_MS = 2000 };
enum { PATH_BYTES = 4096, MAX_LINKS = 40 };

/* What a file is like from outside: any difference is reason to look into it. */
struct stamp {
  dev_t dev;
  ino_t ino;
  off_t size;
  struct timespec mtime, ctime;
};

struct file {
  char *path;
  uint64_t content;      /* as it was read, see ln_source_content */
  struct stamp reported; /* when that was last found to be so, or a change reported */
  struct stamp seen;     /* as of the last look */
};

struct dir {
  uv_fs_event_t handle;
  struct ln_watch *watch; /* NULL: closing */
};

struct ln_watch {
  struct ln_loop *loop;
  void (*fn)(void *arg);
  void *arg;
  struct file *files;
  size_t n_files;
  struct dir **dirs;
  size_t n_dirs;
  struct ln_timer rest, poll;
  bool forced; /* to be reported whether or not anything changed */
};

static struct stamp look(const char *path) {
  struct stat st;
  struct stamp s;
  memset(&s, 0, sizeof s); /* padding too: stamps are compared as bytes */
  if (stat(path, &st)) return s;
  s.dev = st.st_dev;
  s.ino = st.st_ino;
  s.size = st.st_size;
  s.mtime = st.st_mtim;
  s.ctime = st.st_ctim;
  return s;
}

static bool same(const struct stamp *a, const struct stamp *b) {
  return memcmp(a, b, sizeof *a) == 0;
}

/* --- noticing --- */

/* Whether any file that looks different has something else in it. */
static bool look_into(struct ln_watch *w) {
  bool differs = false;
  for (size_t i = 0; i < w->n_files; i++) {
    struct file *f = &w->files[i];
    if (same(&f->reported, &f->seen)) continue;
    f->reported = f->seen;
    differs |= ln_source_content(f->path) != f->content;
  }
  return differs;
}

static void on_rest(struct ln_timer *t) {
  struct ln_watch *w = LN_CONTAINER(t, struct ln_watch, rest);
  bool moving = false, changed = false, empty = false;
  for (size_t i = 0; i < w->n_files; i++) {
    struct stamp now = look(w->files[i].path);
    moving |= !same(&now, &w->files[i].seen);
    w->files[i].seen = now;
    if (same(&now, &w->files[i].reported)) continue;
    changed = true;
    empty |= now.size == 0;
  }
  if (!changed && !w->forced) return;
  if (moving) {
    /* Nothing, or nothing yet, in it: give its writer more time. */
    ln_timer_start(w->loop, &w->rest, empty ? EMPTY_MS : REST_MS, on_rest);
    return;
  }
  bool report = look_into(w) || w->forced;
  w->forced = false;
  if (report) w->fn(w->arg);
}

static void notice(struct ln_watch *w) {
  if (!ln_timer_running(&w->rest)) ln_timer_start(w->loop, &w->rest, 1, on_rest);
}

void ln_watch_ask(struct ln_watch *w) {
  w->forced = true;
  notice(w);
}

bool ln_watch_moved(const struct ln_watch *w, const struct ln_sources *read) {
  for (size_t i = 0; i < w->n_files; i++) {
    const struct file *f = &w->files[i];
    struct stamp now = look(f->path);
    if (same(&now, &f->seen)) continue;
    for (size_t k = 0; k < read->n; k++) {
      if (strcmp(read->at[k].path, f->path) != 0) continue;
      if (now.size == 0 || ln_source_content(f->path) != read->at[k].content) return true;
    }
  }
  return false;
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status) {
  (void)name;
  (void)events;
  (void)status;
  struct dir *d = LN_CONTAINER(handle, struct dir, handle);
  if (d->watch) notice(d->watch);
}

static void on_poll(struct ln_timer *t) {
  struct ln_watch *w = LN_CONTAINER(t, struct ln_watch, poll);
  notice(w);
  ln_timer_start(w->loop, &w->poll, POLL_MS, on_poll);
}

/* --- directories --- */

static void dir_closed(uv_handle_t *h) {
  free(LN_CONTAINER((uv_fs_event_t *)h, struct dir, handle));
}

static void drop_dirs(struct ln_watch *w) {
  for (size_t i = 0; i < w->n_dirs; i++) {
    w->dirs[i]->watch = NULL;
    uv_close((uv_handle_t *)&w->dirs[i]->handle, dir_closed);
  }
  free(w->dirs);
  w->dirs = NULL;
  w->n_dirs = 0;
}

static bool watched(const struct ln_watch *w, const char *path) {
  char have[4096];
  for (size_t i = 0; i < w->n_dirs; i++) {
    size_t n = sizeof have;
    if (uv_fs_event_getpath(&w->dirs[i]->handle, have, &n) == 0 && n == strlen(path) &&
        memcmp(have, path, n) == 0)
      return true;
  }
  return false;
}

static int add_dir(struct ln_watch *w, const char *path) {
  if (watched(w, path)) return LN_OK;
  struct dir **grown = realloc(w->dirs, (w->n_dirs + 1) * sizeof(struct dir *));
  if (!grown) return LN_ENOMEM;
  w->dirs = grown;
  struct dir *d = calloc(1, sizeof *d);
  if (!d) return LN_ENOMEM;
  d->watch = w;
  if (uv_fs_event_init(ln_loop_uv(w->loop), &d->handle)) {
    free(d);
    return LN_OK; /* the poll remains */
  }
  w->dirs[w->n_dirs++] = d;
  uv_unref((uv_handle_t *)&d->handle);
  int rc = uv_fs_event_start(&d->handle, on_event, path, 0);
  if (rc)
    LN_LOG(ln_loop_log(w->loop), DEBUG, "watch", "%s can't be watched, only polled: %s", path,
           uv_strerror(rc));
  return LN_OK;
}

/* The directory that holds the last component of path's first n bytes. */
static int add_parent(struct ln_watch *w, const char *path, size_t n) {
  char parent[PATH_BYTES];
  const char *slash = memrchr(path, '/', n);
  snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 0, path);
  return add_dir(w, *parent ? parent : slash ? "/" : ".");
}

/* How many bytes of path name its first symbolic link; 0: there is none. */
static size_t first_link(const char *path) {
  char prefix[PATH_BYTES];
  size_t len = strlen(path);
  for (size_t i = 1; i <= len; i++) {
    if (path[i] != '/' && path[i] != '\0') continue;
    snprintf(prefix, sizeof prefix, "%.*s", (int)i, path);
    struct stat st;
    if (lstat(prefix, &st)) return 0;
    if (S_ISLNK(st.st_mode)) return i;
  }
  return 0;
}

/* Puts where it leads in the place of the link that path's first n bytes name. */
static bool follow(char path[PATH_BYTES], size_t n) {
  char link[PATH_BYTES], target[PATH_BYTES], whole[PATH_BYTES];
  snprintf(link, sizeof link, "%.*s", (int)n, path);
  ssize_t got = readlink(link, target, sizeof target - 1);
  if (got <= 0) return false;
  target[got] = '\0';
  char *slash = strrchr(link, '/');
  if (slash && *target != '/')
    slash[1] = '\0';
  else
    *link = '\0';
  if ((size_t)snprintf(whole, sizeof whole, "%s%s%s", link, target, path + n) >= sizeof whole)
    return false;
  memcpy(path, whole, strlen(whole) + 1);
  return true;
}

/* Every directory whose entries decide what path leads to: those of all links on the way too. */
static int add_dirs(struct ln_watch *w, const char *path) {
  char at[PATH_BYTES];
  if ((size_t)snprintf(at, sizeof at, "%s", path) >= sizeof at) return LN_OK;
  int rc = LN_OK;
  for (int i = 0; i < MAX_LINKS && !rc; i++) {
    size_t n = first_link(at);
    rc = add_parent(w, at, n ? n : strlen(at));
    if (!n || !follow(at, n)) break;
  }
  return rc;
}

/* --- life --- */

struct ln_watch *ln_watch_new(struct ln_loop *l, void (*fn)(void *arg), void *arg) {
  struct ln_watch *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->loop = l;
  w->fn = fn;
  w->arg = arg;
  ln_timer_init(&w->rest);
  ln_timer_init(&w->poll);
  ln_timer_start(l, &w->poll, POLL_MS, on_poll);
  return w;
}

static void drop_files(struct ln_watch *w) {
  for (size_t i = 0; i < w->n_files; i++) free(w->files[i].path);
  free(w->files);
  w->files = NULL;
  w->n_files = 0;
}

int ln_watch_set(struct ln_watch *w, const struct ln_sources *files) {
  struct file *fresh = calloc(files->n + 1, sizeof *fresh);
  if (!fresh) return LN_ENOMEM;
  drop_dirs(w);
  drop_files(w);
  w->files = fresh;
  int rc = LN_OK;
  bool differs = false;
  for (size_t i = 0; i < files->n && !rc; i++) {
    struct file *f = &fresh[i];
    f->path = strdup(files->at[i].path);
    f->content = files->at[i].content;
    if (!f->path) return LN_ENOMEM;
    w->n_files++;
    rc = add_dirs(w, f->path);
    /* From here on changes are noticed. One that is there already has not been seen at rest: it may
     * be cut short at this moment. */
    f->seen = f->reported = look(f->path);
    if (ln_source_content(f->path) == f->content) continue;
    memset(&f->reported, 0, sizeof f->reported);
    memset(&f->seen, 0, sizeof f->seen);
    f->reported.size = f->seen.size = -1;
    differs = true;
  }
  if (differs) notice(w);
  return rc;
}

void ln_watch_free(struct ln_watch *w) {
  if (!w) return;
  ln_timer_stop(&w->rest);
  ln_timer_stop(&w->poll);
  drop_dirs(w);
  drop_files(w);
  free(w);
}
