/* A proxy that is none, for the specs of script/ and of the Lua side: it loads a policy, hands its
 * handlers messages and items, and writes down what they ask for. Everything is driven by the spec
 * through LuaJIT's FFI; what the policy does shows as lines of an account, one an event:
 *
 *     forward N TEXT      a handler forwarded; N is to be answered by fake_answer (0: notification)
 *     request N METHOD PARAMS, ask N METHOD PARAMS
 *     notify METHOD PARAMS, changed KIND, clear NAME
 *     done TAG TEXT       a run ended; "done TAG" alone without a reply
 *
 * N counts questions from 1, TAG is the run's number as fake_hook and fake_component gave it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bind/core.h"
#include "script/policy.h"
#include "script/shared.h"

enum { QUESTIONS = 256, FACTS = LN_FACT_STRUCTURED + 1 };

struct ln_exchange {
  int refs;
  uint64_t session;
  char *facts[FACTS];
};

struct question {
  struct ln_run *run; /* forward */
  uint64_t token;
  ln_reply_fn reply; /* request, ask */
  void *arg;
};

struct fake {
  struct ln_loop *loop;
  struct ln_log log;
  int log_fd;
  struct ln_policy *policy;
  struct ln_policy_host host;
  struct ln_exchange x;
  struct ln_buf account;
  char *inventory;
  struct question asked[QUESTIONS];
  int questions, tags;
  size_t messages, blocks; /* that were there before */
  int stop_ms;
  struct ln_timer stop;
};

/* The functions of ln_policy_host get an exchange, or what was put in host.host: one fake at a
 * time. */
static struct fake *the;

static void tell(const char *fmt, ...) LN_PRINTF(1, 2);
static void tell(const char *fmt, ...) {
  char line[65536];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(line, sizeof line, fmt, ap);
  va_end(ap);
  LN_ASSERT(ln_buf_append_c(&the->account, line) == LN_OK);
}

static int ask(struct question q) {
  LN_ASSERT(the->questions + 1 < QUESTIONS);
  the->asked[++the->questions] = q;
  return the->questions;
}

static void exchange_ref(struct ln_exchange *x) {
  x->refs++;
}
static void exchange_unref(struct ln_exchange *x) {
  x->refs--;
}
static uint64_t session_key(struct ln_exchange *x) {
  return x->session;
}

static struct ln_str fact(struct ln_exchange *x, enum ln_fact f, struct ln_buf *scratch) {
  (void)scratch;
  return ln_str_c(x->facts[f]);
}

static void request(struct ln_exchange *x, const char *method, struct ln_str params,
                    ln_reply_fn reply, void *arg) {
  (void)x;
  int n = ask((struct question){.reply = reply, .arg = arg});
  tell("request %d %s %.*s\n", n, method, LN_STR_ARG(params));
}

static int64_t ask_client(struct ln_exchange *x, const char *method, struct ln_str params,
                          ln_reply_fn reply, void *arg) {
  (void)x;
  int n = ask((struct question){.reply = reply, .arg = arg});
  tell("ask %d %s %.*s\n", n, method, LN_STR_ARG(params));
  return n;
}

static void cancel_ask(struct ln_exchange *x, int64_t id) {
  (void)x;
  tell("cancel_ask %d\n", (int)id);
}

static void notify_client(struct ln_exchange *x, const char *method, struct ln_str params) {
  (void)x;
  tell("notify %s %.*s\n", method, LN_STR_ARG(params));
}

static int inventory(void *host, enum ln_kind kind, struct ln_buf *out) {
  struct fake *f = host;
  (void)kind;
  return ln_buf_append_c(out, f->inventory ? f->inventory : "[]");
}

static void notify_changed(void *host, enum ln_kind kind) {
  (void)host;
  tell("changed %d\n", kind);
}

static void server_clear(void *host, const char *name) {
  (void)host;
  tell("clear %s\n", name);
}

struct fake *fake_new(struct ln_shared *shared) {
  struct fake *f = calloc(1, sizeof *f);
  f->messages = ln_msg_live();
  f->blocks = ln_bytes_live();
  f->log_fd = memfd_create("log", MFD_CLOEXEC);
  ln_log_init(&f->log, f->log_fd);
  f->log.level = LN_LOG_DEBUG;
  f->loop = ln_loop_new(&f->log);
  ln_buf_init(&f->account, 16 << 20);
  ln_timer_init(&f->stop);
  f->x.session = 7;
  f->host = (struct ln_policy_host){.open = ln_core_open,
                                    .exchange_ref = exchange_ref,
                                    .exchange_unref = exchange_unref,
                                    .fact = fact,
                                    .session_key = session_key,
                                    .request = request,
                                    .ask_client = ask_client,
                                    .cancel_ask = cancel_ask,
                                    .notify_client = notify_client,
                                    .inventory = inventory,
                                    .notify_changed = notify_changed,
                                    .server_clear = server_clear,
                                    .host = f,
                                    .loop = f->loop,
                                    .log = &f->log,
                                    .shared = shared};
  the = f;
  return f;
}

