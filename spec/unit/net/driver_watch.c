/* Scenarios of watching files. Each makes changes in a directory of its own and says how often it
 * was told, and how long after the change: what comes later than SOON was seen by the slow poll. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver.h"
#include "net/watch.h"

enum { SOON = 1500, QUIET = 400 };

static struct {
  struct ln_loop *l;
  struct ln_watch *w;
  const char *dir;
  const char *files[4];
  size_t n_files;
  struct ln_sources read; /* with what was in them when the owner read them */
  int told;
  uint64_t changed_at, worst_ms;
  struct ln_timer deadline;
  void (*on_told)(void); /* what the owner does when it is told; NULL: sets the files again */
} t;

static char *path(const char *name) {
  char *p = malloc(4096);
  CHECK(p);
  snprintf(p, 4096, "%s/%s", t.dir, name);
  return p;
}

static void write_to(const char *name, const char *text) {
  char *p = path(name);
  FILE *f = fopen(p, "w");
  CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
  free(p);
}

static void move(const char *from, const char *to) {
  char *a = path(from), *b = path(to);
  CHECK(rename(a, b) == 0);
  free(a);
  free(b);
}

static void link_to(const char *target, const char *name) {
  char *p = path(name), *tmp = path("link.tmp");
  CHECK(symlink(target, tmp) == 0 && rename(tmp, p) == 0);
  free(p);
  free(tmp);
}

static void make_dir(const char *name) {
  char *p = path(name);
  CHECK(mkdir(p, 0700) == 0);
  free(p);
}

static void read_files(void) {
  ln_sources_deinit(&t.read);
  for (size_t i = 0; i < t.n_files; i++)
    ln_sources_note(&t.read, t.files[i], ln_source_content(t.files[i]));
}

static void set_read(void) {
  CHECK(ln_watch_set(t.w, &t.read) == LN_OK);
}

static void set_again(void) {
  read_files();
  set_read();
}

static void on_change(void *arg) {
  CHECK(arg == &t);
  t.told++;
  uint64_t ms = now_ms() - t.changed_at;
  if (ms > t.worst_ms) t.worst_ms = ms;
  ln_timer_stop(&t.deadline);
  ln_loop_stop(t.l);
  if (t.on_told)
    t.on_told();
  else
    set_again();
}

static void on_deadline(struct ln_timer *timer) {
  ln_loop_stop(timer->loop);
}

/* Turns the loop until told or until that long has passed. */
static void turn(uint64_t ms) {
  ln_timer_start(t.l, &t.deadline, ms, on_deadline);
  ln_loop_run(t.l);
}

static void await_told(void) {
  t.changed_at = now_ms();
  turn(SOON);
}

static void begin(char **args, const char *name) {
  t.l = begin_loop();
  t.dir = args[0];
  ln_timer_init(&t.deadline);
  t.files[0] = path(name);
  t.n_files = 1;
  t.w = ln_watch_new(t.l, on_change, &t);
  CHECK(t.w);
}

static void end(void) {
  say_int("told", t.told);
  say_int("soon", t.worst_ms < SOON);
  say_int("watching", (long long)ln_loop_handles(t.l));
  ln_watch_free(t.w);
  ln_timer_stop(&t.deadline);
  ln_loop_run(t.l); /* ends: nothing of it keeps the loop alive */
  for (size_t i = 0; i < t.n_files; i++) free((char *)t.files[i]);
  ln_sources_deinit(&t.read);
  end_loop(t.l);
}

static void saved(char **args) {
  begin(args, "a");
  write_to("a", "one");
  set_again();
  write_to("a", "two"); /* the same size */
  await_told();
  write_to("b", "three");
  move("b", "a");
  await_told();
  move("a", "a~");
  write_to("a", "four");
  await_told();
  end();
}

