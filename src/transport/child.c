/* A child as a channel: one message a line on its stdin and stdout. What it writes to stderr goes
 * to the log, line by line, and its end is kept for the reason given with `closed`.
 *
 * Life: from ln_channel_child to `closed`, which comes from on_child_exit, the process's last
 * event. After ln_channel_close no other event follows. A child that closes its stdout can't answer
 * any more and is ended; for one that doesn't end at once there is `lost`. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/process.h"
#include "transport/channel.h"
#include "transport/child_tail.h"
#include "wire/line.h"

enum { FEW_PARTS = 32, LOST_MS = 250 };

struct child {
  struct ln_channel channel;
  struct ln_loop *loop;
  const struct ln_child_conf *conf;
  struct ln_process *process;
  struct ln_line lines;
  struct ln_tail tail;
  struct ln_log_ration ration; /* of the log lines from stderr */
  struct ln_task ready;
  struct ln_timer lost_timer; /* from a closed pipe to `lost`: most that close one exit */
  char topic[128];
  bool closing;
  const char *closed_pipe; /* the one that it closed first; NULL: none */
};

static const struct ln_channel_ops child_ops;
static const struct ln_process_ops process_ops;

static void child_free(struct child *c) {
  ln_line_deinit(&c->lines);
  ln_tail_deinit(&c->tail);
  ln_task_cancel(&c->ready);
  ln_timer_stop(&c->lost_timer);
  free(c);
}

static void on_ready(struct ln_task *t) {
  struct child *c = LN_CONTAINER(t, struct child, ready);
  if (!c->closing && c->channel.events->ready) c->channel.events->ready(c->channel.arg);
}

struct ln_channel *ln_channel_child(struct ln_loop *l, const struct ln_child_conf *conf,
                                    const struct ln_channel_events *events, void *arg,
                                    const char **why) {
  *why = ln_err_text(LN_ENOMEM);
  struct child *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->channel = (struct ln_channel){.ops = &child_ops, .events = events, .arg = arg};
  c->loop = l;
  c->conf = conf;
  ln_line_init(&c->lines, conf->max_message);
  ln_tail_init(&c->tail);
  ln_task_init(&c->ready);
  ln_timer_init(&c->lost_timer);
  snprintf(c->topic, sizeof c->topic, "upstream %s", conf->name);
  struct ln_process_opts opts = {
      .command = conf->command, .args = conf->args, .env = conf->env, .cwd = conf->cwd};
  if (ln_process_spawn(l, &opts, &process_ops, c, &c->process, why)) goto fail;
  LN_LOG(ln_loop_log(l), DEBUG, c->topic, "started %s, process %d", conf->command,
         ln_process_pid(c->process));
  ln_task_post(l, &c->ready, on_ready);
  return &c->channel;
fail:
  child_free(c);
  return NULL;
}

/* --- a pipe that it closed --- */

/* As many of the last lines as there is room for, but at least the end of the last. */
static struct ln_str stderr_end(const struct child *c, size_t room) {
  struct ln_str tail = ln_tail_str(&c->tail);
  if (tail.n <= room) return tail;
  struct ln_str end = {tail.p + tail.n - room, room};
  const char *line = memchr(end.p, '\n', end.n);
  size_t cut = line ? (size_t)(line + 1 - end.p) : 0;
  while (!line && cut < end.n && ((unsigned char)end.p[cut] & 0xc0) == 0x80) cut++;
  return (struct ln_str){end.p + cut, end.n - cut};
}

/* The end of its stderr, which is not ours, and the NUL. */
static void append_stderr(struct child *c, struct ln_buf *why) {
  c->channel.own = why->len;
  static const char lead[] = "; the end of its stderr:\n";
  struct ln_str text = stderr_end(c, LN_WHY_MAX - why->len - sizeof lead - 1);
  if (text.n) ln_buf_printf(why, "%s%.*s", lead, LN_STR_ARG(text));
  ln_buf_append(why, "", 1);
}

static void on_lost_timer(struct ln_timer *t) {
  struct child *c = LN_CONTAINER(t, struct child, lost_timer);
  if (c->closing || !c->channel.events->lost) return;
  struct ln_buf why;
  ln_buf_init(&why, LN_WHY_MAX);
  ln_buf_printf(&why, "the server closed its %s", c->closed_pipe);
  append_stderr(c, &why);
  c->channel.events->lost(c->channel.arg,
                          ln_buf_error(&why) ? "the server can't answer any more" : why.data);
  ln_buf_deinit(&why);
}

static void pipe_closed(struct child *c, const char *which) {
  if (c->closed_pipe) return;
  c->closed_pipe = which;
  ln_process_end(c->process);
  ln_timer_start(c->loop, &c->lost_timer, LOST_MS, on_lost_timer);
}

/* --- to the child --- */