/* NULL, or what is wrong (the caller's). */
char *fake_load(struct fake *f, int kind, const char *text, const char *const *args) {
  struct ln_target t = {(enum ln_target_kind)kind, text, args};
  char *why = NULL;
  f->policy = ln_policy_load(&f->host, &t, 1, &why, NULL);
  return why;
}

struct ln_policy *fake_policy(struct fake *f) {
  return f->policy;
}
struct ln_exchange *fake_exchange(struct fake *f) {
  return &f->x;
}

void fake_fact(struct fake *f, int fact, const char *text) {
  free(f->x.facts[fact]);
  f->x.facts[fact] = text ? strdup(text) : NULL;
}

void fake_inventory(struct fake *f, const char *json) {
  free(f->inventory);
  f->inventory = strdup(json);
}

/* 0 when everything was given back; else a bit for what was not. */
int fake_free(struct fake *f) {
  int bad = 0;
  if (f->policy && ln_policy_runs(f->policy)) bad |= 1;
  if (f->policy && !(bad & 1)) ln_policy_unref(f->policy);
  if (f->x.refs) bad |= 2;
  size_t messages = f->messages, blocks = f->blocks;
  if (ln_msg_live() != messages) bad |= 4;
  for (int i = 0; i < FACTS; i++) free(f->x.facts[i]);
  ln_timer_stop(&f->stop);
  if (!(bad & 1) && ln_loop_free(f->loop)) bad |= 8;
  ln_buf_deinit(&f->account);
  free(f->inventory);
  close(f->log_fd);
  free(f);
  the = NULL;
  if (ln_bytes_live() != blocks) bad |= 16;
  return bad;
}

static struct ln_msg *parse(const char *text) {
  struct ln_bytes *b = ln_bytes_copy(text, strlen(text));
  struct ln_msg_limits limits = {.json = LN_JSON_LIMITS_DEFAULT};
  struct ln_msg_fault fault;
  struct ln_msg *m = NULL;
  if (ln_msg_parse(b, (struct ln_str){b->data, b->len}, &limits, &m, &fault)) {
    fprintf(stderr, "driver: %s: %s\n", fault.text, text);
    abort();
  }
  ln_bytes_unref(b);
  return m;
}

static void on_forward(void *arg, struct ln_run *run, uint64_t token, struct ln_msg *msg) {
  (void)arg;
  int n = token ? ask((struct question){.run = run, .token = token}) : 0;
  tell("forward %d %.*s\n", n, LN_STR_ARG(msg->text));
  ln_msg_unref(msg);
}

static void on_done(void *arg, struct ln_msg *reply) {
  int tag = (int)(intptr_t)arg;
  if (!reply) {
    tell("done %d\n", tag);
    return;
  }
  tell("done %d %.*s\n", tag, LN_STR_ARG(reply->text));
  ln_msg_unref(reply);
}

/* Both give the run's tag, 0 when it could not be started. */
int fake_hook(struct fake *f, int hook, const char *message, const char *item) {
  struct ln_msg *m = parse(message);
  int tag = ++f->tags;
  struct ln_hook_call call = {
      .hook = (size_t)hook,
      .msg = m,
      .x = &f->x,
      .item = {ln_str_c(item), m->name.p ? ln_json_inside(m->name) : LN_STR_LIT(""), LN_KIND_TOOL},
      .forward = on_forward,
      .done = on_done,
      .arg = (void *)(intptr_t)tag};
  struct ln_run *run = ln_policy_run_hook(f->policy, &call);
  ln_msg_unref(m);
  return run ? tag : 0;
}

int fake_component(struct fake *f, int component, const char *message) {
  struct ln_msg *m = parse(message);
  int tag = ++f->tags;
  struct ln_run *run = ln_policy_run_component(
      f->policy, (size_t)component, ln_policy_decls(f->policy)->components[component].key, m, &f->x,
      on_done, (void *)(intptr_t)tag);
  ln_msg_unref(m);
  return run ? tag : 0;
}

void fake_answer(struct fake *f, int n, const char *message) {
  struct question q = f->asked[n];
  struct ln_msg *m = parse(message);
  if (q.run)
    ln_run_answer(q.run, q.token, m);
  else
    q.reply(q.arg, m);
}

static void on_stop(struct ln_timer *t) {
  ln_loop_stop(LN_CONTAINER(t, struct fake, stop)->loop);
}

/* Runs the loop until it is idle, at most so long. */
void fake_run(struct fake *f, int ms) {
  ln_timer_start(f->loop, &f->stop, (uint64_t)ms, on_stop);
  ln_loop_run(f->loop);
  ln_timer_stop(&f->stop);
}

/* What happened since the last time; the caller's. */
char *fake_account(struct fake *f) {
  struct ln_str s = ln_buf_str(&f->account);
  char *copy = strndup(s.p, s.n);
  ln_buf_clear(&f->account);
  return copy;
}

/* The whole log; the caller's. */
char *fake_log(struct fake *f) {
  off_t n = lseek(f->log_fd, 0, SEEK_END);
  char *text = calloc(1, (size_t)n + 1);
  if (pread(f->log_fd, text, (size_t)n, 0) != n) text[0] = '\0';
  return text;
}
