/* Scenarios of child processes. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "driver.h"
#include "net/process.h"

struct child {
  struct ln_loop *l;
  struct ln_process *p;
  struct ln_timer timer;
  char out[65536];
  size_t n, total;
  char err[4096];
  size_t err_n;
  int group, out_ends, drains, exits, status, signal;
  uint64_t begun, took;
};

static void on_out(void *arg, const char *p, size_t n) {
  struct child *c = arg;
  c->total += n;
  size_t k = LN_MIN(n, sizeof c->out - 1 - c->n);
  memcpy(c->out + c->n, p, k);
  c->n += k;
}

static void on_err(void *arg, const char *p, size_t n) {
  struct child *c = arg;
  size_t k = LN_MIN(n, sizeof c->err - 1 - c->err_n);
  memcpy(c->err + c->err_n, p, k);
  c->err_n += k;
}

static void on_out_end(void *arg) {
  ((struct child *)arg)->out_ends++;
}

static void on_drain(void *arg) {
  ((struct child *)arg)->drains++;
}

static void on_gone(void *arg, int status, int signum) {
  struct child *c = arg;
  c->exits++;
  c->status = status;
  c->signal = signum;
  c->took = now_ms() - c->begun;
  ln_timer_stop(&c->timer);
}

static const struct ln_process_ops ops = {.on_stdout = on_out,
                                          .on_stderr = on_err,
                                          .on_stdout_end = on_out_end,
                                          .on_drain = on_drain,
                                          .on_exit = on_gone};

static void spawn(struct child *c, struct ln_loop *l, const struct ln_process_opts *o,
                  const struct ln_process_ops *told) {
  const char *why = NULL;
  memset(c, 0, sizeof *c);
  c->l = l;
  ln_timer_init(&c->timer);
  int rc = ln_process_spawn(l, o, told, c, &c->p, &why);
  if (rc) fprintf(stderr, "driver: %s\n", why);
  CHECK(rc == LN_OK);
  c->group = ln_process_pid(c->p);
  c->begun = now_ms();
}

static void start(struct child *c, struct ln_loop *l, const char *command,
                  const char *const *args) {
  const struct ln_process_opts o = {
      .command = command, .args = args, .term_after_ms = 150, .kill_after_ms = 150};
  spawn(c, l, &o, &ops);
}

/* With all the time it needs to end by itself, however busy the machine is. */
static void start_patient(struct child *c, struct ln_loop *l, const struct ln_process_ops *told,
                          const char *script) {
  const struct ln_process_opts o = {
      .command = "sh", .args = (const char *const[]){"-c", script, NULL}, .term_after_ms = 60000};
  spawn(c, l, &o, told);
}

static void start_sh(struct child *c, struct ln_loop *l, const char *script) {
  start(c, l, "sh", (const char *const[]){"-c", script, NULL});
}

/* Processes of the group that are not just waiting for init to reap them. */
static int living(int group) {
  int n = 0;
  DIR *proc = opendir("/proc");
  CHECK(proc);
  for (struct dirent *e; (e = readdir(proc));) {
    char path[300], stat[512] = {0}, state = 'Z';
    int pgrp = 0;
    if (e->d_name[0] < '1' || e->d_name[0] > '9') continue;
    snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
    FILE *f = fopen(path, "r");
    if (!f) continue;
    if (fgets(stat, sizeof stat, f) && strrchr(stat, ')'))
      sscanf(strrchr(stat, ')') + 1, " %c %*d %d", &state, &pgrp);
    fclose(f);
    n += pgrp == group && state != 'Z' && state != 'X';
  }
  closedir(proc);
  return n;
}

static void say_child(struct child *c) {
  say_int("exits", c->exits);
  say_int("status", c->status);
  say_int("signal", c->signal);
  say_int("out_ends", c->out_ends);
  /* KILL was sent when the owner is told; a moment later nothing of the group is left. */
  for (int i = 0; i < 50 && living(c->group); i++) usleep(10000);
  say_int("group_gone", !living(c->group));
}

