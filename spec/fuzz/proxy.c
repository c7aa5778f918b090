/* The host in between a script's servers and clients, which say whatever they like. Demanded: what
 * comes out is JSON-RPC; each request of a client that it has not called off is answered exactly
 * once, at the latest when its servers end; nobody is answered who has not asked, and no progress
 * is told under a token that nobody gave; a policy's own components are offered beside any
 * server's; in the end nothing is left.
 *
 * The script, a line each: the first letter of the first line chooses the session mode, one or two
 * servers, and whether the policy has rules. Then
 *
 *     i RESULT, j RESULT    what the first, the second server answers initialize with from now on
 *     h PARAMS              what clients say in initialize from now on
 *     c TEXT, d TEXT        a client says this
 *     0 TEXT, 1 TEXT        a server says this, in its latest session; 2, 3: its first alive
 *     a MEMBER, b MEMBER    a server answers its oldest request, with "result":… or "error":…
 *     x MEMBER, y MEMBER    a client answers the oldest question that it was asked
 *     p REST, q REST        a server tells progress under the token of its oldest, latest request
 *     t REST, u REST        a client does, of the first server's or the second's question
 *     !, ?                  a server's latest session ends
 *     ~                     a client goes and another comes
 *
 * Lists are answered by themselves, when there is nothing in the script for them. */
#include "bind/core.h"
#include "net/loop.h"
#include "proxy/entry/parse.h"
#include "proxy/lists/index.h"
#include "proxy/lists/share.h"
#include "proxy/route/for_policy.h"
#include "proxy/route/from_client.h"
#include "proxy/route/session_end.h"
#include "proxy/serve/host_life.h"
#include "proxy/server/generation.h"
#include "proxy/server/link.h"
#include "proxy_said.h"

enum { PLAYERS = 2, CONFIGS = 12, MAX_LINES = 200 };

static struct ln_loop *loop;
static bool nobodys; /* what is heard is progress under a token that Lunette never gave */

/* --- servers --- */

struct player {
  struct ln_channel channel;
  struct ln_list link;
  size_t who;
  struct ln_task task;
  struct bag lines;      /* to be heard of */
  struct bag asked;      /* ids of requests to it */
  struct bag tokens;     /* of those, as it was given them; "0" for none */
  struct bag given;      /* all tokens that it ever was given */
  struct bag asks, gave; /* ids and tokens of its own */
  bool ready, closing, lost;
};

static struct ln_list players;
static struct ln_bytes *hello[PLAYERS]; /* the result of initialize */

static void on_task(struct ln_task *t) {
  struct player *p = LN_CONTAINER(t, struct player, task);
  const struct ln_channel_events *events = p->channel.events;
  if (!p->ready && !p->closing) {
    p->ready = true;
    events->ready(p->channel.arg);
  }
  while (!p->closing && p->lines.n) events->message(p->channel.arg, take_at(&p->lines, 0), 0);
  if (!p->closing && !p->lost) return;
  events->closed(p->channel.arg, p->closing ? LN_OK : LN_ECLOSED, "it was ended");
  ln_list_remove(&p->link);
  ln_task_cancel(&p->task);
  struct bag *bags[] = {&p->lines, &p->asked, &p->tokens, &p->given, &p->asks, &p->gave};
  for (size_t i = 0; i < LN_COUNT(bags); i++) empty(bags[i]);
  free(p);
}

static void note_said(struct player *p, struct ln_str text) {
  struct ln_msg *m = parsed(text.p, text.n, &any);
  if (m && m->kind == LN_MSG_REQUEST) {
    put(&p->asks, m->id);
    put(&p->gave, m->progress_token);
  }
  nobodys |= m && tells_progress(m) && !has(&p->given, m->progress_token);
  ln_msg_unref(m);
}

static void server_says(struct player *p, struct ln_str text) {
  struct ln_json_info info;
  struct ln_json_item it;
  if (!p || p->lost || p->closing || p->lines.n == MAX_BAG) return;
  text = ln_json_trim(text);
  if (ln_json_scan(text, &any.json, &info) == LN_OK && info.type == LN_JSON_ARRAY) {
    struct ln_json_cur cur = ln_json_enter(text);
    while (ln_json_next(&cur, &it)) note_said(p, it.value);
  } else {
    note_said(p, text);
  }
  put(&p->lines, text);
  ln_task_post(loop, &p->task, on_task);
}

