/* Children. Each leads a session and a process group of its own, talks over three pipes that are
 * streams here, and can't gain privileges that we don't have. See process.h for how it ends.
 *
 * Life, after a start that worked: the child exits (on_uv_exit) → what is left of its group gets
 * TERM, then KILL → both outputs are read to their end, for a moment at most, should something
 * that left the group still hold them → all is closed → on_exit. `settle` takes the next step
 * whenever one of these has come true.
 *
 * Invariant: the guard knows the group from the start until it is gone or was sent KILL. */
#include "net/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/command.h"
#include "net/descriptors.h"
#include "net/guard.h"

enum {
  DEFAULT_MS = 2000,
  LEFT_STEP_MS = 10,  /* how often we look whether the rest of a group has gone */
  LEFT_TERM_MS = 500, /* what the rest has from TERM to KILL */
  DRAIN_MS = 500,     /* for the ends of the outputs, when all who should hold them are dead */
  MAX_PATH_BYTES = 8192
};

enum pipe_end { STDIN, STDOUT, STDERR };

struct ln_process {
  uv_process_t uv;
  struct ln_loop *loop;
  const struct ln_process_ops *ops;
  void *arg;
  struct ln_stream *pipe[3]; /* NULL once closed */
  bool ended[3];             /* outputs: their end was read */
  struct ln_guarded guarded;
  struct ln_timer timer; /* of the ladder, then of the rest of the group, then of the outputs */
  uint64_t term_after_ms, kill_after_ms;
  uint64_t left_since;
  int group;
  int status, signal;
  bool ending; /* the ladder was begun */
  bool termed, killed;
  bool asked; /* by the owner, who waits for the end now, not for output */
  bool paused;
  bool signalled; /* termed or killed before it exited */
  bool exited;
  bool group_done;
  bool drained; /* enough waiting for the outputs */
  bool uv_closed;
};

static void begin_end(struct ln_process *p);
static void settle(struct ln_process *p);
static const struct ln_stream_ops pipe_ops[3];

/* --- starting --- */

static void close_pair(int pair[2]) {
  for (int i = 0; i < 2; i++)
    if (pair[i] >= 0) close(pair[i]);
  pair[0] = pair[1] = -1;
}

/* Whatever some library opened without O_CLOEXEC must not reach the child. */
static void seal_descriptors(void) {
#ifdef CLOSE_RANGE_CLOEXEC
  if (close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0) return;
#endif
  uv_disable_stdio_inheritance();
}

/* libuv's interface lacks the const; it doesn't write to what these point at. */
static char **build_argv(const struct ln_process_opts *o) {
  size_t n = 0;
  while (o->args && o->args[n]) n++;
  char **argv = malloc((n + 2) * sizeof *argv);
  if (!argv) return NULL;
  argv[0] = (char *)o->command;
  for (size_t i = 0; i < n; i++) argv[i + 1] = (char *)o->args[i];
  argv[n + 1] = NULL;
  return argv;
}

static void on_uv_exit(uv_process_t *uv, int64_t status, int signum);

struct start {
  struct ln_loop *loop;
  uv_process_t *uv;
  const uv_process_options_t *opts;
  int rc;
};

static void start_with_our_limits(struct start *s) {
  bool lowered = ln_descriptors_lower(s->loop);
  s->rc = uv_spawn(&s->loop->uv, s->uv, s->opts);
  ln_descriptors_restore(s->loop, lowered, s->rc ? 0 : uv_process_get_pid(s->uv));
}

static void *start_thread(void *arg) {
  struct start *s = arg;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    s->rc = uv_translate_sys_error(errno);
  else
    start_with_our_limits(s);
  return NULL;
}

/* uv_spawn for a child in which no setuid program, nor one with file capabilities, gains anything.
 * That is a thread's property which fork and exec hand on and nobody can take back, and libuv calls
 * nothing of ours in the child. So a thread that lives for this only gives it up: what a policy
 * starts itself keeps what its owner has. We wait for it, so that nobody else is at the loop. */
static int spawn_without_privileges(struct ln_process *p, const uv_process_options_t *opts) {
  struct start s = {p->loop, &p->uv, opts, 0};
  sigset_t all, old;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the loop's thread's */
  int rc = pthread_create(&thread, NULL, start_thread, &s);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (rc) return uv_translate_sys_error(rc);
  pthread_join(thread, NULL);
  return s.rc;
}

