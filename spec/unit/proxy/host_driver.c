/* A host whose clients and servers are played by a spec, for the specs of proxy/: a real policy,
 * real sessions and links, and channels that go nowhere. What the host says to either side waits
 * here as events until the spec takes them; what is asked of it (a list, a view, who is meant) is
 * an answer by its number, once it is there. No Lua runs inside the loop but the policy's. */
#include "host_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bind/core.h"
#include "proxy/lists/fetch.h"
#include "proxy/lists/view_get.h"
#include "proxy/names/resolve.h"
#include "proxy/names/rewrite_views.h"
#include "proxy/route/for_policy.h"
#include "proxy/route/init_request.h"
#include "proxy/route/session_end.h"
#include "proxy/serve/host_life.h"
#include "proxy/serve/reload.h"
#include "script/watchdog.h"

/* --- events --- */

void pl_push(struct ln_list *list, const char *kind, uint64_t id, struct ln_bytes *text) {
  struct pl_event *e = calloc(1, sizeof *e);
  *e = (struct pl_event){.kind = kind, .id = id, .text = text};
  ln_list_push(list, &e->link);
}

static bool shift(struct ln_list *list, struct pl_event *out) {
  struct ln_list *l = ln_list_shift(list);
  if (!l) return false;
  *out = *LN_CONTAINER(l, struct pl_event, link);
  free(LN_CONTAINER(l, struct pl_event, link));
  return true;
}

static struct ln_bytes *joined(const struct ln_iov *parts, size_t n) {
  size_t len = 0, at = 0;
  for (size_t i = 0; i < n; i++) len += parts[i].n;
  struct ln_bytes *b = ln_bytes_new(len);
  for (size_t i = 0; i < n; at += parts[i++].n) memcpy(b->data + at, parts[i].p, parts[i].n);
  return b;
}

/* The next one, its bytes until the call after that. NULL: there is none. */
const struct pl_event *pl_next(struct pl *r) {
  ln_bytes_unref(r->current.text);
  r->current.text = NULL;
  return shift(&r->events, &r->current) ? &r->current : NULL;
}

/* --- servers --- */

static void player_free(struct player *p) {
  struct pl_event line;
  while (shift(&p->lines, &line)) ln_bytes_unref(line.text);
  ln_task_cancel(&p->task);
  ln_list_remove(&p->link);
  free(p);
}

static void on_task(struct ln_task *t) {
  struct player *p = LN_CONTAINER(t, struct player, task);
  const struct ln_channel_events *events = p->channel.events;
  if (!p->told && !p->closing && !p->lost) {
    p->told = true;
    events->ready(p->channel.arg);
  }
  struct pl_event line;
  while (!p->closing && shift(&p->lines, &line)) events->message(p->channel.arg, line.text, 0);
  if (!p->closing && !p->lost) return;
  pl_push(&p->rig->events, "gone", p->id, NULL);
  events->closed(p->channel.arg, p->closing ? LN_OK : LN_ECLOSED, "it hung up");
  player_free(p);
}

static void wake(struct player *p) {
  ln_task_post(p->rig->loop, &p->task, on_task);
}

static int player_send(struct ln_channel *c, const struct ln_iov *parts, size_t n,
                       const struct ln_channel_note *note) {
  struct player *p = (struct player *)c;
  (void)note;
  if (p->closing || p->lost) return LN_ECLOSED;
  pl_push(&p->rig->events, "server", p->id, joined(parts, n));
  return LN_OK;
}

static void player_close(struct ln_channel *c) {
  ((struct player *)c)->closing = true;
  wake((struct player *)c);
}

static void player_initialized(struct ln_channel *c, const char *version, bool listen) {
  (void)c, (void)version, (void)listen;
}
static void player_abandon(struct ln_channel *c, uint64_t tag) {
  (void)c, (void)tag;
}
static void player_nothing(struct ln_channel *c) {
  (void)c;
}

static const struct ln_channel_ops player_ops = {player_send,    player_initialized, player_abandon,
                                                 player_nothing, player_nothing,     player_close};

static struct ln_channel *dial(void *arg, const struct ln_server_conf *conf,
                               const struct ln_channel_events *events, void *owner,
                               const char **why) {
  struct pl *r = arg;
  (void)why;
  struct player *p = calloc(1, sizeof *p);
  p->channel = (struct ln_channel){.ops = &player_ops, .events = events, .arg = owner};
  p->rig = r;
  p->id = ++r->last_player;
  ln_list_init(&p->lines);
  ln_list_push(&r->players, &p->link);
  ln_task_init(&p->task);
  pl_push(&r->events, "open", p->id, ln_bytes_copy(conf->name, strlen(conf->name)));
  wake(p);
  return &p->channel;
}

