/* Serving; see serve.h. */
#include "proxy/serve/serve.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/orphans.h"
#include "net/watch.h"
#include "proxy/entry/stdio.h"
#include "proxy/http/http.h"
#include "proxy/serve/host_life.h"
#include "proxy/serve/reload.h"
#include "proxy/server/generation.h"
#include "proxy/server/start.h"
#include "script/watchdog.h"

enum { POLL_MS = 10 };

struct serve {
  struct ln_host *host;
  const struct ln_serve_conf *conf;
  struct ln_watch *watch;
  struct ln_stdio_front *stdio;
  struct ln_http_front *http;
  bool ending;   /* no new connections and sessions */
  bool hung_up;  /* listening streams were ended, a moment before connections are closed */
  bool closing;  /* the fronts are being closed */
  size_t fronts; /* not yet closed */
  struct ln_timer poll;
  uint64_t give_up_at;
};

static void host_closed(void *arg) {
  struct serve *s = arg;
  ln_loop_stop(s->host->loop);
}

static void front_closed(void *arg) {
  struct serve *s = arg;
  if (--s->fronts == 0) ln_host_life_close(s->host, host_closed, s);
}

static void close_all(struct serve *s) {
  if (s->closing) return;
  s->closing = true;
  ln_watch_free(s->watch);
  s->watch = NULL;
  ln_timer_stop(&s->poll);
  s->fronts = 1; /* until all are being closed */
  if (s->stdio) {
    s->fronts++;
    ln_stdio_front_close(s->stdio, front_closed, s);
  }
  if (s->http) {
    s->fronts++;
    ln_http_front_close(s->http, front_closed, s);
  }
  front_closed(s);
}

static void poll_drained(struct ln_timer *t) {
  struct serve *s = LN_CONTAINER(t, struct serve, poll);
  size_t left = s->host->in_flight;
  bool late = ln_loop_now(s->host->loop) >= s->give_up_at;
  if (left && !late) {
    ln_timer_start(s->host->loop, &s->poll, POLL_MS, poll_drained);
    return;
  }
  /* Last, as clients reconnect at once when their stream ends, and give up after a few times. */
  if (s->http && !s->hung_up) {
    s->hung_up = true;
    ln_http_front_end_listening(s->http);
    ln_timer_start(s->host->loop, &s->poll, POLL_MS, poll_drained);
    return;
  }
  if (left) LN_LOG(s->host->log, WARN, "serve", "ending with %zu request(s) unanswered", left);
  close_all(s);
}

static void drain(struct serve *s) {
  if (s->ending) return;
  s->ending = true;
  if (s->stdio) ln_stdio_front_drain(s->stdio);
  if (s->http) ln_http_front_drain(s->http);
  s->give_up_at = ln_loop_now(s->host->loop) + s->host->settings.drain_timeout_ms;
  ln_timer_start(s->host->loop, &s->poll, 1, poll_drained);
}

/* Watches the files of the policy in force, and of the last one loaded (read), which may have
 * failed: when its file is corrected, it must be loaded again. read: NULL: the same as in force. */
static void watch_files(struct serve *s, const struct ln_sources *read) {
  struct ln_sources all = {NULL, 0};
  if (!s->watch) return;
  ln_sources_add(&all, s->host->gen->decls->sources);
  if (read) ln_sources_add(&all, read);
  if (ln_watch_set(s->watch, &all))
    LN_LOG(s->host->log, WARN, "reload", "out of memory: changes will go unnoticed");
  ln_sources_deinit(&all);
}

/* The loop may be blocked for as long as a policy's code may run. */
static void watch_loop(const struct ln_host *h) {
  const struct ln_settings *set = &h->settings;
  ln_watchdog_loop(h->watchdog, h->loop,
                   set->watchdog_ms ? set->hook_timeout_ms + set->watchdog_ms : 0);
}

/* Files have changed, or SIGHUP came. */
static void refused(struct ln_host *h, const char *why) {
  ln_log_write_always(h->log, LN_LOG_ERROR, "reload", "the old policy stays in force: %s", why);
}