/* Ends the child once it has said something: its traps are set by then. */
static void on_first_out(void *arg, const char *p, size_t n) {
  struct child *c = arg;
  on_out(arg, p, n);
  c->begun = now_ms();
  ln_process_end(c->p);
  ln_process_end(c->p);
}
static const struct ln_process_ops end_when_ready = {.on_stdout = on_first_out,
                                                     .on_stderr = on_err,
                                                     .on_stdout_end = on_out_end,
                                                     .on_drain = on_drain,
                                                     .on_exit = on_gone};

static struct child c, d;

static void write_c(struct ln_process *p, const char *s) {
  struct ln_iov part = {s, strlen(s), NULL};
  CHECK(ln_process_write(p, &part, 1) == LN_OK);
}

static void process_echo(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  start(&c, l, "cat", NULL);
  write_c(c.p, "one\n");
  write_c(c.p, "two\n");
  ln_process_end(c.p);
  struct ln_iov late = {"x", 1, NULL};
  say("late", "%s", ln_err_name(ln_process_write(c.p, &late, 1)));
  ln_loop_run(l);
  say("out", "%.*s", (int)c.n - 1, c.out);
  say_child(&c);
  end_loop(l);
}

/* args: a script that prints a line when it is ready. Ended then; the ladder is 150 and 150 ms. */
static void process_end(char **args) {
  struct ln_loop *l = begin_loop();
  const char *why = NULL;
  struct ln_process_opts o = {.command = "sh",
                              .args = (const char *const[]){"-c", args[0], NULL},
                              .term_after_ms = 150,
                              .kill_after_ms = 150};
  c.l = l;
  ln_timer_init(&c.timer);
  CHECK(ln_process_spawn(l, &o, &end_when_ready, &c, &c.p, &why) == LN_OK);
  c.group = ln_process_pid(c.p);
  ln_loop_run(l);
  say_child(&c);
  say("err", "%.*s", (int)c.err_n, c.err);
  say_int("took_ms", (long long)c.took);
  end_loop(l);
}

/* args: a script that ends by itself. */
static void process_run(char **args) {
  struct ln_loop *l = begin_loop();
  /* What a library forgot to mark close-on-exec must not reach the child. */
  CHECK(dup2(2, 77) == 77);
  start_sh(&c, l, args[0]);
  ln_loop_run(l);
  say("out", "%.*s", (int)c.n, c.out);
  say("err", "%.*s", (int)c.err_n, c.err);
  say_int("total", (long long)c.total);
  say_child(&c);
  say_int("took_ms", (long long)c.took);
  end_loop(l);
}

static void process_kill(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  start_sh(&c, l, "trap '' TERM; sleep 1000 & sleep 1000");
  ln_process_kill(c.p);
  ln_process_kill(c.p);
  ln_loop_run(l);
  say_child(&c);
  end_loop(l);
}

/* args: command, cwd or "", PATH or "". */
static void process_fails(char **args) {
  struct ln_loop *l = begin_loop();
  const char *why = NULL;
  char path[512];
  snprintf(path, sizeof path, "PATH=%s", args[2]);
  const char *env[] = {path, NULL};
  struct ln_process_opts o = {
      .command = args[0], .cwd = *args[1] ? args[1] : NULL, .env = *args[2] ? env : NULL};
  int rc = ln_process_spawn(l, &o, &ops, &c, &c.p, &why);
  say("err", "%s", ln_err_name(rc));
  say("why", "%s", why);
  if (!rc) c.group = ln_process_pid(c.p), c.l = l, ln_timer_init(&c.timer);
  ln_loop_run(l);
  if (!rc) say("out", "%.*s", (int)c.n, c.out);
  end_loop(l);
}

/* No thread can be had: none has so large a stack. */
static void process_threadless(char **args) {
  (void)args;
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  CHECK(pthread_attr_setstacksize(&attr, (size_t)1 << 46) == 0);
  CHECK(pthread_setattr_default_np(&attr) == 0);
  process_fails((char *[]){"true", "", ""});
}