/* Real pipes, not the socket pairs libuv would make: a child may open /dev/stdin. */
static int spawn(struct ln_process *p, const struct ln_process_opts *o, const char *path,
                 char **argv, int pairs[3][2]) {
  uv_stdio_container_t stdio[3];
  for (int i = 0; i < 3; i++) {
    stdio[i].flags = UV_INHERIT_FD;
    stdio[i].data.fd = pairs[i][i == STDIN ? 0 : 1];
  }
  uv_process_options_t opts = {.exit_cb = on_uv_exit,
                               .file = path,
                               .args = argv,
                               .env = (char **)o->env,
                               .cwd = o->cwd,
                               .flags = UV_PROCESS_DETACHED,
                               .stdio_count = 3,
                               .stdio = stdio};
  seal_descriptors();
  int rc = spawn_without_privileges(p, &opts);
  p->uv.data = p;
  return rc;
}

static void on_failed_closed(uv_handle_t *h) {
  free(h->data);
}

static void on_reaped_closed(uv_handle_t *h) {
  struct ln_process *p = h->data;
  p->uv_closed = true;
  settle(p);
}

static const char *spawn_words(struct ln_loop *l, const char *command, int rc) {
  /* The file was found before: what is missing now is what its first line names. */
  const char *hint = rc == UV_ENOENT ? " (the interpreter in its first line?)" : "";
  return ln_loop_why(l, "%s: %s%s", command, uv_strerror(rc), hint);
}

/* The parent's ends become streams. When that fails the child is ended like any other. */
static void open_pipes(struct ln_process *p, int pairs[3][2]) {
  for (int i = 0; i < 3; i++) {
    int mine = i == STDIN ? 1 : 0;
    p->pipe[i] = ln_stream_open(p->loop, pairs[i][mine], &pipe_ops[i], p);
    if (!p->pipe[i]) {
      ln_process_kill(p);
      continue;
    }
    pairs[i][mine] = -1;
    if (i != STDIN) ln_stream_read_start(p->pipe[i]);
  }
}

/* Sees to the guard and makes the pipes, in this order: a fresh guard takes a moment to close what
 * it was forked with, and the end of a pipe that it holds would look like the child's. An error has
 * its *why. */
static int prepare(struct ln_loop *l, const char *command, int pairs[3][2], const char **why) {
  int rc = ln_guard_ready(l);
  for (int i = 0; i < 3 && !rc; i++)
    if (pipe2(pairs[i], O_CLOEXEC)) rc = LN_ESYSTEM;
  if (rc) *why = ln_loop_why(l, "%s: %s", command, uv_strerror(uv_translate_sys_error(errno)));
  return rc;
}

/* Starts the child and gives it its streams. p is owned by libuv's handle from here on: on failure
 * it is freed when that has closed, at once if libuv was not even asked. */
static int launch(struct ln_process *p, const struct ln_process_opts *o, const char *path,
                  char **argv, int pairs[3][2], const char **why) {
  int rc = spawn(p, o, path, argv, pairs);
  if (rc) {
    *why = spawn_words(p->loop, o->command, rc);
    if (p->uv.type == UV_UNKNOWN_HANDLE)
      free(p);
    else
      uv_close((uv_handle_t *)&p->uv, on_failed_closed);
    return LN_ESYSTEM;
  }
  p->group = uv_process_get_pid(&p->uv);
  /* If we end between the fork and here, only the end of its stdin can make it end. */
  ln_guard_add(p->loop, &p->guarded, p->group);
  open_pipes(p, pairs);
  *why = NULL;
  return LN_OK;
}

