/* See test_harness.h. A client is a sink, a session with a server (player) a channel, that make
 * events. */
#include "bind/test_harness.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#include "proxy/entry/parse.h"
#include "proxy/route/from_client.h"
#include "proxy/route/session_end.h"
#include "transport/channel.h"
#include "transport/fetch.h"

enum { MAX_EVENTS = 100000 }; /* not taken: a test that never waits must not use up the memory */

enum event_kind { TO_CLIENT, TO_SERVER, OPENED, GONE, HTTP };
static const char *const event_names[] = {"client", "server", "open", "gone", "http"};

struct event {
  struct ln_list link;
  enum event_kind kind;
  unsigned id;
  struct ln_bytes *text; /* counted, or NULL */
};

struct server {
  struct ln_list link;
  struct ln_bytes *why; /* it can't be had; NULL: it can */
  char name[];
};

struct client {
  struct ln_sink sink; /* one reference is the harness's */
  struct ln_list link; /* in harness->clients until it parts */
  struct ln_test_harness *harness;
  struct ln_session *session; /* counted */
  struct ln_bytes *headers;   /* counted */
  unsigned id;
};

struct line {
  struct ln_list link;
  struct ln_bytes *text;
};

struct player {
  struct ln_channel channel;
  struct ln_list link; /* in harness->players until closed */
  struct ln_test_harness *harness;
  unsigned id;
  struct ln_task task;  /* events of the channel are raised from the loop */
  struct ln_list lines; /* of the server, not yet delivered */
  bool ready_told, paused, asked_to_close, lost;
  struct ln_bytes *why; /* lost */
};

struct ln_test_harness {
  struct ln_host *host;
  struct ln_list servers, clients, players, events;
  size_t n_events;
  unsigned last_id;
  bool waiting; /* in the loop */
  struct ln_timer timeout;
};

/* --- events --- */

/* Takes the text's reference. */
static int add_event(struct ln_test_harness *th, enum event_kind kind, unsigned id,
                     struct ln_bytes *text) {
  struct event *e = th->n_events < MAX_EVENTS ? malloc(sizeof *e) : NULL;
  if (!e) {
    ln_bytes_unref(text);
    return LN_ENOMEM;
  }
  *e = (struct event){.kind = kind, .id = id, .text = text};
  ln_list_push(&th->events, &e->link);
  th->n_events++;
  if (th->waiting) ln_loop_stop(th->host->loop);
  return LN_OK;
}

static struct ln_bytes *joined(const struct ln_iov *parts, size_t n) {
  size_t len = 0;
  for (size_t i = 0; i < n; i++) len += parts[i].n;
  struct ln_bytes *b = ln_bytes_new(len);
  for (size_t i = 0, at = 0; b && i < n; at += parts[i++].n)
    memcpy(b->data + at, parts[i].p, parts[i].n);
  return b;
}

static int deliver(struct ln_test_harness *th, enum event_kind kind, unsigned id,
                   const struct ln_iov *parts, size_t n) {
  struct ln_bytes *text = joined(parts, n);
  return text ? add_event(th, kind, id, text) : LN_ENOMEM;
}

static void event_free(struct ln_test_harness *th, struct event *e) {
  ln_list_remove(&e->link);
  ln_bytes_unref(e->text);
  free(e);
  th->n_events--;
}

/* --- servers --- */

static void player_free(struct player *p) {
  struct ln_list *l;
  while ((l = ln_list_shift(&p->lines))) {
    struct line *line = LN_CONTAINER(l, struct line, link);
    ln_bytes_unref(line->text);
    free(line);
  }
  ln_list_remove(&p->link);
  ln_task_cancel(&p->task);
  ln_bytes_unref(p->why);
  free(p);
}

static void on_task(struct ln_task *t) {
  struct player *p = LN_CONTAINER(t, struct player, task);
  const struct ln_channel_events *events = p->channel.events;
  if (!p->ready_told && !p->asked_to_close && !p->lost) {
    p->ready_told = true;
    events->ready(p->channel.arg);
  }
  struct ln_list *l;
  while (!p->paused && !p->asked_to_close && (l = ln_list_shift(&p->lines))) {
    struct line *line = LN_CONTAINER(l, struct line, link);
    struct ln_bytes *text = line->text;
    free(line);
    events->message(p->channel.arg, text, 0);
  }
  if (!p->asked_to_close && !(p->lost && ln_list_empty(&p->lines))) return;
  /* Out of memory the event is lost, and nothing else. */
  (void)!add_event(p->harness, GONE, p->id, NULL);
  events->closed(p->channel.arg, p->asked_to_close ? LN_OK : LN_ECLOSED,
                 p->asked_to_close ? "the server was ended"
                 : p->why          ? p->why->data
                                   : "the server ended");
  player_free(p);
}