/* A child that doesn't read for a while: LN_EFULL, bounded, drain, and everything arrives. */
static void process_slow(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  start_patient(&c, l, &ops, "sleep 0.05; wc -c");
  static char block[50000];
  struct ln_iov part = {block, sizeof block, NULL};
  memset(block, 'x', sizeof block);
  int full = 0;
  for (int i = 0; i < 20; i++) {
    int rc = ln_process_write(c.p, &part, 1);
    CHECK(rc == LN_OK || rc == LN_EFULL);
    full += rc == LN_EFULL;
  }
  say_int("full", full > 0);
  say_int("queued", ln_process_queued(c.p) > 256 * 1024);
  ln_process_end(c.p); /* what is queued still goes out before stdin ends */
  ln_loop_run(l);
  say_int("counted", atoi(c.out));
  say_child(&c);
  end_loop(l);
}

static void on_drain_end(void *arg) {
  struct child *x = arg;
  x->drains++;
  say_int("queued_at_drain", ln_process_queued(x->p) <= 64 * 1024);
  ln_process_end(x->p);
}

static void process_drain(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  struct ln_process_ops o2 = ops;
  o2.on_drain = on_drain_end;
  start_patient(&c, l, &o2, "sleep 0.2; wc -c");
  static char block[50000];
  struct ln_iov part = {block, sizeof block, NULL};
  memset(block, 'x', sizeof block);
  int rc = LN_OK;
  for (int i = 0; i < 20; i++) rc = ln_process_write(c.p, &part, 1);
  CHECK(rc == LN_EFULL);
  ln_loop_run(l);
  say_int("drains", c.drains);
  say_int("counted", atoi(c.out));
  say_child(&c);
  end_loop(l);
}

/* The owner stops reading, the child writes and exits; later the owner reads it all. */
static void resume(struct ln_timer *t) {
  struct child *x = LN_CONTAINER(t, struct child, timer);
  say_int("early_exits", x->exits);
  say_int("early_bytes", (long long)x->total);
  ln_process_read_start(x->p);
}

static void process_pause(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  start_sh(&c, l, "head -c 60000 /dev/zero; exit 5");
  ln_process_read_stop(c.p);
  ln_timer_start(l, &c.timer, 1300, resume);
  ln_loop_run(l);
  say_int("total", (long long)c.total);
  say_child(&c);
  end_loop(l);
}

/* Paused and ended by the owner: nobody will read it. */
static void paused_end(struct ln_timer *t) {
  ln_process_end(LN_CONTAINER(t, struct child, timer)->p);
}

static void process_pause_end(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  start_sh(&c, l, "head -c 10000 /dev/zero; exit 5");
  ln_process_read_stop(c.p);
  ln_timer_start(l, &c.timer, 300, paused_end);
  ln_loop_run(l);
  say_int("short", c.took < 600);
  say_int("total", (long long)c.total);
  say_child(&c);
  end_loop(l);
}

/* Runs two children with their grandchildren, says who they are, and waits to be killed. */
static void tell_orphans(struct ln_timer *t) {
  if (c.n && d.n)
    say("pids", "%d %.*s %.*s", getpid(), (int)c.n - 1, c.out, (int)d.n - 1, d.out);
  else
    ln_timer_start(t->loop, t, 20, tell_orphans);
}

static void process_orphans(char **args) {
  (void)args;
  struct ln_timer ready;
  struct ln_loop *l = begin_loop();
  ln_timer_init(&ready);
  start_sh(&c, l, "trap '' TERM HUP; sleep 1000 & echo $$ $!; while :; do sleep 1000; done");
  start_sh(&d, l, "sleep 1000 & echo $$ $!; exec sleep 1000");
  ln_timer_start(l, &ready, 20, tell_orphans);
  ln_loop_run(l);
}

/* The guard dies; a later child brings a new one, which knows the earlier child too. */
static void process_new_guard(char **args) {
  struct ln_loop *l = begin_loop();
  start_sh(&c, l, "echo; exec sleep 1000");
  char line[64];
  say("ready", "%d", getpid());
  CHECK(fgets(line, sizeof line, stdin)); /* the spec has killed the guard */
  start_sh(&d, l, "echo; exec sleep 1000");
  start_sh(&d, l, "echo; exec sleep 1000");
  say("pids", "%d %d %d", getpid(), c.group, d.group);
  (void)args;
  ln_loop_run(l);
}