static void server_answers(struct player *p, size_t i, struct ln_str member) {
  struct ln_buf b;
  if (!p || i >= p->asked.n) return;
  struct ln_bytes *id = take_at(&p->asked, i), *token = take_at(&p->tokens, i);
  ln_buf_init(&b, SIZE_MAX / 2);
  MUST(!ln_buf_printf(&b, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,%.*s}", (int)id->len, id->data,
                      LN_STR_ARG(member)));
  server_says(p, ln_buf_str(&b));
  ln_buf_deinit(&b);
  ln_bytes_unref(id);
  ln_bytes_unref(token);
}

static void asked(struct player *p, const struct ln_msg *m) {
  static const char *const lists[][2] = {
      {"tools/list",
       "\"result\":{\"tools\":[{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"}},"
       "{\"name\":\"u\",\"inputSchema\":{\"type\":\"object\"}}]}"},
      {"resources/list", "\"result\":{\"resources\":[{\"uri\":\"r://1\",\"name\":\"r\"}]}"},
      {"resources/templates/list",
       "\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"r://{x}\",\"name\":\"r\"}]}"},
      {"prompts/list", "\"result\":{\"prompts\":[{\"name\":\"p\"}]}"}};
  if (p->asked.n == MAX_BAG) return;
  put(&p->asked, m->id);
  put(&p->tokens, m->progress_token.p ? m->progress_token : LN_STR_LIT("0"));
  put(&p->given, m->progress_token);
  char member[4096];
  if (ln_str_is(m->method, "initialize")) {
    snprintf(member, sizeof member, "\"result\":%.*s", (int)hello[p->who]->len,
             hello[p->who]->data);
    server_answers(p, p->asked.n - 1, ln_str_c(member));
  }
  for (size_t i = 0; i < LN_COUNT(lists); i++)
    if (ln_str_is(m->method, lists[i][0])) server_answers(p, p->asked.n - 1, ln_str_c(lists[i][1]));
}

static int player_send(struct ln_channel *c, const struct ln_iov *parts, size_t n,
                       const struct ln_channel_note *note) {
  struct player *p = (struct player *)c;
  (void)note;
  if (p->closing || p->lost) return LN_ECLOSED;
  struct ln_msg *m = sent(parts, n);
  if (m->kind == LN_MSG_REQUEST)
    asked(p, m);
  else if (tells_progress(m))
    MUST(!nobodys && has(&p->gave, m->progress_token));
  else if (m->kind != LN_MSG_NOTIFICATION)
    MUST(take(&p->asks, m->id));
  ln_msg_unref(m);
  return LN_OK;
}

static void player_initialized(struct ln_channel *c, const char *version, bool listen) {
  (void)c, (void)version, (void)listen;
}
static void player_abandon(struct ln_channel *c, uint64_t tag) {
  (void)c, (void)tag;
}
static void player_pause(struct ln_channel *c) {
  (void)c; /* what was read already may still come */
}
static void player_close(struct ln_channel *c) {
  struct player *p = (struct player *)c;
  p->closing = true;
  ln_task_post(loop, &p->task, on_task);
}
static const struct ln_channel_ops player_ops = {player_send,  player_initialized, player_abandon,
                                                 player_pause, player_pause,       player_close};

static struct ln_channel *dial(void *arg, const struct ln_server_conf *conf,
                               const struct ln_channel_events *events, void *owner,
                               const char **why) {
  (void)arg, (void)why;
  struct player *p = calloc(1, sizeof *p);
  MUST(p);
  p->channel = (struct ln_channel){.ops = &player_ops, .events = events, .arg = owner};
  p->who = conf->name[0] == 'b';
  ln_list_push(&players, &p->link);
  ln_task_init(&p->task);
  ln_task_post(loop, &p->task, on_task);
  return &p->channel;
}

static struct player *player_of(size_t who, bool first) {
  struct player *found = NULL;
  LN_LIST_EACH(l, &players) {
    struct player *p = LN_CONTAINER(l, struct player, link);
    if (p->who == who && !p->lost && !p->closing && !(first && found)) found = p;
  }
  return found;
}

static void hang_up(struct player *p) {
  if (!p) return;
  p->lost = true;
  ln_task_post(loop, &p->task, on_task);
}

/* --- clients --- */