static int child_send(struct ln_channel *channel, const struct ln_iov *parts, size_t n,
                      const struct ln_channel_note *note) {
  struct child *c = (struct child *)channel;
  struct ln_iov all[FEW_PARTS + 1];
  const struct ln_iov lf = {"\n", 1, NULL};
  (void)note;
  if (c->closing) return LN_ECLOSED;
  int rc;
  if (n <= FEW_PARTS) {
    memcpy(all, parts, n * sizeof *parts);
    all[n] = lf;
    rc = ln_process_write(c->process, all, n + 1);
  } else if (!(rc = ln_process_write(c->process, parts, n)) || rc == LN_EFULL) {
    rc = ln_process_write(c->process, &lf, 1);
    /* The message without its end must not stay behind. */
    if (rc && rc != LN_EFULL) ln_process_kill(c->process);
  }
  if (rc == LN_ECLOSED) pipe_closed(c, "stdin");
  return rc;
}

static void child_initialized(struct ln_channel *channel, const char *version, bool listen) {
  (void)channel, (void)version, (void)listen;
}

static void child_abandon(struct ln_channel *channel, uint64_t tag) {
  (void)channel, (void)tag;
}

static void child_pause(struct ln_channel *channel) {
  ln_process_read_stop(((struct child *)channel)->process);
}

static void child_resume(struct ln_channel *channel) {
  ln_process_read_start(((struct child *)channel)->process);
}

static void child_close(struct ln_channel *channel) {
  struct child *c = (struct child *)channel;
  if (c->closing) return;
  c->closing = true;
  /* A pause mustn't leave output in the pipe: the child could block on it and not end. */
  ln_process_read_start(c->process);
  ln_process_end(c->process);
}

static const struct ln_channel_ops child_ops = {child_send,  child_initialized, child_abandon,
                                                child_pause, child_resume,      child_close};

/* --- from the child --- */

static void tell_lost(struct child *c, int err) {
  char why[160];
  if (err == LN_ELIMIT)
    snprintf(why, sizeof why,
             "the server sent a message of more than %zu bytes (max_message_bytes); it was dropped",
             c->conf->max_message);
  else
    snprintf(why, sizeof why, "a message of the server was dropped: %s", ln_err_text(err));
  c->channel.own = 0;
  if (c->channel.events->failed) c->channel.events->failed(c->channel.arg, 0, err, 0, why);
}

static void on_stdout(void *arg, const char *p, size_t n) {
  struct child *c = arg;
  struct ln_str data = {p, n};
  struct ln_bytes *frame;
  int rc;
  while (!c->closing && (rc = ln_line_next(&c->lines, &data, &frame)) != LN_EAGAIN) {
    if (rc)
      tell_lost(c, rc);
    else
      c->channel.events->message(c->channel.arg, frame, 0);
  }
}

static void on_stdout_end(void *arg) {
  struct child *c = arg;
  pipe_closed(c, "stdout");
}

static void on_stdin_broken(void *arg) {
  struct child *c = arg;
  pipe_closed(c, "stdin");
}

static void on_stderr_line(void *arg, const char *line) {
  struct child *c = arg;
  struct ln_log *log = ln_loop_log(c->loop);
  if (log->level <= LN_LOG_INFO &&
      ln_log_ration_take(log, &c->ration, ln_loop_now(c->loop), c->topic))
    ln_log_write_always(log, LN_LOG_INFO, c->topic, "%s", line);
}

static void on_stderr(void *arg, const char *p, size_t n) {
  struct child *c = arg;
  ln_tail_feed(&c->tail, p, n, on_stderr_line, c);
}

static void on_drain(void *arg) {
  struct child *c = arg;
  if (!c->closing && c->channel.events->drain) c->channel.events->drain(c->channel.arg);
}

/* --- the end --- */

static void describe_end(struct child *c, struct ln_buf *why, int status, int signum) {
  if (c->closed_pipe && ln_process_signalled(c->process))
    ln_buf_printf(why, "the server closed its %s and was ended", c->closed_pipe);
  else if (signum)
    ln_buf_printf(why, "the server was killed by signal %d (%s)", signum, strsignal(signum));
  else
    ln_buf_printf(why, "the server exited with status %d", status);
  append_stderr(c, why);
}

static void on_child_exit(void *arg, int status, int signum) {
  struct child *c = arg;
  const struct ln_channel_events *events = c->channel.events;
  void *owner = c->channel.arg;
  struct ln_buf why;
  ln_buf_init(&why, LN_WHY_MAX);
  ln_tail_end(&c->tail, on_stderr_line, c);
  describe_end(c, &why, status, signum);
  if (c->closing)
    events->closed(owner, LN_OK, "the server was ended");
  else
    events->closed(owner, LN_ECLOSED, ln_buf_error(&why) ? "the server ended" : why.data);
  ln_buf_deinit(&why);
  child_free(c);
}

static const struct ln_process_ops process_ops = {.on_stdout = on_stdout,
                                                  .on_stderr = on_stderr,
                                                  .on_stdout_end = on_stdout_end,
                                                  .on_stdin_broken = on_stdin_broken,
                                                  .on_drain = on_drain,
                                                  .on_exit = on_child_exit};