/* Many at once: none is lost, nothing is left. */
static void process_many(char **args) {
  (void)args;
  enum { N = 40 };
  static struct child many[N];
  struct ln_loop *l = begin_loop();
  for (int i = 0; i < N; i++) {
    start_sh(&many[i], l, i % 2 ? "sleep 1000 & echo hi; exit 7" : "exec cat");
    if (i % 2 == 0) ln_process_end(many[i].p);
  }
  ln_loop_run(l);
  int exits = 0, sevens = 0, his = 0;
  for (int i = 0; i < N; i++) {
    exits += many[i].exits;
    sevens += many[i].status == 7;
    his += many[i].n == 3;
  }
  say_int("exits", exits);
  say_int("sevens", sevens);
  say_int("his", his);
  end_loop(l);
}

/* Children of every temper, to which anything is done at any time. */
enum { STORM = 60 };

static struct child stormy[STORM];
static uint64_t seed;

static uint64_t draw(uint64_t n) {
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (seed >> 33) % n;
}

static void storm_act(struct ln_timer *t) {
  struct child *x = LN_CONTAINER(t, struct child, timer);
  static char block[100000];
  struct ln_iov part = {block, draw(sizeof block), NULL};
  int rc = LN_OK;
  switch (draw(12)) {
    case 0: ln_process_end(x->p); break;
    case 1: ln_process_kill(x->p); break;
    case 2:
    case 3: ln_process_read_stop(x->p); break;
    case 4:
    case 5:
    case 6: ln_process_read_start(x->p); break;
    default: rc = ln_process_write(x->p, &part, 1);
  }
  CHECK(rc == LN_OK || rc == LN_EFULL || rc == LN_ECLOSED);
  ln_timer_start(x->l, t, draw(30), storm_act);
}

static void process_storm(char **args) {
  static const char *const scripts[] = {"exec cat",
                                        "cat & cat",
                                        "exit 3",
                                        "exec sleep 1000",
                                        "trap '' TERM; cat",
                                        "head -c 200000 /dev/zero; cat >/dev/null",
                                        "exec 1>&-; cat",
                                        "exec 0<&-; sleep 0.05; echo x",
                                        "sleep 1000 & exit",
                                        "kill -9 $$"};
  struct ln_loop *l = begin_loop();
  seed = (uint64_t)atoi(args[0]);
  for (int i = 0; i < STORM; i++) {
    start_sh(&stormy[i], l, scripts[draw(LN_COUNT(scripts))]);
    ln_timer_start(l, &stormy[i].timer, draw(50), storm_act);
  }
  ln_loop_run(l);
  int exits = 0, left = 0;
  for (int i = 0; i < STORM; i++) exits += stormy[i].exits == 1;
  usleep(50000);
  for (int i = 0; i < STORM; i++) left += living(stormy[i].group);
  say_int("exits", exits);
  say_int("left", left);
  end_loop(l);
}

static void process_cost(char **args) {
  (void)args;
  struct ln_loop *l = begin_loop();
  uint64_t begun = now_ns();
  for (int i = 0; i < 100; i++) {
    start(&c, l, "true", NULL);
    ln_loop_run(l);
  }
  say("us_per_child", "%.0f", (double)(now_ns() - begun) / 100000);
  end_loop(l);
}

const struct scenario process_scenarios[] = {
    {"process_echo", process_echo},       {"process_end", process_end},
    {"process_run", process_run},         {"process_kill", process_kill},
    {"process_fails", process_fails},     {"process_threadless", process_threadless},
    {"process_slow", process_slow},       {"process_drain", process_drain},
    {"process_pause", process_pause},     {"process_pause_end", process_pause_end},
    {"process_orphans", process_orphans}, {"process_new_guard", process_new_guard},
    {"process_many", process_many},       {"process_storm", process_storm},
    {"process_cost", process_cost},       {NULL, NULL}};
