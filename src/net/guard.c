/* The guard process and the line to it; see guard.h.
 *
 * It holds one end of a socket pair and nothing else. Groups are added and removed with one message
 * each; when the other end closes, which it does in whatever way Lunette ends, the guard
 * ends the groups it still has and exits.
 *
 * It is forked from a process that may have threads, and never execs: from the fork on it may only
 * make calls that are safe in a signal handler. Its memory was made before. It is forked twice, so
 * that it is no child of Lunette's: nothing to reap, and libuv doesn't meet it. */
#include "net/guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  MAX_PID = 1 << 22, /* Linux's own limit */
  STEP_MS = 20,
  TERM_MS = 1000, /* from TERM to KILL */
  FREE_MS = 1000  /* how long freeing the loop waits for it to be gone */
};

struct ln_guard {
  int fd;
  struct ln_list groups;
};

/* One bit per process group: as large as it can get, and only touched pages are real. */
struct set {
  uint64_t bits[MAX_PID / 64];
};

/* --- in the guard --- */

static void close_all_but_0(void) {
  if (close_range(1, ~0u, 0) == 0) return;
  struct rlimit limit;
  int max = 1 << 16;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (1 << 20))
    max = (int)limit.rlim_cur;
  for (int fd = 1; fd < max; fd++) close(fd);
}

static void be_deaf(void) {
  static const int ignored[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT, SIGPIPE,
                                SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP};
  /* Handlers of Lunette's would write to descriptors that are gone, or are something else now. */
  for (int i = 1; i < 32; i++) signal(i, SIG_DFL);
  for (size_t i = 0; i < LN_COUNT(ignored); i++) signal(ignored[i], SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Signals every group of the set, drops those that are gone; whether any is left. */
static bool signal_groups(struct set *set, int signum) {
  bool left = false;
  for (size_t i = 0; i < LN_COUNT(set->bits); i++) {
    for (uint64_t word = set->bits[i]; word; word &= word - 1) {
      int bit = __builtin_ctzll(word), group = (int)i * 64 + bit;
      if (kill(-group, signum) < 0 && errno == ESRCH)
        set->bits[i] &= ~(1ULL << bit);
      else
        left = true;
    }
  }
  return left;
}

static void end_groups(struct set *set) {
  if (!signal_groups(set, SIGTERM)) return;
  signal_groups(set, SIGCONT); /* a stopped process gets the other signal only then */
  for (int waited = 0; waited < TERM_MS; waited += STEP_MS) {
    poll(NULL, 0, STEP_MS);
    if (!signal_groups(set, 0)) return;
  }
  signal_groups(set, SIGKILL);
}

static void guard_main(int fd, struct set *set) LN_NORETURN;
static void guard_main(int fd, struct set *set) {
  size_t count = 0;
  setsid();
  be_deaf();
  if (fd != 0) dup2(fd, 0);
  close_all_but_0();
  if (chdir("/")) {
  } /* hold no mount; if it can't be, it can't */
  prctl(PR_SET_NAME, "lunette-guard");
  for (;;) {
    int32_t m;
    ssize_t n = read(0, &m, sizeof m);
    if (n < 0 && errno == EINTR) continue;
    if (n != sizeof m) break;
    uint32_t group = (uint32_t)(m < 0 ? -m : m);
    if (group < 2 || group >= MAX_PID) continue;
    uint64_t bit = 1ULL << (group % 64), *word = &set->bits[group / 64];
    if (m > 0 && !(*word & bit)) *word |= bit, count++;
    if (m < 0 && (*word & bit)) *word &= ~bit, count--;
  }
  if (count) end_groups(set);
  _exit(0);
}

/* --- in Lunette --- */

static void send_group(struct ln_guard *g, int32_t m) {
  ssize_t n;
  /* The socket blocks: the guard only ever reads, so there is always room soon. */
  do n = send(g->fd, &m, sizeof m, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n < 0) {
    /* It was killed. The next child starts a new one, which gets all groups. */
    close(g->fd);
    g->fd = -1;
  }
}

/* Forks twice; the first child's only task is to go. */
static pid_t fork_guard(int mine, int its, struct set *set) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pid_t pid = fork();
  if (pid == 0) {
    close(mine);
    pid_t guard = fork();
    if (guard == 0) guard_main(its, set);
    _exit(guard < 0);
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return pid;
}

static int start(struct ln_guard *g) {
  int rc = LN_ESYSTEM, fds[2], status = 1;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)) return rc;
  struct set *set =
      mmap(NULL, sizeof *set, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (set == MAP_FAILED) goto fail;
  pid_t pid = fork_guard(fds[0], fds[1], set);
  munmap(set, sizeof *set);
  if (pid < 0) goto fail;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status) goto fail;
  close(fds[1]);
  g->fd = fds[0];
  LN_LIST_EACH(it, &g->groups) {
    if (g->fd >= 0) send_group(g, LN_CONTAINER(it, struct ln_guarded, link)->group);
  }
  return LN_OK;
fail:
  close(fds[0]);
  close(fds[1]);
  return rc;
}

int ln_guard_ready(struct ln_loop *l) {
  if (!l->guard) {
    l->guard = calloc(1, sizeof *l->guard);
    if (!l->guard) return LN_ENOMEM;
    l->guard->fd = -1;
    ln_list_init(&l->guard->groups);
  }
  return l->guard->fd >= 0 ? LN_OK : start(l->guard);
}

void ln_guard_add(struct ln_loop *l, struct ln_guarded *g, int group) {
  g->group = group;
  ln_list_push(&l->guard->groups, &g->link);
  if (l->guard->fd >= 0) send_group(l->guard, group);
}

void ln_guard_remove(struct ln_loop *l, struct ln_guarded *g) {
  if (!g->group) return;
  ln_list_remove(&g->link);
  if (l->guard->fd >= 0) send_group(l->guard, -g->group);
  g->group = 0;
}

void ln_guard_free(struct ln_loop *l) {
  struct ln_guard *g = l->guard;
  if (!g) return;
  LN_ASSERT(ln_list_empty(&g->groups));
  if (g->fd >= 0) {
    /* It closes its end by exiting: then nothing of us is left behind when we are gone. */
    shutdown(g->fd, SHUT_WR);
    poll(&(struct pollfd){.fd = g->fd, .events = POLLIN}, 1, FREE_MS);
    close(g->fd);
  }
  free(g);
  l->guard = NULL;
}