static void wake(struct player *p) {
  ln_task_post(p->harness->host->loop, &p->task, on_task);
}

static int player_send(struct ln_channel *c, const struct ln_iov *parts, size_t n,
                       const struct ln_channel_note *note) {
  struct player *p = (struct player *)c;
  (void)note;
  if (p->asked_to_close || p->lost) return LN_ECLOSED;
  return deliver(p->harness, TO_SERVER, p->id, parts, n);
}

static void player_initialized(struct ln_channel *c, const char *version, bool listen) {
  (void)c, (void)version, (void)listen;
}

static void player_abandon(struct ln_channel *c, uint64_t tag) {
  (void)c, (void)tag;
}

static void player_pause(struct ln_channel *c) {
  ((struct player *)c)->paused = true;
}

static void player_resume(struct ln_channel *c) {
  ((struct player *)c)->paused = false;
  wake((struct player *)c);
}

static void player_close(struct ln_channel *c) {
  ((struct player *)c)->asked_to_close = true;
  wake((struct player *)c);
}

static const struct ln_channel_ops player_ops = {player_send,  player_initialized, player_abandon,
                                                 player_pause, player_resume,      player_close};

static struct server *find_server(struct ln_test_harness *th, const char *name) {
  LN_LIST_EACH(l, &th->servers) {
    struct server *s = LN_CONTAINER(l, struct server, link);
    if (strcmp(s->name, name) == 0) return s;
  }
  return NULL;
}

static struct ln_channel *dial(void *arg, const struct ln_server_conf *conf,
                               const struct ln_channel_events *events, void *owner,
                               const char **why) {
  struct ln_test_harness *th = arg;
  const struct server *s = find_server(th, conf->name);
  *why = s && s->why ? s->why->data : "nobody plays this server";
  if (!s || s->why) return NULL;
  *why = ln_err_text(LN_ENOMEM);
  struct player *p = calloc(1, sizeof *p);
  struct ln_bytes *name = p ? ln_bytes_copy(conf->name, strlen(conf->name)) : NULL;
  if (!name || add_event(th, OPENED, ++th->last_id, name)) {
    free(p);
    return NULL;
  }
  p->channel = (struct ln_channel){.ops = &player_ops, .events = events, .arg = owner};
  p->harness = th;
  p->id = th->last_id;
  ln_list_init(&p->lines);
  ln_list_push(&th->players, &p->link);
  ln_task_init(&p->task);
  wake(p);
  return &p->channel;
}

static struct player *find_player(struct ln_test_harness *th, lua_Integer id) {
  LN_LIST_EACH(l, &th->players) {
    struct player *p = LN_CONTAINER(l, struct player, link);
    if (p->id == id) return p;
  }
  return NULL;
}

/* With a NUL behind it: some are used as C strings. */
static struct ln_bytes *bytes_at(lua_State *L, int idx) {
  size_t n;
  const char *s = luaL_checklstring(L, idx, &n);
  struct ln_bytes *b = ln_bytes_copy(s, n + 1);
  if (!b) luaL_error(L, "not enough memory");
  return b;
}

static int l_play(struct ln_test_harness *th, lua_State *L, int at) {
  size_t n;
  const char *name = luaL_checklstring(L, at, &n);
  struct ln_bytes *why = lua_isnoneornil(L, at + 1) ? NULL : bytes_at(L, at + 1);
  struct server *s = find_server(th, name);
  if (!s && (s = calloc(1, sizeof *s + n + 1))) {
    memcpy(s->name, name, n + 1);
    ln_list_push(&th->servers, &s->link);
  }
  if (!s) {
    ln_bytes_unref(why);
    return luaL_error(L, "not enough memory");
  }
  ln_bytes_unref(s->why);
  s->why = why;
  return 0;
}

