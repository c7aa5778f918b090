/* See orphans.h. The kernel lists the children of a thread in /proc, if it was built with that;
 * else none is found. */
#include "net/orphans.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_ORPHANS = 256, TERM_MS = 200 };

/* Adds the children of a process that are in our group. Their parents come first in the list. */
static size_t add_children(pid_t of, pid_t *pids, size_t n) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)of, (int)of);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return n;
  ssize_t len = read(fd, text, sizeof text - 1);
  close(fd);
  if (len <= 0) return n;
  text[len] = 0;
  char *at = text, *end;
  for (long pid; (pid = strtol(at, &end, 10)) > 0 && *end == ' ' && n < MAX_ORPHANS; at = end)
    if (getpgid((pid_t)pid) == getpgrp()) pids[n++] = (pid_t)pid;
  return n;
}

/* All descendants in our group, each sent the signal (0: none) before its children are looked for.
 */
static size_t collect(pid_t *pids, int signum) {
  size_t n = add_children(getpid(), pids, 0);
  for (size_t i = 0; i < n; i++) {
    kill(pids[i], signum);
    n = add_children(pids[i], pids, n);
  }
  return n;
}

static void kill_all(const pid_t *pids, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (getpgid(pids[i]) == getpgrp()) kill(pids[i], SIGKILL);
}

void ln_orphans_end(void) {
  pid_t pids[MAX_ORPHANS], last[MAX_ORPHANS];
  size_t n = collect(pids, 0);
  if (!n) return;
  for (size_t i = 0; i < n; i++) {
    kill(pids[i], SIGTERM);
    kill(pids[i], SIGCONT); /* a stopped process gets the other signal only then */
  }
  poll(NULL, 0, TERM_MS);
  kill_all(last, collect(last, SIGSTOP)); /* one that is stopped starts no more */
  kill_all(pids, n);                      /* also those whose parents have gone */
}
