/* Sessions by their ids; see session_table.h. */
#include "proxy/http/session_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "net/digest.h"
#include "net/secret.h"
#include "proxy/http/session_id.h"
#include "proxy/route/session_end.h"

static struct ln_http_session *entry_of(struct ln_list *l) {
  return LN_CONTAINER(l, struct ln_http_session, link);
}

/* --- ids --- */

/* Others may know the name, so it takes the same time whichever byte of the rest is wrong. */
static bool same(struct ln_str a, struct ln_str b) {
  unsigned char differ = 0;
  if (a.n != b.n) return false;
  for (size_t i = 0; i < a.n; i++) differ |= (unsigned char)(a.p[i] ^ b.p[i]);
  return !differ;
}

static int find_key(struct ln_session_table *t) {
  struct ln_log *log = t->host->log;
  const char *given = t->host->settings.session_key_file;
  char why[LN_SECRET_WHY];
  char *place = given ? NULL : ln_secret_place("session.key", why);
  const char *path = given ? given : place;
  int rc = path ? ln_secret_load(path, t->key, why) : LN_ESYSTEM;
  free(place);
  if (!rc) return LN_OK;
  /* A warning when the file was configured, or others could read or change it. */
  enum ln_log_level level = given || rc == LN_EREFUSED ? LN_LOG_WARN : LN_LOG_INFO;
  if (log->level <= level)
    ln_log_write(log, level, "http", "sessions will not survive a restart: %s", why);
  return getrandom(t->key, sizeof t->key, 0) == (ssize_t)sizeof t->key ? LN_OK : LN_ESYSTEM;
}

/* An id without content, which can't be restored. */
static int random_id(struct ln_buf *out) {
  unsigned char raw[16];
  if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw) return LN_ESYSTEM;
  for (size_t i = 0; i < sizeof raw; i++) ln_buf_printf(out, "%02x", raw[i]);
  return ln_buf_error(out);
}

static int new_id(const struct ln_session_table *t, const struct ln_msg *init_request,
                  struct ln_buf *out) {
  if (!init_request || !init_request->params.p) return random_id(out);
  const struct ln_session_id id = {t->streams.epoch, (uint64_t)time(NULL), init_request->params};
  int rc = ln_session_id_write(t->key, &id, out);
  if (!rc) return LN_OK;
  LN_LOG(t->host->log, DEBUG, "http", "a session that will not survive a restart: %s",
         rc == LN_ELIMIT ? "what its client says of itself is too long" : ln_err_text(rc));
  return random_id(out);
}

/* --- entries --- */

static void on_session_end(struct ln_session *s, void *arg) {
  struct ln_http_session *hs = arg;
  struct ln_session_table *t = hs->table;
  ln_client_stream_end_session(&hs->streams);
  ln_map_remove(&t->by_name, ln_session_id_name(hs->id));
  if (t->on_end) t->on_end(t->on_end_arg, hs);
  ln_list_remove(&hs->link);
  s->front = NULL;
  s->on_end = NULL;
  free(hs);
  ln_session_unref(s);
}

static void on_disconnected(struct ln_session *s, struct ln_sink *sink, uint64_t retry_ms) {
  (void)s;
  ln_client_stream_disconnect(sink, retry_ms);
}

/* By what logs and policies know the session: the id is a secret of its client. The same after a
 * restart, for the key is; of no use to find the id, or one of the tables' names. */
static bool public_name(const struct ln_session_table *t, struct ln_str id, char name[17]) {
  static const char about[] = "the name of a session: ";
  unsigned char digest[LN_DIGEST_BYTES];
  struct ln_buf text;
  ln_buf_init(&text, sizeof about + LN_SESSION_ID_MAX);
  ln_buf_append_c(&text, about);
  ln_buf_append_str(&text, id);
  const struct ln_str key = {(const char *)t->key, sizeof t->key};
  bool could = !ln_buf_error(&text) && ln_digest_hmac_sha256(key, ln_buf_str(&text), digest);
  ln_buf_deinit(&text);
  for (size_t i = 0; could && i < 8; i++) snprintf(name + 2 * i, 3, "%02x", digest[i]);
  return could;
}

