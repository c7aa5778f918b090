/* initialize from clients; see initialize.h. */
#include "proxy/route/initialize.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/client/pool.h"
#include "proxy/lists/index.h"
#include "proxy/route/init_reply.h"
#include "proxy/route/init_request.h"

/* One that is under way: waits for servers' results. */
struct initialization {
  struct ln_exchange *x; /* counted */
  ln_reply_fn done;
  void *arg;
  size_t pending; /* servers that haven't answered, plus one while links are opened */
  size_t n;
  struct wait {
    struct ln_watcher watch;
    struct initialization *initialization;
  } * waits; /* one per server */
  struct ln_timer timeout;
  size_t down;       /* servers that can't be had … */
  struct ln_buf why; /* … and why each */
};

/* Servers that there is no room for are left out. */
static void note_down(struct initialization *in, const struct ln_server *server, const char *why) {
  char text[LN_WHY_MAX + 128];
  size_t before = in->why.len;
  ln_server_error_text(server, why, text, sizeof text);
  in->down++;
  if (ln_buf_printf(&in->why, "%s%s", before ? "; " : "", text) == LN_ELIMIT)
    ln_buf_truncate(&in->why, before);
}

/* True when there is nothing to serve: no server can be had, and not all may be missing. */
static bool hopeless(const struct initialization *in) {
  const struct ln_generation *g = in->x->gen;
  if (!in->n || in->down < in->n || g->decls->n_components) return false;
  for (size_t i = 0; i < in->n; i++)
    if (g->servers[i]->conf->optional) return false;
  return true;
}

static struct ln_msg *reply_for(struct initialization *in) {
  const struct ln_exchange *x = in->x;
  const struct ln_generation *g = x->gen;
  bool alone = g->n_servers == 1;
  const struct ln_index *only = alone ? ln_index_of(x->session, g->servers[0]) : NULL;
  if (x->session->state == LN_SESSION_GONE)
    return ln_msg_error(-32603, "The session has ended", LN_STR_NONE);
  if (only) return ln_init_reply_of(x, only);
  if (!hopeless(in)) return ln_init_reply_merged(x);
  bool told = ln_buf_append(&in->why, "", 1) == LN_OK;
  return ln_msg_error(-32603, told ? in->why.data : "No server can be had", LN_STR_NONE);
}

static void answer(struct initialization *in) {
  struct ln_exchange *x = in->x;
  struct ln_session *s = x->session;
  ln_timer_stop(&in->timeout);
  for (size_t i = 0; i < in->n; i++) ln_link_unwatch(&in->waits[i].watch);
  struct ln_msg *reply = reply_for(in);
  if (s->state == LN_SESSION_INITIALIZING)
    ln_session_set_state(
        s, reply && reply->kind == LN_MSG_RESULT ? LN_SESSION_INITIALIZED : LN_SESSION_NEW);
  in->done(in->arg, reply ? reply : ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
  ln_exchange_unref(x);
  ln_buf_deinit(&in->why);
  free(in->waits);
  free(in);
}

static void one_done(struct initialization *in) {
  if (--in->pending == 0) answer(in);
}

static void on_server(struct ln_watcher *w, struct ln_link *link, bool ready, const char *why) {
  struct initialization *in = LN_CONTAINER(w, struct wait, watch)->initialization;
  struct ln_session *s = in->x->session;
  if (!ready)
    note_down(in, link->server, why);
  else if (!ln_index_of(s, link->server) && link->index &&
           ln_index_set(s, link->server, link->index))
    note_down(in, link->server, "out of memory");
  one_done(in);
}

static void on_timeout(struct ln_timer *t) {
  struct initialization *in = LN_CONTAINER(t, struct initialization, timeout);
  LN_LOG(in->x->session->host->log, WARN, in->x->session->id,
         "%zu server(s) are late; answering initialize without them", in->pending);
  answer(in);
}

static void ask_server(struct initialization *in, size_t i) {
  struct ln_server *server = in->x->gen->servers[i];
  struct ln_session *s = in->x->session;
  /* Of a server that has just said to be another each asks for itself, until two hear the same: it
   * may say so to everyone. */
  bool asks = ln_server_is_shared(server) || server->unsteady;
  struct ln_index *known = asks ? NULL : ln_index_find(server, ln_index_key(s));
  if (known && ln_index_set(s, server, known) == LN_OK) return;
  /* Its client doesn't wait for the answer, and after a restart all sessions come back at once. */
  if (s->restored) return;
  const char *why;
  struct ln_link *link = ln_pool_link(s, server, &why);
  if (!link) {
    note_down(in, server, why);
    return;
  }
  in->pending++;
  ln_link_watch(link, &in->waits[i].watch);
}

static struct initialization *initialization_new(struct ln_exchange *x, ln_reply_fn done,
                                                 void *arg) {
  struct initialization *in = calloc(1, sizeof *in);
  if (in) in->waits = calloc(x->gen->n_servers + 1, sizeof *in->waits);
  if (!in || !in->waits) {
    free(in);
    return NULL;
  }
  ln_exchange_ref(x);
  in->x = x;
  in->done = done;
  in->arg = arg;
  in->n = x->gen->n_servers;
  in->pending = 1;
  ln_timer_init(&in->timeout);
  ln_buf_init(&in->why, 8 * LN_WHY_MAX);
  for (size_t i = 0; i < in->n; i++) {
    in->waits[i].initialization = in;
    in->waits[i].watch.fn = on_server;
    ln_list_init(&in->waits[i].watch.link);
  }
  return in;
}

bool ln_initialize_too_long(const struct ln_host *h, const struct ln_msg *msg,
                            char why[LN_INITIALIZE_WHY]) {
  size_t max = h->settings.max_initialize_bytes;
  if (msg->text.n <= max || !ln_str_is(msg->method, "initialize")) return false;
  snprintf(why, LN_INITIALIZE_WHY,
           "initialize has %zu bytes, which is more than max_initialize_bytes (%zu)", msg->text.n,
           max);
  return true;
}

void ln_initialize(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  struct ln_session *s = x->session;
  struct ln_host *h = s->host;
  if (s->state != LN_SESSION_NEW) {
    ln_reply_error(done, arg, -32600, "The session is initialized already");
    return;
  }
  char too_long[LN_INITIALIZE_WHY];
  if (ln_initialize_too_long(h, msg, too_long)) {
    ln_reply_error(done, arg, -32603, too_long);
    return;
  }
  const char *wrong = ln_peer_read_init(&s->peer, msg);
  if (!wrong && ln_init_request_offer(s)) wrong = "out of memory";
  if (wrong) {
    ln_reply_error(done, arg, -32602, wrong);
    return;
  }
  struct initialization *in = initialization_new(x, done, arg);
  if (!in) {
    ln_reply_no_memory(done, arg);
    return;
  }
  ln_session_set_state(s, LN_SESSION_INITIALIZING);
  x->initializes = true;
  for (size_t i = 0; i < in->n; i++) ask_server(in, i);
  if (in->pending > 1)
    ln_timer_start(h->loop, &in->timeout, h->settings.start_timeout_ms, on_timeout);
  one_done(in);
}