static int l_reply(struct ln_test_harness *th, lua_State *L, int at) {
  struct player *p = find_player(th, luaL_checkinteger(L, at));
  size_t n;
  const char *text = luaL_checklstring(L, at + 1, &n);
  if (!p || p->asked_to_close || p->lost) return 0;
  struct line *line = calloc(1, sizeof *line);
  if (line) line->text = ln_bytes_copy(text, n);
  if (!line || !line->text) {
    free(line);
    return luaL_error(L, "not enough memory");
  }
  ln_list_push(&p->lines, &line->link);
  wake(p);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_hang_up(struct ln_test_harness *th, lua_State *L, int at) {
  struct player *p = find_player(th, luaL_checkinteger(L, at));
  luaL_checkstring(L, at + 1);
  if (!p || p->lost) return 0;
  p->why = bytes_at(L, at + 1);
  p->lost = true;
  p->paused = false;
  wake(p);
  return 0;
}

/* --- clients --- */

static int client_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  (void) final;
  struct client *c = LN_CONTAINER(s, struct client, sink);
  return c->session ? deliver(c->harness, TO_CLIENT, c->id, out->parts, out->n) : LN_ECLOSED;
}

static void client_free(struct ln_sink *s) {
  struct client *c = LN_CONTAINER(s, struct client, sink);
  ln_bytes_unref(c->headers);
  free(c);
}

static const struct ln_sink_ops client_ops = {client_send, NULL, client_free};

static void part(struct client *c) {
  struct ln_session *s = c->session;
  c->session = NULL;
  ln_list_remove(&c->link);
  ln_session_end(s);
  ln_session_unref(s);
  ln_sink_unref(&c->sink);
}

static struct client *find_client(struct ln_test_harness *th, lua_Integer id) {
  LN_LIST_EACH(l, &th->clients) {
    struct client *c = LN_CONTAINER(l, struct client, link);
    if (c->id == id) return c;
  }
  return NULL;
}

static int l_join(struct ln_test_harness *th, lua_State *L, int at) {
  static const char *const transports[] = {"stdio", "http", "sse", "internal", NULL};
  const char *transport = transports[luaL_checkoption(L, at, "stdio", transports)];
  size_t n;
  const char *headers = luaL_checklstring(L, at + 1, &n);
  struct client *c = calloc(1, sizeof *c);
  if (c) c->headers = ln_bytes_copy(headers, n);
  if (!c || !c->headers) {
    free(c);
    return luaL_error(L, "not enough memory");
  }
  char name[32];
  snprintf(name, sizeof name, "test-%u", ++th->last_id);
  c->session = ln_session_new(th->host, transport, name, NULL);
  if (!c->session) {
    ln_bytes_unref(c->headers);
    free(c);
    lua_pushnil(L);
    lua_pushliteral(L, "there are as many sessions as max_sessions allows");
    return 2;
  }
  c->sink = (struct ln_sink){&client_ops, 1, true};
  c->harness = th;
  c->id = th->last_id;
  ln_list_push(&th->clients, &c->link);
  ln_outbox_set_general(&c->session->outbox, &c->sink);
  lua_pushinteger(L, (lua_Integer)c->id);
  return 1;
}

static int l_headers(struct ln_test_harness *th, lua_State *L, int at) {
  struct client *c = find_client(th, luaL_checkinteger(L, at));
  size_t n;
  const char *headers = luaL_checklstring(L, at + 1, &n);
  if (!c) return luaL_error(L, "the client has gone");
  struct ln_bytes *fresh = ln_bytes_copy(headers, n);
  if (!fresh) return luaL_error(L, "not enough memory");
  ln_bytes_unref(c->headers);
  c->headers = fresh;
  return 0;
}

static int l_part(struct ln_test_harness *th, lua_State *L, int at) {
  struct client *c = find_client(th, luaL_checkinteger(L, at));
  if (c) part(c);
  return 0;
}