static struct player *player_of(struct pl *r, uint64_t id) {
  LN_LIST_EACH(l, &r->players) {
    struct player *p = LN_CONTAINER(l, struct player, link);
    if (p->id == id && !p->closing && !p->lost) return p;
  }
  return NULL;
}

/* The number of the channel that a link has. */
uint64_t pl_channel(const struct ln_link *link) {
  return ((struct player *)link->calls.channel)->id;
}

/* False: it has gone. */
bool pl_say(struct pl *r, uint64_t player, const char *text, size_t n) {
  struct player *p = player_of(r, player);
  if (!p) return false;
  pl_push(&p->lines, NULL, 0, ln_bytes_copy(text, n));
  wake(p);
  return true;
}

void pl_hang_up(struct pl *r, uint64_t player) {
  struct player *p = player_of(r, player);
  if (!p) return;
  p->lost = true;
  wake(p);
}

/* What belongs to no request reaches nobody, as of an HTTP server without a stream for it. */
void pl_deaf(struct pl *r, uint64_t player, bool deaf) {
  struct player *p = player_of(r, player);
  if (p) p->channel.deaf = deaf;
}

/* --- clients --- */

static int client_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  struct client *c = LN_CONTAINER(s, struct client, sink);
  (void) final;
  pl_push(&c->rig->events, "client", c->session->key, joined(out->parts, out->n));
  return LN_OK;
}

static void client_free(struct ln_sink *s) {
  free(LN_CONTAINER(s, struct client, sink));
}

static void client_give_up(struct ln_sink *s) {
  struct client *c = LN_CONTAINER(s, struct client, sink);
  pl_push(&c->rig->events, "client", c->session->key, ln_bytes_copy("given up", 8));
}

static const struct ln_sink_ops client_ops = {client_send, client_give_up, client_free};

/* A session whose client has said nothing yet. */
struct ln_session *pl_connect(struct pl *r) {
  struct client *c = calloc(1, sizeof *c);
  *c = (struct client){.sink = {&client_ops, 1, true}, .rig = r};
  c->session = ln_session_new(&r->host, "stdio", "client", NULL);
  ln_outbox_set_general(&c->session->outbox, &c->sink);
  ln_list_push(&r->clients, &c->link);
  return c->session;
}

/* One whose client has said initialize (borrowed) and is ready. */
struct ln_session *pl_join(struct pl *r, struct ln_msg *init) {
  struct ln_session *s = pl_connect(r);
  LN_ASSERT(!ln_peer_read_init(&s->peer, init) && !ln_init_request_offer(s));
  ln_session_set_state(s, LN_SESSION_OPEN);
  return s;
}

void pl_part(struct pl *r, struct ln_session *s) {
  LN_LIST_EACH(l, &r->clients) {
    struct client *c = LN_CONTAINER(l, struct client, link);
    if (s && c->session != s) continue;
    ln_list_remove(&c->link);
    ln_session_end(c->session);
    ln_session_unref(c->session);
    ln_sink_unref(&c->sink);
  }
}

/* --- the loop --- */

static void on_stop(struct ln_task *t) {
  ln_loop_stop(LN_CONTAINER(t, struct pl, stop)->loop);
}

/* One turn of it, without waiting for anything. */
void pl_turn(struct pl *r) {
  ln_task_post(r->loop, &r->stop, on_stop);
  ln_loop_run(r->loop);
}

static void on_timer(struct ln_timer *t) {
  ln_loop_stop(LN_CONTAINER(t, struct pl, timer)->loop);
}

void pl_sleep(struct pl *r, int ms) {
  ln_timer_start(r->loop, &r->timer, (uint64_t)ms, on_timer);
  ln_loop_run(r->loop);
}

/* --- what is asked of the host --- */

static struct pl_answer *answer_new(struct pl *r, struct ln_exchange *x) {
  LN_ASSERT((size_t)r->n_answers < LN_COUNT(r->answers));
  struct pl_answer *a = calloc(1, sizeof *a);
  a->x = x;
  r->answers[r->n_answers++] = a;
  return a;
}