static struct ln_http_session *entry_new(struct ln_session_table *t, struct ln_account *account,
                                         enum ln_http_session_kind kind, struct ln_str id) {
  if (ln_map_get(&t->by_name, ln_session_id_name(id))) return NULL; /* taken, by chance */
  char name[17];
  if (!public_name(t, id, name)) return NULL;
  const char *transport = kind == LN_HTTP_SESSION_SSE ? "sse" : "http";
  struct ln_http_session *hs = calloc(1, sizeof *hs + id.n);
  struct ln_session *s = hs ? ln_session_new(t->host, transport, name, account) : NULL;
  if (!s) {
    free(hs);
    return NULL;
  }
  memcpy(hs->id_text, id.p, id.n);
  hs->id = (struct ln_str){hs->id_text, id.n};
  hs->table = t;
  hs->session = s;
  hs->kind = kind;
  ln_client_stream_init_session(&hs->streams, &t->streams, s, hs->id);
  ln_list_push(&t->sessions, &hs->link);
  s->front = hs;
  s->on_end = on_session_end;
  s->on_disconnected = on_disconnected;
  if (ln_map_put(&t->by_name, ln_session_id_name(hs->id), hs) == LN_OK) return hs;
  ln_session_end(s);
  return NULL;
}

struct ln_http_session *ln_session_table_add(struct ln_session_table *t,
                                             const struct ln_http_request *r,
                                             enum ln_http_session_kind kind, struct ln_str id,
                                             const struct ln_msg *init_request,
                                             struct ln_refusal *refusal) {
  if (t->state != LN_SESSION_TABLE_OPEN) {
    *refusal = (struct ln_refusal){503, -32603, "Shutting down", NULL};
    return NULL;
  }
  struct ln_buf fresh;
  ln_buf_init(&fresh, LN_SESSION_ID_MAX);
  int rc = id.p ? LN_OK : new_id(t, init_request, &fresh);
  struct ln_http_session *hs =
      rc ? NULL : entry_new(t, r->account, kind, id.p ? id : ln_buf_str(&fresh));
  ln_buf_deinit(&fresh);
  if (!hs)
    *refusal = (struct ln_refusal){
        503, -32603,
        "Too many sessions (max_sessions_per_peer, or max_sessions for all): try again later",
        "Retry-After: 10\r\n"};
  return hs;
}

struct ln_http_session *ln_session_table_find(const struct ln_session_table *t, struct ln_str id,
                                              enum ln_http_session_kind kind) {
  struct ln_http_session *hs = ln_map_get(&t->by_name, ln_session_id_name(id));
  bool there = hs && same(hs->id, id) && hs->kind == kind && hs->session->state != LN_SESSION_GONE;
  return there ? hs : NULL;
}

/* --- the table --- */

int ln_session_table_init(struct ln_session_table *t, struct ln_host *h) {
  uint32_t epoch = 0;
  *t = (struct ln_session_table){.host = h};
  ln_map_init(&t->by_name);
  ln_list_init(&t->sessions);
  bool random = getrandom(&epoch, sizeof epoch, 0) == (ssize_t)sizeof epoch;
  ln_client_stream_init_all(&t->streams, h->loop, epoch);
  return random ? find_key(t) : LN_ESYSTEM;
}

void ln_session_table_deinit(struct ln_session_table *t) {
  ln_map_deinit(&t->by_name);
}

/* A client that listens is not idle. */
static void tick_entry(struct ln_http_session *hs, uint64_t now) {
  struct ln_session *s = hs->session;
  struct ln_client_stream *listening = hs->streams.listening;
  uint64_t patience = s->host->settings.session_timeout_ms;
  LN_LIST_EACH(l, &hs->streams.posts)
  ln_client_stream_keep_alive(LN_CONTAINER(l, struct ln_client_stream, link));
  if (listening && listening->request && s->state != LN_SESSION_NEW)
    ln_client_stream_keep_alive(listening);
  else if (s->in_flight == 0 && now - s->last_used > patience)
    ln_session_end(s);
}

void ln_session_table_tick(struct ln_session_table *t, uint64_t now) {
  LN_LIST_EACH(l, &t->sessions) tick_entry(entry_of(l), now);
}

void ln_session_table_drain(struct ln_session_table *t) {
  if (t->state == LN_SESSION_TABLE_OPEN) t->state = LN_SESSION_TABLE_DRAINING;
}

void ln_session_table_end_listening(struct ln_session_table *t) {
  LN_LIST_EACH(l, &t->sessions) {
    struct ln_client_stream *listening = entry_of(l)->streams.listening;
    if (listening) ln_client_stream_end_response(listening);
  }
}

void ln_session_table_close(struct ln_session_table *t) {
  t->state = LN_SESSION_TABLE_CLOSING;
  LN_LIST_EACH(l, &t->sessions) ln_session_end(entry_of(l)->session);
}
