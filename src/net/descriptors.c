/* The limit on descriptors; see descriptors.h. The kernel gives the lowest number that is free, so
 * that the number of a fresh one tells how many there are. */
#include "net/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/loop_impl.h"

enum {
  MOST = 1 << 20, /* where the system knows no limit */
  KEPT = 32,      /* or a quarter, where there are few */
  STARTING = 16   /* that libuv needs to start a child, at most */
};

void ln_descriptors_raise(struct ln_loop *l) {
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r)) return;
  rlim_t given = r.rlim_cur;
  r.rlim_cur = LN_MIN(r.rlim_max, (rlim_t)MOST);
  if (r.rlim_cur > given && setrlimit(RLIMIT_NOFILE, &r) == 0) l->child_descriptors = given;
}

int ln_descriptors_kept(const struct ln_loop *l) {
  struct rlimit r;
  (void)l;
  if (getrlimit(RLIMIT_NOFILE, &r)) return MOST;
  int most = (int)LN_MIN(r.rlim_cur, (rlim_t)MOST);
  return most - LN_MIN(KEPT, most / 4);
}

/* The number that the next one gets; the greatest when there is none. */
static int next_number(const struct ln_loop *l) {
  int fd = fcntl(uv_backend_fd(&l->uv), F_DUPFD_CLOEXEC, 0);
  if (fd >= 0) close(fd);
  return fd < 0 ? MOST : fd;
}

bool ln_descriptors_scarce(const struct ln_loop *l) {
  return next_number(l) >= ln_descriptors_kept(l);
}

static void set_soft(uint64_t n) {
  struct rlimit r;
  if (getrlimit(RLIMIT_NOFILE, &r)) return;
  r.rlim_cur = LN_MIN((rlim_t)n, r.rlim_max);
  setrlimit(RLIMIT_NOFILE, &r);
}

bool ln_descriptors_lower(struct ln_loop *l) {
  bool can = l->child_descriptors && (uint64_t)next_number(l) + STARTING < l->child_descriptors;
  if (can) set_soft(l->child_descriptors);
  return can;
}

void ln_descriptors_restore(struct ln_loop *l, bool lowered, int pid) {
  struct rlimit r;
  if (lowered)
    set_soft(MOST);
  else if (l->child_descriptors && pid && !getrlimit(RLIMIT_NOFILE, &r))
    prlimit(pid, RLIMIT_NOFILE, &(struct rlimit){l->child_descriptors, r.rlim_max}, NULL);
}