/* Neither the neighbours' changes nor being looked at. */
static void untouched(char **args) {
  begin(args, "a");
  write_to("a", "one");
  set_again();
  write_to("b", "x");
  move("b", "c");
  char *p = path("a");
  int fd = open(p, O_RDONLY);
  char text[8];
  CHECK(fd >= 0 && read(fd, text, sizeof text) == 3 && close(fd) == 0);
  free(p);
  turn(QUIET);
  end();
}

/* Written again with what it has, in place and by another file. */
static void rewritten(char **args) {
  begin(args, "a");
  write_to("a", "one");
  set_again();
  write_to("a", "one");
  turn(QUIET);
  write_to("b", "one");
  move("b", "a");
  turn(QUIET);
  end();
}

/* Changed after it was read, before it was watched at all. */
static void late(char **args) {
  begin(args, "a");
  write_to("a", "one");
  read_files();
  write_to("a", "two");
  t.changed_at = now_ms();
  set_read();
  turn(SOON);
  end();
}

static void links(char **args) {
  begin(args, "x/policy");
  make_dir("v1");
  make_dir("v2");
  make_dir("mount");
  write_to("v1/policy", "1");
  write_to("v2/policy", "2");
  link_to("v1", "data");
  link_to("../data/policy", "mount/policy");
  link_to("mount", "x");
  set_again();
  link_to("v2", "data"); /* in the middle of the way */
  await_told();
  write_to("v2/policy", "edited"); /* at its end */
  await_told();
  write_to("v1/policy", "not ours any more");
  turn(QUIET);
  link_to("../v1/policy", "mount/policy"); /* the file's own link */
  await_told();
  make_dir("other");
  write_to("other/policy", "3");
  link_to("other", "x"); /* at its beginning */
  await_told();
  end();
}

static void circle(char **args) {
  begin(args, "a");
  link_to("b", "a");
  link_to("a", "b");
  set_again();
  turn(20);
  link_to("c", "b");
  write_to("c", "found");
  await_told();
  end();
}

static struct ln_timer later;
static FILE *half;
static void finish_writing(struct ln_timer *timer) {
  (void)timer;
  CHECK(fputs("whole", half) >= 0 && fclose(half) == 0);
}

/* Truncated, and written a moment later: told once, when it is whole. */
static void truncated(char **args) {
  begin(args, "a");
  write_to("a", "before");
  set_again();
  char *p = path("a");
  half = fopen(p, "w");
  CHECK(half);
  ln_timer_init(&later);
  ln_timer_start(t.l, &later, 100, finish_writing);
  await_told();
  struct stat st;
  CHECK(stat(p, &st) == 0);
  say_int("size", (long long)st.st_size);
  turn(QUIET);
  free(p);
  end();
}

static void emptied(char **args) {
  begin(args, "a");
  write_to("a", "before");
  set_again();
  write_to("a", "");
  await_told();
  end();
}

static void write_once(void) {
  t.on_told = NULL;
  read_files();
  write_to("a", "changed while it was read");
  set_read();
}

/* What changes between being told and watching again is told of too, once. */
static void meanwhile(char **args) {
  begin(args, "a");
  write_to("a", "one");
  set_again();
  t.on_told = write_once;
  write_to("a", "two");
  await_told();
  await_told();
  turn(QUIET);
  end();
}

static void cut_short(void) {
  t.on_told = NULL;
  read_files();
  char *p = path("a");
  half = fopen(p, "w");
  CHECK(half);
  free(p);
  ln_timer_start(t.l, &later, 100, finish_writing);
  set_read();
}

static void cut_meanwhile(char **args) {
  begin(args, "a");
  write_to("a", "one");
  set_again();
  ln_timer_init(&later);
  t.on_told = cut_short;
  write_to("a", "two");
  await_told();
  await_told();
  char *p = path("a");
  struct stat st;
  CHECK(stat(p, &st) == 0);
  say_int("size", (long long)st.st_size);
  free(p);
  turn(QUIET);
  end();
}

