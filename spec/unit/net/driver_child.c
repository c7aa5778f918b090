/* Scenarios of the child transport. */
#include "driver.h"
#include "transport/channel.h"

struct owner {
  struct ln_loop *l;
  struct ln_channel *ch;
  struct ln_timer timer;
  char text[8192]; /* messages, each with a bar behind it */
  size_t bytes;
  int readies, messages, faileds, drains, closeds;
  int close_after; /* messages */
  const char *greeting;
};

static struct owner o;

static void send_text(const char *s) {
  /* In two parts, as they come from a splice. */
  size_t n = strlen(s), half = n / 2;
  struct ln_iov parts[] = {{s, half, NULL}, {s + half, n - half, NULL}};
  struct ln_channel_note note = {.kind = LN_NOTE_NOTIFICATION};
  say("send", "%s", ln_err_name(ln_channel_send(o.ch, parts, 2, &note)));
}

static void on_ready(void *arg) {
  CHECK(arg == &o && !o.messages);
  o.readies++;
  if (o.greeting) send_text(o.greeting);
}

static void on_message(void *arg, struct ln_bytes *text, uint64_t related) {
  CHECK(arg == &o && !related && o.readies);
  size_t used = strlen(o.text);
  if (used + text->len + 2 < sizeof o.text) {
    memcpy(o.text + used, text->data, text->len);
    strcat(o.text, "|");
  }
  o.bytes += text->len;
  ln_bytes_unref(text);
  if (++o.messages == o.close_after) {
    ln_channel_close(o.ch);
    ln_channel_close(o.ch);
    struct ln_iov late = {"{}", 2, NULL};
    CHECK(ln_channel_send(o.ch, &late, 1, NULL) == LN_ECLOSED);
  }
}

static void on_failed(void *arg, uint64_t tag, int err, int status, const char *why) {
  CHECK(arg == &o && !tag && !status);
  o.faileds++;
  say("failed", "%s %s", ln_err_name(err), why);
}

static void on_drain(void *arg) {
  CHECK(arg == &o);
  o.drains++;
  ln_channel_close(o.ch);
}

static void on_closed(void *arg, int err, const char *why) {
  CHECK(arg == &o);
  o.closeds++;
  say("closed", "%s %s", ln_err_name(err), why);
}

static const struct ln_channel_events events = {.ready = on_ready,
                                                .message = on_message,
                                                .failed = on_failed,
                                                .drain = on_drain,
                                                .closed = on_closed};

static struct ln_child_conf conf_of(const char *script) {
  static const char *args[] = {"-c", NULL, NULL};
  static const char *env[] = {"CHILD_EXTRA=one two", "HOME=/nowhere", NULL};
  args[1] = script;
  return (struct ln_child_conf){
      .name = "files", .command = "sh", .args = args, .env = env, .max_message = 1000};
}

static void begin(const struct ln_child_conf *conf) {
  const char *why = NULL;
  o.l = begin_loop();
  ln_timer_init(&o.timer);
  o.ch = ln_channel_child(o.l, conf, &events, &o, &why);
  if (!o.ch) fprintf(stderr, "driver: %s\n", why);
  CHECK(o.ch && !o.readies);
}

static void end(void) {
  say("text", "%s", o.text);
  say("counts", "%d ready, %d messages, %d failed, %d drain, %d closed", o.readies, o.messages,
      o.faileds, o.drains, o.closeds);
  end_loop(o.l);
}

/* args: script, greeting or "", messages after which to close */
static void child_run(char **args) {
  struct ln_child_conf conf = conf_of(args[0]);
  o.greeting = *args[1] ? args[1] : NULL;
  o.close_after = atoi(args[2]);
  begin(&conf);
  ln_loop_run(o.l);
  end();
}

static void child_fails(char **args) {
  struct ln_child_conf conf = {.name = "x", .command = args[0], .max_message = 100};
  const char *why = NULL;
  struct ln_loop *l = begin_loop();
  struct ln_channel *ch = ln_channel_child(l, &conf, &events, &o, &why);
  say_int("made", ch != NULL);
  say("why", "%s", why);
  ln_loop_run(l);
  end_loop(l);
}

/* Sends without heed to a child that reads late, in more parts than fit the small array. */
static void child_full(char **args) {
  struct ln_child_conf conf = conf_of(args[0]);
  static char block[10000];
  struct ln_iov parts[50];
  memset(block, 'x', sizeof block);
  for (size_t i = 0; i < LN_COUNT(parts); i++)
    parts[i] = (struct ln_iov){block, sizeof block, NULL};
  begin(&conf);
  int rc = LN_OK, sent = 0;
  while (rc == LN_OK && ++sent) rc = ln_channel_send(o.ch, parts, sent % 2 ? 50 : 3, NULL);
  say("result", "%s", ln_err_name(rc));
  say_int("sent", sent);
  ln_loop_run(o.l);
  end();
}

/* Sends to a child that has closed its stdin and said so. */
static void on_deaf_message(void *arg, struct ln_bytes *text, uint64_t related) {
  on_message(arg, text, related);
  send_text("{}");
  ln_channel_close(o.ch);
}

static void child_deaf(char **args) {
  struct ln_channel_events deaf = events;
  struct ln_child_conf conf = conf_of(args[0]);
  deaf.message = on_deaf_message;
  begin(&conf);
  o.ch->events = &deaf;
  ln_loop_run(o.l);
  end();
}

static void on_resume(struct ln_timer *t) {
  (void)t;
  say_int("early", o.messages);
  ln_channel_resume(o.ch);
}

static void child_pause(char **args) {
  struct ln_child_conf conf = conf_of(args[0]);
  begin(&conf);
  ln_channel_pause(o.ch);
  ln_timer_start(o.l, &o.timer, 300, on_resume);
  ln_loop_run(o.l);
  end();
}

const struct scenario child_scenarios[] = {
    {"child_run", child_run},   {"child_fails", child_fails}, {"child_full", child_full},
    {"child_deaf", child_deaf}, {"child_pause", child_pause}, {NULL, NULL}};