struct client {
  struct ln_sink sink;
  struct ln_session *session;
  struct bag asks;      /* ids that it waits for */
  struct bag loose;     /* ids that it has called off, and may be answered or not */
  struct bag gave;      /* tokens */
  struct bag questions; /* ids of requests to it */
  struct bag given;     /* their tokens, of all times */
  bool own;             /* the policy's components are to be offered to it */
  unsigned serial;
};

static struct client *clients[2];
static struct ln_bytes *client_hello;

static int client_send(struct ln_sink *s, const struct ln_out *out, bool final) {
  (void) final;
  struct client *c = LN_CONTAINER(s, struct client, sink);
  struct ln_json_item it, tools;
  struct ln_msg *m = sent(out->parts, out->n);
  if (m->kind == LN_MSG_REQUEST)
    put(&c->questions, m->id), put(&c->given, m->progress_token);
  else if (tells_progress(m))
    MUST(!nobodys && has(&c->gave, m->progress_token));
  else if (m->kind != LN_MSG_NOTIFICATION)
    MUST(take(&c->asks, m->id) || has(&c->loose, m->id));
  if (c->own && m->kind == LN_MSG_RESULT && ln_str_is(m->id, "\"hello\""))
    MUST(ln_json_get(m->result, "capabilities", &it) && it.type == LN_JSON_OBJECT &&
         ln_json_get(it.value, "tools", &tools) && tools.type == LN_JSON_OBJECT);
  ln_msg_unref(m);
  return LN_OK;
}

static void client_free(struct ln_sink *s) {
  struct client *c = LN_CONTAINER(s, struct client, sink);
  struct bag *bags[] = {&c->asks, &c->loose, &c->gave, &c->questions, &c->given};
  for (size_t i = 0; i < LN_COUNT(bags); i++) empty(bags[i]);
  free(c);
}

static const struct ln_sink_ops client_ops = {client_send, NULL, client_free};

static void client_says(struct client *c, struct ln_str text) {
  struct ln_msg_limits limits = ln_parse_limits(c->session->host);
  struct ln_msg *m = parsed(text.p, text.n, &limits);
  struct ln_json_item id;
  if (!m || c->asks.n == MAX_BAG || c->gave.n == MAX_BAG) {
    ln_msg_unref(m);
    return;
  }
  if (m->kind == LN_MSG_REQUEST) {
    put(&c->gave, m->progress_token);
    if (!has(&c->asks, m->id) && !has(&c->loose, m->id)) put(&c->asks, m->id);
  } else if (m->kind == LN_MSG_NOTIFICATION && ln_json_get(m->params, "requestId", &id)) {
    if (take(&c->asks, id.value)) put(&c->loose, id.value);
  }
  nobodys = tells_progress(m) && !has(&c->given, m->progress_token);
  ln_from_client(c->session, m, &c->sink, NULL);
  ln_msg_unref(m);
}

static void client_answers(struct client *c, struct ln_str member) {
  struct ln_buf b;
  if (!c->questions.n) return;
  const struct ln_bytes *id = c->questions.at[0];
  ln_buf_init(&b, SIZE_MAX / 2);
  MUST(!ln_buf_printf(&b, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,%.*s}", (int)id->len, id->data,
                      LN_STR_ARG(member)));
  struct ln_msg_limits limits = ln_parse_limits(c->session->host);
  struct ln_msg *m = parsed(b.data, b.len, &limits);
  if (m && (m->kind == LN_MSG_RESULT || m->kind == LN_MSG_ERROR)) {
    ln_bytes_unref(take_at(&c->questions, 0));
    ln_from_client(c->session, m, &c->sink, NULL);
  }
  ln_msg_unref(m);
  ln_buf_deinit(&b);
}

static void settle(int turns);

static void come(struct ln_host *h, size_t i, bool own) {
  struct client *c = calloc(1, sizeof *c);
  char text[8192];
  MUST(c);
  c->sink = (struct ln_sink){&client_ops, 1, true};
  c->own = own;
  c->session = ln_session_new(h, "stdio", "fuzz", NULL);
  MUST(c->session);
  clients[i] = c;
  ln_outbox_set_general(&c->session->outbox, &c->sink);
  snprintf(text, sizeof text,
           "{\"jsonrpc\":\"2.0\",\"id\":\"hello\",\"method\":\"initialize\",\"params\":%.*s}",
           (int)client_hello->len, client_hello->data);
  client_says(c, ln_str_c(text));
  settle(8);
  client_says(c, LN_STR_LIT("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"));
  settle(4);
}