/* Asked: told though nothing changed, but not before what is being written is whole. */
static void asked(char **args) {
  begin(args, "a");
  write_to("a", "before");
  set_again();
  ln_watch_ask(t.w);
  await_told();
  ln_timer_init(&later);
  char *p = path("a");
  half = fopen(p, "w");
  CHECK(half);
  ln_watch_ask(t.w);
  ln_timer_start(t.l, &later, 100, finish_writing);
  await_told();
  struct stat st;
  CHECK(stat(p, &st) == 0);
  say_int("size", (long long)st.st_size);
  turn(QUIET);
  free(p);
  end();
}

static void cut_as_read(void) {
  t.on_told = NULL;
  CHECK(!ln_watch_moved(t.w, &t.read));
  char *p = path("a");
  half = fopen(p, "w");
  CHECK(half);
  free(p);
  read_files(); /* empty */
  CHECK(ln_watch_moved(t.w, &t.read));
  ln_watch_ask(t.w);
  ln_timer_start(t.l, &later, 100, finish_writing);
}

/* Cut short between being told and reading. */
static void cut_before_read(char **args) {
  begin(args, "a");
  write_to("a", "one");
  set_again();
  ln_timer_init(&later);
  t.on_told = cut_as_read;
  write_to("a", "two");
  await_told();
  await_told();
  char *p = path("a");
  struct stat st;
  CHECK(stat(p, &st) == 0);
  say_int("size", (long long)st.st_size);
  free(p);
  turn(QUIET);
  end();
}

static void write_new(void) {
  t.on_told = NULL;
  write_to("new", "one");
  t.files[1] = path("new");
  t.n_files = 2;
  read_files();
  write_to("new", "two, after it was read");
  set_read();
}

/* So with a file that is watched for the first time. */
static void meanwhile_new(char **args) {
  begin(args, "a");
  write_to("a", "one");
  set_again();
  t.on_told = write_new;
  write_to("a", "two");
  await_told();
  await_told();
  turn(QUIET);
  end();
}

static void gone(char **args) {
  begin(args, "a");
  write_to("a", "one");
  set_again();
  char *p = path("a");
  CHECK(unlink(p) == 0);
  free(p);
  await_told();
  write_to("a", "back");
  await_told();
  end();
}

/* A set over and over leaves one handle a directory. */
static void again(char **args) {
  begin(args, "a");
  write_to("a", "one");
  t.files[1] = path("b");
  t.files[2] = path("sub/c");
  t.n_files = 3;
  make_dir("sub");
  for (int i = 0; i < 500; i++) set_again();
  turn(50);
  write_to("sub/c", "new");
  await_told();
  turn(50);
  end();
}

/* No change that comes in a crowd of them is missed. */
static void storm(char **args) {
  begin(args, "a");
  write_to("a", "0");
  set_again();
  for (int i = 1; i <= 200; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    write_to("b", text);
    move("b", "a");
    if (i % 3 == 0) {
      ln_timer_start(t.l, &t.deadline, 1, on_deadline);
      ln_loop_run(t.l);
    }
  }
  int before = t.told;
  turn(QUIET);
  say_int("last", t.told - before <= 1);
  write_to("a", "the end");
  before = t.told;
  await_told();
  say_int("then", t.told - before);
  end();
}

const struct scenario watch_scenarios[] = {{"saved", saved},
                                           {"untouched", untouched},
                                           {"rewritten", rewritten},
                                           {"late", late},
                                           {"links", links},
                                           {"circle", circle},
                                           {"truncated", truncated},
                                           {"emptied", emptied},
                                           {"meanwhile", meanwhile},
                                           {"cut_meanwhile", cut_meanwhile},
                                           {"asked", asked},
                                           {"cut_before_read", cut_before_read},
                                           {"meanwhile_new", meanwhile_new},
                                           {"gone", gone},
                                           {"again", again},
                                           {"storm", storm},
                                           {NULL, NULL}};