/* x, unless NULL, has a reference for itself. */
static struct ln_exchange *exchange_for(struct ln_session *s, struct ln_msg *msg) {
  const struct ln_method *method = ln_method_find(msg->method, LN_FROM_CLIENT);
  struct ln_exchange *x = ln_exchange_new(s, msg, method, NULL);
  x->reply = ln_reply_ignore;
  ln_exchange_ref(x);
  return x;
}

static void on_listing(void *arg, struct ln_listing *listing, const char *why) {
  struct pl_answer *a = arg;
  a->there = true;
  a->listing = listing && !a->dropped ? ln_listing_ref(listing) : NULL;
  snprintf(a->why, sizeof a->why, "%s", why ? why : "");
}

struct pl_answer *pl_listing(struct pl *r, struct ln_session *s, struct ln_server *server,
                             enum ln_kind kind) {
  struct pl_answer *a = answer_new(r, NULL);
  ln_fetch_listing(&a->list, s, server, kind, on_listing, a);
  return a;
}

static void on_fetched(void *arg, bool differs) {
  struct pl_answer *a = arg;
  a->there = true;
  a->differs = differs;
}

/* NULL: nothing is asked. */
struct pl_answer *pl_fetch_again(struct pl *r, struct ln_session *s, struct ln_server *server,
                                 enum ln_kind kind) {
  struct pl_answer *a = answer_new(r, NULL);
  return ln_fetch_again(s, server, kind, on_fetched, a) ? a : NULL;
}

struct pl_answer *pl_fetch_changed(struct pl *r, struct ln_link *link, enum ln_kind kind) {
  struct pl_answer *a = answer_new(r, NULL);
  ln_fetch_changed(link, kind, on_fetched, a);
  return a;
}

static void on_view(void *arg, struct ln_view *view, const char *why) {
  struct pl_answer *a = arg;
  a->there = true;
  a->view = view && !a->dropped ? ln_view_ref(view) : NULL;
  snprintf(a->why, sizeof a->why, "%s", why ? why : "");
}

struct pl_answer *pl_view(struct pl *r, struct ln_session *s, enum ln_kind kind,
                          enum ln_view_use use) {
  struct ln_exchange *x = ln_exchange_stand_in(s, s->gen, ln_kind_rows[kind].list_method);
  ln_exchange_ref(x);
  struct pl_answer *a = answer_new(r, x);
  struct ln_view_request request = ln_exchange_views(x, kind, use);
  ln_view_get(&request, on_view, a);
  return a;
}

/* Again for the same exchange, which goes on under the policy that it began under. */
struct pl_answer *pl_view_again(struct pl *r, const struct pl_answer *before) {
  struct ln_exchange *x = before->x;
  ln_exchange_ref(x);
  struct pl_answer *a = answer_new(r, x);
  struct ln_view_request request = ln_exchange_views(x, x->method->kind, LN_VIEW_LIST);
  ln_view_get(&request, on_view, a);
  return a;
}

static void on_msg(void *arg, struct ln_msg *msg) {
  struct pl_answer *a = arg;
  LN_ASSERT(!a->there);
  a->there = true;
  if (a->dropped)
    ln_msg_unref(msg);
  else
    a->msg = msg;
}

static void on_found(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  struct pl_answer *a = arg;
  LN_ASSERT(!a->there && a->x == x && msg && done == on_msg);
  a->there = a->found = true;
}

struct pl_answer *pl_resolve(struct pl *r, struct ln_session *s, struct ln_msg *msg) {
  struct pl_answer *a = answer_new(r, exchange_for(s, msg));
  ln_resolve(a->x, msg, on_found, on_msg, a);
  return a;
}

/* A message of a server's that belongs to a request of the client's. */
struct pl_answer *pl_rewrite(struct pl *r, struct ln_session *s, struct ln_server *server,
                             struct ln_msg *request, struct ln_msg *msg) {
  struct pl_answer *a = answer_new(r, exchange_for(s, request));
  ln_rewrite(a->x, server, msg, on_msg, a);
  return a;
}

/* The request goes over that link as it stands. */
struct pl_answer *pl_call_in(struct pl *r, struct ln_session *s, struct ln_link *link,
                             struct ln_msg *msg) {
  struct pl_answer *a = answer_new(r, exchange_for(s, msg));
  ln_exchange_call(a->x, link, msg, LN_STR_NONE, NULL, on_msg, a);
  return a;
}