static int l_say(struct ln_test_harness *th, lua_State *L, int at) {
  struct client *c = find_client(th, luaL_checkinteger(L, at));
  size_t n;
  const char *text = luaL_checklstring(L, at + 1, &n);
  if (!c) return luaL_error(L, "the client has gone");
  struct ln_bytes *bytes = ln_bytes_copy(text, n);
  if (!bytes) return luaL_error(L, "not enough memory");
  struct ln_msg_limits limits = ln_parse_limits(th->host);
  struct ln_msg_fault fault = {0};
  struct ln_msg *m = NULL;
  int rc = ln_msg_parse(bytes, (struct ln_str){bytes->data, n}, &limits, &m, &fault);
  ln_bytes_unref(bytes);
  if (rc) {
    ln_bytes_unref(fault.id_bytes);
    lua_pushnil(L);
    lua_pushstring(L, fault.text);
    return 2;
  }
  ln_from_client(c->session, m, &c->sink, c->headers);
  ln_msg_unref(m);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- HTTP --- */

static void on_fetch(void *arg, unsigned id, struct ln_str head, struct ln_str body) {
  const struct ln_iov parts[] = {
      {.p = head.p, .n = head.n}, {.p = "\r\n", .n = 2}, {.p = body.p, .n = body.n}};
  /* Out of memory the request ends by its timeout. */
  (void)!deliver(arg, HTTP, id, parts, body.n ? 3 : 2);
}

static int l_divert(struct ln_test_harness *th, lua_State *L, int at) {
  (void)L, (void)at;
  if (th->host->fetcher) ln_fetcher_divert(th->host->fetcher, on_fetch, th);
  return 0;
}

static int l_answer(struct ln_test_harness *th, lua_State *L, int at) {
  lua_Integer id = luaL_checkinteger(L, at);
  struct ln_str response = LN_STR_NONE;
  if (!lua_isnil(L, at + 1)) response.p = luaL_checklstring(L, at + 1, &response.n);
  const char *why = luaL_optstring(L, at + 2, "it can't be reached");
  if (th->host->fetcher) ln_fetcher_answer(th->host->fetcher, (unsigned)id, response, why);
  return 0;
}

/* --- waiting --- */

static void on_timeout(struct ln_timer *t) {
  struct ln_test_harness *th = LN_CONTAINER(t, struct ln_test_harness, timeout);
  if (th->waiting) ln_loop_stop(th->host->loop);
}

static int l_wait(struct ln_test_harness *th, lua_State *L, int at) {
  double seconds = luaL_checknumber(L, at);
  if (th->n_events == 0) {
    uint64_t ms = seconds > 0 ? (uint64_t)(seconds * 1000) : 0;
    ln_timer_start(th->host->loop, &th->timeout, ms, on_timeout);
    th->waiting = true;
    ln_loop_run(th->host->loop);
    th->waiting = false;
    ln_timer_stop(&th->timeout);
  }
  if (th->n_events == 0) return 0;
  lua_createtable(L, 0, 3);
  struct event *e = LN_CONTAINER(th->events.next, struct event, link);
  lua_pushstring(L, event_names[e->kind]);
  lua_setfield(L, -2, "kind");
  lua_pushinteger(L, (lua_Integer)e->id);
  lua_setfield(L, -2, "id");
  if (e->text) {
    lua_pushlstring(L, e->text->data, e->text->len);
    lua_setfield(L, -2, "text");
  }
  event_free(th, e);
  return 1;
}

LN_THROWS int ln_test_harness_act(struct ln_test_harness *th, struct lua_State *L, int at) {
  typedef int (*act)(struct ln_test_harness *, lua_State *, int);
  static const act acts[] = {l_play,  l_join,    l_headers, l_part,   l_say,
                             l_reply, l_hang_up, l_divert,  l_answer, l_wait};
  static const char *const names[] = {"play",    "join",   "headers", "part", "say", "reply",
                                      "hang_up", "divert", "answer",  "wait", NULL};
  return acts[luaL_checkoption(L, at, NULL, names)](th, L, at + 1);
}

struct ln_test_harness *ln_test_harness_new(struct ln_host *h) {
  struct ln_test_harness *th = calloc(1, sizeof *th);
  if (!th) return NULL;
  th->host = h;
  ln_list_init(&th->servers);
  ln_list_init(&th->clients);
  ln_list_init(&th->players);
  ln_list_init(&th->events);
  ln_timer_init(&th->timeout);
  h->dial = dial;
  h->dial_arg = th;
  return th;
}

void ln_test_harness_leave(struct ln_test_harness *th) {
  while (!ln_list_empty(&th->clients)) part(LN_CONTAINER(th->clients.next, struct client, link));
}

void ln_test_harness_free(struct ln_test_harness *th) {
  if (!th) return;
  LN_ASSERT(ln_list_empty(&th->players));
  while (!ln_list_empty(&th->events))
    event_free(th, LN_CONTAINER(th->events.next, struct event, link));
  struct ln_list *l;
  while ((l = ln_list_shift(&th->servers))) {
    struct server *s = LN_CONTAINER(l, struct server, link);
    ln_bytes_unref(s->why);
    free(s);
  }
  free(th);
}
