/* stdin and stdout out of a policy's reach: moved away, with something harmless in their places. */
#include "bind/shield.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Moves fd to a number that is nobody's; -1 when it can't be. */
static int move(int fd, int instead) {
  if (instead < 0) return -1;
  int kept = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (kept >= 0) dup2(instead, fd);
  return kept;
}

static void move_back(int kept, int fd) {
  if (kept < 0) return;
  dup2(kept, fd);
  close(kept);
}

struct ln_shield ln_shield_up(void) {
  fflush(stdout);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  struct ln_shield s = {move(STDIN_FILENO, null), -1};
  s.out = move(STDOUT_FILENO, fcntl(STDERR_FILENO, F_GETFD) < 0 ? null : STDERR_FILENO);
  if (null >= 0) close(null);
  return s;
}

void ln_shield_down(const struct ln_shield *s) {
  fflush(stdout); /* what code of the policy's has left in libc's own buffer */
  move_back(s->in, STDIN_FILENO);
  move_back(s->out, STDOUT_FILENO);
}
