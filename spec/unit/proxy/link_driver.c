/* The played host: its beginning and its end, what it writes down, and its clock; see
 * link_driver.h.
 */
#include "link_driver.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include "bind/core.h"
#include "proxy/route/for_policy.h"
#include "proxy/serve/host_life.h"

struct rig *rig_the;

void rig_tell(const char *fmt, ...) {
  static char line[1 << 20];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(line, sizeof line - 1, fmt, ap);
  va_end(ap);
  ln_buf_append_c(&rig_the->account, line);
  LN_ASSERT(ln_buf_append_c(&rig_the->account, "\n") == LN_OK);
  for (int i = 0; i < rig_the->n_upon; i++) {
    struct upon u = rig_the->upon[i];
    if (!u.fn || strncmp(line, u.line, strlen(u.line)) != 0) continue;
    rig_the->upon[i].fn = NULL;
    u.fn(u.a, u.b);
    return;
  }
}

/* The next line that begins so has fn called from inside, once. fn may take one pointer or two. */
void rig_upon(struct rig *r, const char *line, void (*fn)(void *a, const void *b), void *a,
              const void *b) {
  LN_ASSERT(r->n_upon < MOST);
  struct upon *u = &r->upon[r->n_upon++];
  *u = (struct upon){.fn = fn, .a = a, .b = b};
  snprintf(u->line, sizeof u->line, "%s", line);
}

/* --- the host --- */

struct rig *rig_new(void) {
  struct rig *r = calloc(1, sizeof *r);
  r->messages = ln_msg_live();
  r->blocks = ln_bytes_live();
  r->log_fd = memfd_create("log", MFD_CLOEXEC);
  ln_log_init(&r->log, r->log_fd);
  r->log.level = LN_LOG_DEBUG;
  r->loop = ln_loop_new(&r->log);
  ln_host_init(&r->host, r->loop, &r->log);
  r->host.settings = (struct ln_settings){.start_timeout_ms = 2000,
                                          .request_timeout_ms = 60000,
                                          .max_request_timeout_ms = 3600000,
                                          .max_message_bytes = 4 << 20,
                                          .max_depth = 128,
                                          .max_sessions = 16,
                                          .max_in_flight = 1024};
  r->host.link_events = &rig_link_events;
  r->host.dial = rig_dial;
  r->host.dial_arg = r;
  r->client_ready = true;
  ln_buf_init(&r->account, 64 << 20);
  rig_the = r;
  return r;
}

struct ln_host *rig_host(struct rig *r) {
  return &r->host;
}

/* A policy of this text; NULL with *why, the caller's. */
struct ln_policy *rig_policy(struct rig *r, const char *text, char **why) {
  static const char *const names[] = {"policy.lua", "policy.lua", NULL};
  struct ln_policy_host host = ln_for_policy(&r->host);
  host.open = ln_core_open;
  host.request = rig_request;
  struct ln_target t = {LN_TARGET_TEXT, text, names};
  return ln_policy_load(&host, &t, 1, why, NULL);
}

struct ln_server *rig_server(struct rig *r, const struct ln_server_conf *conf, const char **why) {
  struct ln_server *s = ln_server_new(&r->host, conf, 4 << 20, why);
  if (s) r->servers[r->n_servers++] = s;
  return s;
}

/* The last one is not the rig's to give back any more. */
void rig_forget_server(struct rig *r) {
  r->n_servers--;
}

static void on_stall(struct ln_session *s, bool is) {
  rig_tell("%s %s", s->id, is ? "stalled" : "started");
}
static void on_end(struct ln_session *s, void *front) {
  (void)front;
  rig_tell("%s ends", s->id);
}

/* NULL: the host has enough. */
struct ln_session *rig_session(struct rig *r, const char *id) {
  struct ln_session *s = ln_session_new(&r->host, "stdio", id, NULL);
  if (!s) return NULL;
  s->on_stall = on_stall;
  s->on_end = on_end;
  return r->sessions[r->n_sessions++] = s;
}

/* --- time --- */

/* The loop's clock is that much later; no timer runs. Until the loop runs. */
void rig_pass(struct rig *r, uint64_t ms) {
  ln_loop_uv(r->loop)->time += ms;
}

static void never(struct ln_timer *t) {
  (void)t;
}

/* How long the timer was started for, if that was just now (a tick is 5 ms); -1: it does not run.
 */
int64_t rig_left(struct rig *r, const struct ln_timer *t) {
  struct ln_timer now;
  if (!ln_timer_running(t)) return -1;
  ln_timer_init(&now);
  ln_timer_start(r->loop, &now, 0, never);
  int64_t ms = ((int64_t)t->due - (int64_t)now.due) * 5;
  ln_timer_stop(&now);
  return ms;
}

/* It is due now. */
void rig_expire(struct ln_timer *t) {
  LN_ASSERT(ln_timer_running(t));
  ln_timer_stop(t);
  t->fn(t);
}

/* What was posted is done, and what that posts. */
void rig_turn(struct rig *r) {
  for (int i = 0; i < 4; i++) uv_run(ln_loop_uv(r->loop), UV_RUN_NOWAIT);
}

/* --- accounts --- */

static char *copy_of(struct ln_str s) {
  return strndup(s.p, s.n);
}

/* What happened since the last time; the caller's. */
char *rig_account(struct rig *r) {
  char *copy = copy_of(ln_buf_str(&r->account));
  ln_buf_clear(&r->account);
  return copy;
}

/* The log since the last time; the caller's. */
char *rig_log(struct rig *r) {
  off_t n = lseek(r->log_fd, 0, SEEK_END);
  char *text = calloc(1, (size_t)n + 1);
  if (pread(r->log_fd, text, (size_t)n, 0) != n || ftruncate(r->log_fd, 0)) text[0] = '\0';
  lseek(r->log_fd, 0, SEEK_SET);
  return text;
}

/* --- the end --- */

static void on_closed(void *arg) {
  ((struct rig *)arg)->closed = true;
}

/* Gives everything back: "", or what was not. */
const char *rig_free(struct rig *r) {
  static char left[256];
  left[0] = '\0';
  r->n_upon = 0;
  ln_host_life_close(&r->host, on_closed, r);
  for (int i = 0; i < r->n_sessions; i++) ln_session_unref(r->sessions[i]);
  for (int i = 1; i <= r->n_channels; i++)
    if (r->channels[i]) rig_closed(r, i, LN_OK, "closed");
  for (int i = 0; i < r->n_servers; i++) ln_server_unref(r->servers[i]);
  for (int i = 0; i < 1000 && !r->closed; i++) uv_run(ln_loop_uv(r->loop), UV_RUN_NOWAIT);
  if (r->sinks_live) strcat(left, "sinks, ");
  if (r->fakes_live) strcat(left, "references to exchanges, ");
  if (ln_msg_live() != r->messages) strcat(left, "messages, ");
  if (!r->closed) {
    strcat(left, "the host is not closed, ");
    return left;
  }
  ln_host_deinit(&r->host);
  for (int i = 0; i < 1000 && ln_loop_handles(r->loop); i++)
    uv_run(ln_loop_uv(r->loop), UV_RUN_NOWAIT);
  if (ln_loop_free(r->loop)) strcat(left, "handles, ");
  ln_buf_deinit(&r->account);
  close(r->log_fd);
  if (ln_bytes_live() != r->blocks) strcat(left, "blocks, ");
  free(r);
  rig_the = NULL;
  return left;
}