static void leave(size_t i) {
  struct client *c = clients[i];
  ln_session_end(c->session);
  ln_session_unref(c->session);
  ln_sink_unref(&c->sink);
}

/* --- the host --- */

static struct ln_host hosts[CONFIGS];
static struct ln_log the_log;

static struct ln_host *host_of(unsigned config) {
  static const char *const modes[] = {"client", "shared", "request"};
  static const char *const args[] = {"fuzz", "spec/fuzz/proxy.lua", NULL};
  struct ln_host *h = &hosts[config];
  char text[4096], *why = NULL;
  const char *reason, *mode = modes[config % 3];
  if (h->gen) return h;
  int n = snprintf(text, sizeof text, "local lunette = require 'lunette'\n");
  for (unsigned i = 0; i < 1 + config / 3 % 2; i++)
    n += snprintf(text + n, sizeof text - (size_t)n,
                  "lunette.upstream('%s', { command = 'x', session = '%s' })\n", i ? "b" : "a",
                  mode);
  ln_host_init(h, loop, &the_log);
  h->dial = dial;
  struct ln_policy_host for_policy = ln_for_policy(h);
  for_policy.open = ln_core_open;
  struct ln_target targets[] = {{LN_TARGET_TEXT, text, args}, {LN_TARGET_LUA, args[1], NULL}};
  struct ln_policy *p = ln_policy_load(&for_policy, targets, config < 6 ? 1 : 2, &why, NULL);
  if (!p) fprintf(stderr, "%s\n", why);
  MUST(p && !ln_host_life_start(h, p, &reason));
  return h;
}

static int turns_left;
static void on_turn(struct ln_task *t) {
  if (--turns_left)
    ln_task_post(loop, t, on_turn);
  else
    ln_loop_stop(loop);
}

/* What was said is heard, and what comes of it. */
static void settle(int turns) {
  static struct ln_task task;
  ln_task_init(&task);
  turns_left = turns;
  ln_task_post(loop, &task, on_turn);
  ln_loop_run(loop);
}

static void set(struct ln_bytes **at, struct ln_str text) {
  ln_bytes_unref(*at);
  *at = ln_bytes_copy(text.p, text.n);
}

static void progress(struct player *p, struct client *c, bool last, struct ln_str rest) {
  const struct bag *of = p ? &p->tokens : c ? &c->questions : NULL;
  struct ln_buf b;
  if (!of || !of->n) return;
  const struct ln_bytes *token = of->at[last ? of->n - 1 : 0];
  ln_buf_init(&b, SIZE_MAX / 2);
  MUST(!ln_buf_printf(&b,
                      "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":"
                      "{\"progressToken\":%.*s,%.*s}}",
                      (int)token->len, token->data, LN_STR_ARG(rest)));
  if (p)
    server_says(p, ln_buf_str(&b));
  else
    client_says(c, ln_buf_str(&b));
  ln_buf_deinit(&b);
}

static void act(struct ln_host *h, char op, struct ln_str rest, bool own) {
  switch (op) {
    case 'i':
    case 'j': set(&hello[op == 'j'], rest); break;
    case 'h': set(&client_hello, rest); break;
    case 'c':
    case 'd': client_says(clients[op == 'd'], rest); break;
    case '0':
    case '1': server_says(player_of(op == '1', false), rest); break;
    case '2':
    case '3': server_says(player_of(op == '3', true), rest); break;
    case 'a':
    case 'b': server_answers(player_of(op == 'b', true), 0, rest); break;
    case 'x':
    case 'y': client_answers(clients[op == 'y'], rest); break;
    case 'p':
    case 'q': progress(player_of(0, op == 'p'), NULL, op == 'q', rest); break;
    case 't':
    case 'u': progress(NULL, clients[op == 'u'], true, rest); break;
    case '!':
    case '?': hang_up(player_of(op == '?', false)); break;
    case '~':
      leave(0);
      come(h, 0, own);
      break;
    default: return;
  }
  settle(4);
  nobodys = false;
}

/* Whoever could still answer ends, or refuses. */
static void end_all(void) {
  for (int i = 0; i < 40 && (clients[0]->asks.n || clients[1]->asks.n); i++) {
    LN_LIST_EACH(l, &players) hang_up(LN_CONTAINER(l, struct player, link));
    for (size_t k = 0; k < 2; k++)
      while (clients[k]->questions.n)
        client_answers(clients[k], LN_STR_LIT("\"error\":{\"code\":1,\"message\":\"no\"}"));
    settle(6);
  }
  for (size_t k = 0; k < 2; k++) {
    for (size_t i = 0; i < clients[k]->asks.n; i++)
      fprintf(stderr, "not answered: %.*s\n", (int)clients[k]->asks.at[i]->len,
              clients[k]->asks.at[i]->data);
    MUST(!clients[k]->asks.n);
  }
}