/* The same over the one for a single call; NULL: there is none to be had. */
struct pl_answer *pl_call(struct pl *r, struct ln_session *s, struct ln_server *server,
                          struct ln_msg *msg) {
  const char *why;
  struct ln_link *link = ln_pool_link_for_call(s, server, msg->task.p != NULL, &why);
  return link ? pl_call_in(r, s, link, msg) : NULL;
}

/* Opens the session's own link, for nothing that its client says. */
bool pl_open(struct ln_session *s, struct ln_server *server) {
  const char *why;
  return ln_pool_link(s, server, &why) != NULL;
}

/* Its exchange ends. */
void pl_cancel(struct pl_answer *a) {
  if (a->x) ln_exchange_abort(a->x);
}

/* Lets go of what it has. It may still be called back. */
static void answer_drop(struct pl_answer *a) {
  a->dropped = true;
  if (a->x) ln_exchange_close(a->x);
  ln_exchange_unref(a->x);
  ln_view_unref(a->view);
  ln_listing_unref(a->listing);
  ln_msg_unref(a->msg);
}

/* What is not asked for by a number, counted. */
size_t pl_count(const struct ln_list *list) {
  size_t n = 0;
  LN_LIST_EACH(l, list) n++;
  return n;
}

/* --- beginning and end --- */

static struct ln_policy *load(struct pl *r, const char *text, char *why, size_t max) {
  struct ln_policy_host for_policy = ln_for_policy(&r->host);
  for_policy.open = ln_core_open;
  const char *const names[] = {"policy.lua", ".", NULL};
  struct ln_target target = {LN_TARGET_TEXT, text, names};
  char *fault = NULL;
  struct ln_policy *p = ln_policy_load(&for_policy, &target, 1, &fault, NULL);
  if (!p) snprintf(why, max, "%s", fault ? fault : "out of memory");
  free(fault);
  return p;
}

struct ln_host *pl_host(struct pl *r) {
  return &r->host;
}

struct pl *pl_new(void) {
  struct pl *r = calloc(1, sizeof *r);
  r->log_fd = memfd_create("log", MFD_CLOEXEC);
  ln_log_init(&r->log, r->log_fd);
  r->loop = ln_loop_new(&r->log);
  ln_list_init(&r->players);
  ln_list_init(&r->clients);
  ln_list_init(&r->events);
  ln_task_init(&r->stop);
  ln_timer_init(&r->timer);
  ln_host_init(&r->host, r->loop, &r->log);
  /* The loop turns when the spec says so. */
  ln_watchdog_free(r->host.watchdog);
  r->host.watchdog = NULL;
  r->host.dial = dial;
  r->host.dial_arg = r;
  return r;
}

/* False, with why, when the text is no policy. */
bool pl_start(struct pl *r, const char *text, char *why, size_t max) {
  const char *trouble = "";
  struct ln_policy *p = load(r, text, why, max);
  if (!p) return false;
  if (ln_host_life_start(&r->host, p, &trouble) == LN_OK) return true;
  snprintf(why, max, "%s", trouble);
  return false;
}

bool pl_reload(struct pl *r, const char *text, char *why, size_t max) {
  struct ln_policy *p = load(r, text, why, max);
  return p && ln_reload(&r->host, p, why, max) == LN_OK;
}

static void closed(void *arg) {
  ln_loop_stop(((struct pl *)arg)->loop);
}

/* 0 when everything was closed; else a bit for what was not. Blocks and messages are the spec's to
 * count. */
int pl_free(struct pl *r) {
  int bad = 0;
  pl_part(r, NULL);
  for (int i = 0; i < r->n_answers; i++) answer_drop(r->answers[i]);
  if (!r->closing) {
    ln_host_life_close(&r->host, closed, r);
    ln_loop_run(r->loop);
  }
  ln_host_deinit(&r->host);
  ln_timer_stop(&r->timer);
  ln_loop_run(r->loop); /* until nothing is left in it */
  if (!ln_list_empty(&r->players)) bad |= 1;
  if (ln_loop_free(r->loop)) bad |= 2;
  while (pl_next(r)) continue;
  for (int i = 0; i < r->n_answers; i++) free(r->answers[i]);
  close(r->log_fd);
  free(r);
  return bad;
}

/* The whole log; the caller's to free. */
char *pl_log(struct pl *r) {
  off_t n = lseek(r->log_fd, 0, SEEK_END);
  char *text = calloc(1, (size_t)n + 1);
  if (pread(r->log_fd, text, (size_t)n, 0) != n) text[0] = '\0';
  return text;
}
