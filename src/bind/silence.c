/* What the command line waits for; see silence.h. */
#include "bind/silence.h"

#include <ctype.h>
#include <stdio.h>

#include "proxy/server/generation.h"
#include "proxy/server/link.h"

enum { SILENT_MS = 2000, LOOK_MS = 250, MAX_SAID = 64 * 1024 };

/* As a line on stderr, whatever the name has in it. */
static void say(struct ln_silence *s, const struct ln_server *server, const char *what,
                struct ln_str method) {
  char line[512], *c = line;
  snprintf(line, sizeof line, "lunette: waiting for server %.200s to %s %.*s", server->conf->name,
           what, (int)LN_MIN(method.n, (size_t)100), method.p);
  for (; *c; c++)
    if (iscntrl((unsigned char)*c)) *c = '?';
  if (s->said.len && strstr(s->said.data, line)) return;
  size_t before = s->said.len ? s->said.len - 1 : 0; /* over the NUL */
  ln_buf_truncate(&s->said, before);
  ln_buf_printf(&s->said, "%s\n", line);
  ln_buf_append(&s->said, "", 1);
  fprintf(stderr, "%s …\n", line);
}

static void look_at(struct ln_silence *s, const struct ln_link *link, uint64_t since) {
  struct ln_map_slot *slot;
  if (link->state == LN_LINK_CONNECTING && link->opened_at <= since)
    say(s, link->server, "be", LN_STR_LIT("reached"));
  for (size_t i = 0; ln_map_next(&link->calls.sent, &i, &slot);) {
    const struct ln_call *call = slot->value;
    if (call->since <= since) say(s, link->server, "answer", call->msg->method);
  }
}

static void on_time(struct ln_timer *t) {
  struct ln_silence *s = LN_CONTAINER(t, struct ln_silence, timer);
  struct ln_generation *g = s->host->gen;
  uint64_t now = ln_loop_now(s->host->loop);
  for (size_t i = 0; i < g->n_servers; i++) LN_LIST_EACH(l, &g->servers[i]->links) {
      look_at(s, LN_CONTAINER(l, struct ln_link, link), now - SILENT_MS);
    }
  ln_timer_start(s->host->loop, t, LOOK_MS, on_time);
}

void ln_silence_begin(struct ln_silence *s, struct ln_host *h) {
  s->host = h;
  ln_buf_init(&s->said, MAX_SAID);
  ln_timer_init(&s->timer);
  ln_timer_start(h->loop, &s->timer, SILENT_MS, on_time);
}

void ln_silence_end(struct ln_silence *s) {
  ln_timer_stop(&s->timer);
  ln_buf_deinit(&s->said);
}
