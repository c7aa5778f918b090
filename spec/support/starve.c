/* Memory that runs out, for e2e specs: preloaded into lunette (and nothing it starts), it has the
 * N-th allocation after a read that holds "starve:N" fail, and those up to N + M of "starve:N+M".
 * LuaJIT has an allocator of its own: what is starved is C. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static long from = -1, to = -1; /* allocations until then */

static int starved(void) {
  if (to < 0) return 0;
  to--;
  if (from-- > 0) return 0;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t n) {
  return starved() ? NULL : __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
  return starved() ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
  return starved() ? NULL : __libc_realloc(p, n);
}

ssize_t read(int fd, void *p, size_t n) {
  ssize_t got = syscall(SYS_read, fd, p, n);
  if (got <= 0 || strcmp(program_invocation_short_name, "lunette") != 0) return got;
  char *end;
  const char *at = memmem(p, (size_t)got, "starve:", 7);
  if (!at) return got;
  from = to = strtol(at + 7, &end, 10);
  if (*end == '+') to += strtol(end + 1, NULL, 10);
  return got;
}