int ln_process_spawn(struct ln_loop *l, const struct ln_process_opts *opts,
                     const struct ln_process_ops *ops, void *arg, struct ln_process **out,
                     const char **why) {
  int pairs[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, rc = LN_ENOMEM;
  struct ln_buf path, reason;
  ln_buf_init(&path, MAX_PATH_BYTES);
  ln_buf_init(&reason, MAX_PATH_BYTES);
  *why = ln_err_text(LN_ENOMEM);
  char **argv = build_argv(opts);
  struct ln_process *p = calloc(1, sizeof *p);
  if (!p || !argv) goto done;
  rc = ln_command_find(opts->command, opts->env, opts->cwd, &path, &reason);
  if (rc) {
    *why = ln_loop_why(l, "%s", reason.len ? reason.data : ln_err_text(rc));
    rc = LN_ESYSTEM;
    goto done;
  }
  rc = prepare(l, opts->command, pairs, why);
  if (rc) goto done;
  p->loop = l;
  p->ops = ops;
  p->arg = arg;
  p->term_after_ms = opts->term_after_ms ? opts->term_after_ms : DEFAULT_MS;
  p->kill_after_ms = opts->kill_after_ms ? opts->kill_after_ms : DEFAULT_MS;
  ln_timer_init(&p->timer);
  rc = launch(p, opts, path.data, argv, pairs, why);
  if (!rc) *out = p;
  p = NULL;
done:
  for (int i = 0; i < 3; i++) close_pair(pairs[i]);
  ln_buf_deinit(&path);
  ln_buf_deinit(&reason);
  free(argv);
  free(p);
  return rc;
}

int ln_process_pid(const struct ln_process *p) {
  return p->group;
}

bool ln_process_signalled(const struct ln_process *p) {
  return p->signalled;
}

/* --- the pipes --- */

static void on_stdout_read(void *arg, const char *s, size_t n) {
  struct ln_process *p = arg;
  if (p->ops->on_stdout) p->ops->on_stdout(p->arg, s, n);
}

static void on_stderr_read(void *arg, const char *s, size_t n) {
  struct ln_process *p = arg;
  if (p->ops->on_stderr) p->ops->on_stderr(p->arg, s, n);
}

static void on_stdin_drain(void *arg) {
  struct ln_process *p = arg;
  if (p->ops->on_drain) p->ops->on_drain(p->arg);
}

/* The child closed its stdin, or went: it can't be spoken to any more. */
static void on_stdin_end(void *arg, int err) {
  struct ln_process *p = arg;
  (void)err;
  begin_end(p);
  if (p->ops->on_stdin_broken) p->ops->on_stdin_broken(p->arg);
}

static void on_stdout_end(void *arg, int err) {
  struct ln_process *p = arg;
  (void)err;
  if (p->ended[STDOUT]) return;
  p->ended[STDOUT] = true;
  if (p->ops->on_stdout_end) p->ops->on_stdout_end(p->arg);
  settle(p);
}

static void on_stderr_end(void *arg, int err) {
  struct ln_process *p = arg;
  (void)err;
  p->ended[STDERR] = true;
  settle(p);
}

static void on_stdin_closed(void *arg) {
  struct ln_process *p = arg;
  p->pipe[STDIN] = NULL;
  settle(p);
}

static void on_stdout_closed(void *arg) {
  struct ln_process *p = arg;
  p->pipe[STDOUT] = NULL;
  settle(p);
}

static void on_stderr_closed(void *arg) {
  struct ln_process *p = arg;
  p->pipe[STDERR] = NULL;
  settle(p);
}

static const struct ln_stream_ops pipe_ops[3] = {
    [STDIN] = {.on_end = on_stdin_end, .on_drain = on_stdin_drain, .on_closed = on_stdin_closed},
    [STDOUT] = {.on_read = on_stdout_read, .on_end = on_stdout_end, .on_closed = on_stdout_closed},
    [STDERR] = {.on_read = on_stderr_read, .on_end = on_stderr_end, .on_closed = on_stderr_closed},
};

int ln_process_write(struct ln_process *p, const struct ln_iov *parts, size_t n) {
  if (p->ending || p->exited || !p->pipe[STDIN]) return LN_ECLOSED;
  return ln_stream_write(p->pipe[STDIN], parts, n);
}

size_t ln_process_queued(const struct ln_process *p) {
  return p->pipe[STDIN] ? ln_stream_queued(p->pipe[STDIN]) : 0;
}

void ln_process_read_stop(struct ln_process *p) {
  p->paused = true;
  if (p->pipe[STDOUT]) ln_stream_read_stop(p->pipe[STDOUT]);
}

void ln_process_read_start(struct ln_process *p) {
  p->paused = false;
  if (p->pipe[STDOUT]) ln_stream_read_start(p->pipe[STDOUT]);
  settle(p);
}

/* --- ending --- */

static void signal_group(struct ln_process *p, int signum) {
  if (!p->group_done) kill(-p->group, signum);
}

static void send_term(struct ln_process *p) {
  if (p->termed) return;
  p->termed = true;
  signal_group(p, SIGTERM);
  signal_group(p, SIGCONT); /* a stopped process gets the other signal only then */
}

static void on_kill_time(struct ln_timer *t) {
  struct ln_process *p = LN_CONTAINER(t, struct ln_process, timer);
  p->killed = true;
  signal_group(p, SIGKILL);
}

static void on_term_time(struct ln_timer *t) {
  struct ln_process *p = LN_CONTAINER(t, struct ln_process, timer);
  send_term(p);
  ln_timer_start(p->loop, &p->timer, p->kill_after_ms, on_kill_time);
}

static void begin_end(struct ln_process *p) {
  if (p->ending || p->exited) return;
  p->ending = true;
  if (p->pipe[STDIN]) ln_stream_shutdown(p->pipe[STDIN]);
  ln_timer_start(p->loop, &p->timer, p->term_after_ms, on_term_time);
}

void ln_process_end(struct ln_process *p) {
  p->asked = true;
  begin_end(p);
  settle(p);
}

void ln_process_kill(struct ln_process *p) {
  p->asked = p->ending = p->killed = true;
  signal_group(p, SIGKILL);
  if (!p->exited) ln_timer_stop(&p->timer);
  settle(p);
}

/* --- after the exit --- */

static bool group_lives(struct ln_process *p) {
  /* Where nobody else adopts orphans (we are process 1 of a container) they become ours to reap.
   * The leader is not among them: libuv has reaped it. */
  while (waitpid(-p->group, NULL, WNOHANG) > 0) {
  }
  return kill(-p->group, 0) == 0 || errno != ESRCH;
}

static void group_is_done(struct ln_process *p) {
  p->group_done = true;
  ln_guard_remove(p->loop, &p->guarded);
  settle(p);
}

static void on_left_time(struct ln_timer *t) {
  struct ln_process *p = LN_CONTAINER(t, struct ln_process, timer);
  if (!group_lives(p)) {
    group_is_done(p);
  } else if (p->killed || ln_loop_now(p->loop) - p->left_since >= LEFT_TERM_MS) {
    signal_group(p, SIGKILL);
    group_is_done(p);
  } else {
    ln_timer_start(p->loop, &p->timer, LEFT_STEP_MS, on_left_time);
  }
}

static void on_uv_exit(uv_process_t *uv, int64_t status, int signum) {
  struct ln_process *p = uv->data;
  p->exited = true;
  p->signalled = p->termed || p->killed;
  p->status = signum ? 128 + signum : (int)status;
  p->signal = signum;
  if (p->pipe[STDIN]) ln_stream_close(p->pipe[STDIN]);
  uv_close((uv_handle_t *)uv, on_reaped_closed);
  p->left_since = ln_loop_now(p->loop);
  if (group_lives(p) && !p->killed) send_term(p);
  on_left_time(&p->timer);
}

static bool output_open(const struct ln_process *p, enum pipe_end end) {
  return p->pipe[end] && !p->ended[end];
}

/* The owner has stopped reading and will go on: what there is waits for it without limit. */
static bool owner_pauses(const struct ln_process *p) {
  return p->paused && !p->asked && output_open(p, STDOUT);
}

static void on_drain_time(struct ln_timer *t) {
  struct ln_process *p = LN_CONTAINER(t, struct ln_process, timer);
  if (owner_pauses(p)) return;
  p->drained = true;
  settle(p);
}

/* True while an output may still bring something that somebody waits for. */
static bool outputs_open(struct ln_process *p) {
  if (p->drained) return false;
  if (owner_pauses(p)) return true;
  bool open = (output_open(p, STDOUT) && !p->paused) || output_open(p, STDERR);
  if (open && !ln_timer_running(&p->timer))
    ln_timer_start(p->loop, &p->timer, DRAIN_MS, on_drain_time);
  return open;
}

/* Never reports from inside a call of the owner's: while a pipe or the handle is open, and the
 * process would be gone otherwise, the report waits for its closing. */
static void settle(struct ln_process *p) {
  if (!p->exited || !p->group_done || outputs_open(p)) return;
  bool open = false;
  for (int i = 0; i < 3; i++) {
    if (!p->pipe[i]) continue;
    open = true;
    ln_stream_close(p->pipe[i]);
  }
  if (open || !p->uv_closed) return;
  ln_timer_stop(&p->timer);
  if (p->ops->on_exit) p->ops->on_exit(p->arg, p->status, p->signal);
  free(p);
}
