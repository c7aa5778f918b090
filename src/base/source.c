/* See source.h. */
#include "base/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"

enum { STEP = 16384, MAX_BYTES = 256 << 20 };

static int read_all(int fd, struct ln_buf *out) {
  for (;;) {
    int rc = ln_buf_reserve(out, STEP);
    if (rc) return rc;
    ssize_t n = read(fd, out->data + out->len, STEP);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return LN_ESYSTEM;
    if (n == 0) return LN_OK;
    out->len += (size_t)n;
  }
}

/* What can be read once only (a pipe) never changes. */
static uint64_t content_of(int fd, struct ln_str text) {
  struct stat st;
  if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return 0;
  uint64_t h = ln_hash(text);
  return h ? h : 1;
}

int ln_sources_read(struct ln_sources *s, const char *path, struct ln_buf *out) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  size_t from = out->len;
  int rc = fd < 0 ? LN_ESYSTEM : read_all(fd, out), why = errno;
  uint64_t content = 0;
  if (!rc) content = content_of(fd, (struct ln_str){out->data + from, out->len - from});
  if (fd >= 0) close(fd);
  ln_sources_note(s, path, content);
  errno = why;
  return rc;
}

uint64_t ln_source_content(const char *path) {
  struct stat st;
  struct ln_buf text;
  if (stat(path, &st) || !S_ISREG(st.st_mode)) return 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return 0;
  ln_buf_init(&text, MAX_BYTES);
  uint64_t content = read_all(fd, &text) ? 0 : content_of(fd, ln_buf_str(&text));
  ln_buf_deinit(&text);
  close(fd);
  return content;
}

void ln_sources_note(struct ln_sources *s, const char *path, uint64_t content) {
  for (size_t i = 0; i < s->n; i++) {
    if (strcmp(s->at[i].path, path) != 0) continue;
    s->at[i].content = content;
    return;
  }
  struct ln_source *grown = realloc(s->at, (s->n + 1) * sizeof *grown);
  if (!grown) return;
  s->at = grown;
  grown[s->n] = (struct ln_source){strdup(path), content};
  if (grown[s->n].path) s->n++;
}

void ln_sources_add(struct ln_sources *s, const struct ln_sources *more) {
  for (size_t i = 0; i < more->n; i++) ln_sources_note(s, more->at[i].path, more->at[i].content);
}

void ln_sources_deinit(struct ln_sources *s) {
  for (size_t i = 0; i < s->n; i++) free(s->at[i].path);
  free(s->at);
  *s = (struct ln_sources){NULL, 0};
}