static void reload(void *arg) {
  struct serve *s = arg;
  struct ln_host *h = s->host;
  if (s->ending || !s->conf->load) return;
  ln_loop_doing(h->loop, "", LN_STR_LIT("loading the policy anew"));
  char *wrong = NULL, why[512] = "";
  struct ln_sources read = {NULL, 0};
  struct ln_policy *p = s->conf->load(s->conf->load_arg, &wrong, &read);
  if (s->watch && ln_watch_moved(s->watch, &read)) { /* a file was saved again while loading */
    ln_policy_unref(p);
    free(wrong);
    ln_sources_deinit(&read);
    ln_watch_ask(s->watch);
    return;
  }
  if (!p)
    refused(h, wrong ? wrong : "out of memory");
  else if (ln_reload(h, p, why, sizeof why))
    refused(h, why);
  else
    /* Each, however many: nobody but who has the policy's files can bring them about. */
    ln_log_write_always(h->log, LN_LOG_INFO, "reload",
                        "a new policy is in force: %zu server(s), %zu handler(s)",
                        h->gen->n_servers, h->gen->decls->n_hooks);
  free(wrong);
  watch_loop(h);
  watch_files(s, &read);
  ln_sources_deinit(&read);
}

static void on_signal(void *arg, int signum) {
  struct serve *s = arg;
  if (signum == SIGHUP) {
    if (s->watch)
      ln_watch_ask(s->watch);
    else
      reload(s);
    return;
  }
  /* The guard process (net/guard.h) ends servers when this process has ended. */
  if (s->ending && signum == SIGINT) {
    ln_orphans_end();
    _exit(130);
  }
  LN_LOG(s->host->log, INFO, "serve", "ending: finishing what is in flight");
  drain(s);
}

static void client_gone(void *arg) {
  struct serve *s = arg;
  s->ending = true;
  close_all(s);
}

static void warn_of_reach(const struct serve *s) {
  static const char text[] =
      "whoever reaches this address can use every server: nothing asks for credentials. Listen on "
      "loopback instead (--http 127.0.0.1:%u), or let only a proxy reach it that asks for them and "
      "whose name lunette.configure { hosts = … } lists";
  if (!ln_http_front_on_loopback(s->http))
    LN_LOG(s->host->log, WARN, "serve", text, ln_http_front_port(s->http));
}

static int start_http(struct serve *s, const struct ln_serve_conf *conf, const char **why) {
  int rc = ln_http_front_start(s->host, conf->host, conf->port, &s->http, why);
  if (rc) return rc;
  bool v6 = strchr(conf->host, ':') != NULL;
  LN_LOG(s->host->log, INFO, "serve", "listening on http://%s%s%s:%u/mcp", v6 ? "[" : "",
         conf->host, v6 ? "]" : "", ln_http_front_port(s->http));
  warn_of_reach(s);
  return LN_OK;
}

int ln_serve(struct ln_host *h, const struct ln_serve_conf *conf, const char **why) {
  struct serve s = {.host = h, .conf = conf};
  ln_timer_init(&s.poll);
  int rc = ln_loop_signals(h->loop, on_signal, &s);
  if (rc) *why = "signals can't be handled";
  if (!rc && conf->host) rc = start_http(&s, conf, why);
  if (!rc && conf->stdio) {
    s.stdio = ln_stdio_front_start(h, STDIN_FILENO, STDOUT_FILENO, client_gone, &s);
    if (!s.stdio) {
      rc = LN_ENOMEM;
      *why = "standard input and output can't be used";
    }
  }
  for (size_t i = 0; !rc && i < h->gen->n_servers; i++) ln_start_eager(h->gen->servers[i]);
  if (!rc && conf->watch && conf->load) {
    s.watch = ln_watch_new(h->loop, reload, &s);
    watch_files(&s, NULL);
  }
  if (rc) close_all(&s);
  watch_loop(h);
  ln_loop_run(h->loop);
  ln_watchdog_loop(h->watchdog, NULL, 0);
  int signals = ln_loop_signals(h->loop, NULL, NULL);
  (void)signals; /* removing handlers can't fail */
  return rc ? 1 : 0;
}