/* As it was before: what is known of the servers is forgotten. */
static void forget(struct ln_host *h) {
  for (size_t i = 0; i < h->gen->n_servers; i++) {
    struct ln_server *server = h->gen->servers[i];
    LN_LIST_EACH(l, &server->links) {
      ln_link_close(LN_CONTAINER(l, struct ln_link, link), "the end");
    }
    while (!ln_list_empty(&server->indexes))
      ln_index_retire(LN_CONTAINER(server->indexes.next, struct ln_index, link));
    ln_share_server_ends(server);
    server->said = server->apart = NULL;
    server->unsteady = false;
  }
  for (int i = 0; i < 20 && !ln_list_empty(&players); i++) settle(2);
  MUST(ln_list_empty(&players) && ln_list_empty(&h->views) && ln_list_empty(&h->sessions));
  for (size_t i = 0; i < h->gen->n_servers; i++) {
    struct ln_server *server = h->gen->servers[i];
    MUST(ln_list_empty(&server->links) && !server->shared);
    server->health = LN_SERVER_UNKNOWN;
    server->failures = 0;
    server->retry_at = server->backoff_until = 0;
    server->shared_lost = false;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char plain[] =
      "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{\"listChanged\":true},"
      "\"resources\":{\"subscribe\":true},\"prompts\":{},\"logging\":{},\"completions\":{},"
      "\"tasks\":{\"list\":{},\"cancel\":{},\"requests\":{\"tools\":{\"call\":{}}}}},"
      "\"serverInfo\":{\"name\":\"s\",\"version\":\"1\"},\"instructions\":\"i\"}";
  static const char says[] =
      "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"sampling\":{},\"elicitation\":{},"
      "\"roots\":{}},\"clientInfo\":{\"name\":\"c\",\"version\":\"1\"}}";
  if (!loop) {
    FILE *null = fopen("/dev/null", "w");
    MUST(null);
    ln_log_init(&the_log, fileno(null));
    the_log.level = LN_LOG_DEBUG;
    loop = ln_loop_new(&the_log);
    MUST(loop);
    ln_list_init(&players);
  }
  if (!size) return 0;
  unsigned config = (unsigned char)(data[0] - 'A') % CONFIGS;
  struct ln_host *h = host_of(config);
  bool own = config >= 6;
  size_t messages = ln_msg_live();
  for (size_t i = 0; i < PLAYERS; i++) set(&hello[i], ln_str_c(plain));
  set(&client_hello, ln_str_c(says));
  struct ln_str text = {(const char *)data, size};
  int lines = 0;
  for (bool head = true; text.n && lines < MAX_LINES; lines++) {
    const char *end = memchr(text.p, '\n', text.n);
    size_t n = end ? (size_t)(end - text.p) : text.n;
    struct ln_str rest = {text.p + LN_MIN(n, 2), n - LN_MIN(n, 2)};
    char op = n ? text.p[0] : 0;
    text = (struct ln_str){text.p + n + (end != NULL), text.n - n - (end != NULL)};
    if (!lines) continue; /* the configuration */
    if (head && !(op == 'i' || op == 'j' || op == 'h')) {
      for (size_t i = 0; i < 2; i++) come(h, i, own);
      head = false;
    }
    if (head && op == 'h')
      set(&client_hello, rest);
    else if (head)
      set(&hello[op == 'j'], rest);
    else
      act(h, op, rest, own);
    if (!text.n || lines + 1 == MAX_LINES) {
      if (head)
        for (size_t i = 0; i < 2; i++) come(h, i, own);
      end_all();
      for (size_t i = 0; i < 2; i++) leave(i);
    }
  }
  forget(h);
  for (size_t i = 0; i < PLAYERS; i++) {
    ln_bytes_unref(hello[i]);
    hello[i] = NULL;
  }
  ln_bytes_unref(client_hello);
  client_hello = NULL;
  MUST(ln_policy_runs(h->gen->policy) == 0 && ln_msg_live() == messages);
  return 0;
}
