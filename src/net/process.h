/* A child process with its three pipes, in a process group of its own. It has no other descriptor
 * of ours, and nothing that it starts gains privileges (no_new_privs): setuid programs run as they
 * are.
 *
 * Ending: ln_process_end closes its stdin, waits, sends TERM to the group, waits, sends KILL,
 * and on_exit is called when it was reaped, exactly once. What is left of the group when the child
 * itself has gone is killed too. Should Lunette itself die in any way, SIGKILL included, a guard
 * process that it started with its first child sees the end of a pipe and ends every group the
 * same way. */
#ifndef LN_NET_PROCESS_H
#define LN_NET_PROCESS_H

#include "net/stream.h"

struct ln_process;

struct ln_process_opts {
  const char *command;     /* looked up in PATH (of env when it has one) */
  const char *const *args; /* NULL-terminated, without the command; may be NULL */
  const char *const *env;  /* NULL-terminated "K=V"; NULL: Lunette's own */
  const char *cwd;         /* NULL: Lunette's */
  uint64_t term_after_ms;  /* from closing stdin to TERM; 0: 2000 */
  uint64_t kill_after_ms;  /* from TERM to KILL; 0: 2000 */
};

struct ln_process_ops {
  void (*on_stdout)(void *arg, const char *p, size_t n);
  void (*on_stderr)(void *arg, const char *p, size_t n);
  void (*on_stdout_end)(void *arg);
  /* The child closed its stdin while something was being written to it. It is being ended. */
  void (*on_stdin_broken)(void *arg);
  void (*on_drain)(void *arg);
  /* The child was reaped and all three pipes are closed; the process object is gone on return.
   * status: exit code, or 128 + signal. */
  void (*on_exit)(void *arg, int status, int signal);
};

/* LN_ESYSTEM, LN_ENOMEM with *why ("npx: no such file or directory") when it can't be started; *why
 * holds until the loop gives the next reason. */
int ln_process_spawn(struct ln_loop *l, const struct ln_process_opts *opts,
                     const struct ln_process_ops *ops, void *arg, struct ln_process **out,
                     const char **why) LN_CHECK;
int ln_process_pid(const struct ln_process *p);
/* For on_exit: whether it was sent TERM or KILL by us before it exited. */
bool ln_process_signalled(const struct ln_process *p);
/* As ln_stream_write. */
int ln_process_write(struct ln_process *p, const struct ln_iov *parts, size_t n) LN_CHECK;
size_t ln_process_queued(const struct ln_process *p);
/* Stops and starts reading its stdout; stderr is always read. */
void ln_process_read_stop(struct ln_process *p);
void ln_process_read_start(struct ln_process *p);
void ln_process_end(struct ln_process *p);
/* KILL to the group now. on_exit follows. */
void ln_process_kill(struct ln_process *p);

#endif
