/* Parsing of messages; see message.h.
 *
 * One scan proves the text; a cursor over the envelope and one over params pick out the
 * slices. Values that routing doesn't read are skipped, not looked into. */
#include "rpc/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "rpc/message.h"

/* A count for the tests only. */
static _Thread_local size_t live;

struct ln_msg *ln_msg_alloc(struct ln_bytes *bytes) {
  struct ln_msg *m = ln_zalloc(sizeof *m);
  if (!m) return NULL;
  live++;
  m->refs = 1;
  m->bytes = ln_bytes_ref(bytes);
  return m;
}

struct ln_msg *ln_msg_ref(struct ln_msg *m) {
  m->refs++;
  return m;
}

void ln_msg_unref(struct ln_msg *m) {
  if (!m || --m->refs) return;
  ln_bytes_unref(m->bytes);
  live--;
  free(m);
}

size_t ln_msg_live(void) {
  return live;
}

static int fault_set(struct ln_msg_fault *f, int code, const char *fmt, ...) LN_PRINTF(3, 4);
static int fault_set(struct ln_msg_fault *f, int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  f->code = code;
  vsnprintf(f->text, sizeof f->text, fmt, ap);
  va_end(ap);
  return LN_EINVALID;
}

/* A member that routing or policy reads: its slot in ln_msg and the types it may have. */
struct known {
  const char *name;
  size_t len, slot;
  unsigned types; /* a bit per ln_json_type; 0: any */
};
#define BIT(t) (1u << (t))
#define KNOWN(name, member, types) \
  { name, sizeof name - 1, offsetof(struct ln_msg, member), types }
#define CONTAINER_TYPES (BIT(LN_JSON_OBJECT) | BIT(LN_JSON_ARRAY))

static const struct known envelope[] = {
    KNOWN("jsonrpc", jsonrpc, 0),
    KNOWN("id", id, 0),
    KNOWN("method", method, BIT(LN_JSON_STRING)),
    KNOWN("params", params, CONTAINER_TYPES),
    KNOWN("result", result, 0),
    KNOWN("error", error, BIT(LN_JSON_OBJECT)),
    {NULL, 0, 0, 0},
};
static const struct known in_params[] = {
    KNOWN("name", name, BIT(LN_JSON_STRING)),
    KNOWN("uri", uri, BIT(LN_JSON_STRING)),
    KNOWN("arguments", arguments, 0),
    KNOWN("_meta", meta, BIT(LN_JSON_OBJECT)),
    KNOWN("progressToken", progress_token, 0),
    KNOWN("ref", ref, 0),
    KNOWN("task", task, 0),
    KNOWN("taskId", task_id, 0),
    {NULL, 0, 0, 0},
};
#define RELATED_TASK KNOWN("io.modelcontextprotocol/related-task", related_task, 0)
static const struct known in_meta[] = {
    KNOWN("progressToken", progress_token, 0),
    RELATED_TASK,
    {NULL, 0, 0, 0},
};
static const struct known in_notification_meta[] = {
    RELATED_TASK,
    {NULL, 0, 0, 0},
};
/* Read nowhere as slices, but servers and policies do read them. _meta is free for all. */
static const char *const guarded_params[] = {
    "argument",        "cursor",       "level",      "requestId",
    "protocolVersion", "capabilities", "clientInfo", NULL};
static const char *const guarded_ref[] = {"type", "name", "uri", NULL};
static const char *const guarded_none[] = {NULL};

static struct ln_str *slot_of(struct ln_msg *m, size_t slot) {
  return (struct ln_str *)(void *)((char *)m + slot);
}

/* The letters outside ASCII that become ASCII ones when case is ignored: some libraries fold them
 * (Go's encoding/json the first two, Java the others). */
static const struct {
  char utf8[4];
  char plain;
} folds[] = {
    {"\xc5\xbf", 's'},     /* U+017F, the long s */
    {"\xe2\x84\xaa", 'k'}, /* U+212A, the Kelvin sign */
    {"\xc4\xb0", 'i'},     /* U+0130, I with a dot */
    {"\xc4\xb1", 'i'},     /* U+0131, i without one */
};

/* A key with escapes undone and folds carried out; false when it is longer than any name here. */
static bool plain_key(struct ln_str key, char *out, size_t max, struct ln_str *plain) {
  struct ln_buf b;
  ln_buf_init(&b, 8 * max); /* an escape has six bytes */
  size_t n = 0;
  bool ok = key.n <= 6 * max && ln_json_unescape(key, true, &b) == LN_OK;
  for (size_t i = 0; ok && i < b.len;) {
    size_t k = 0, len = 0;
    for (; k < LN_COUNT(folds); k++) {
      len = strlen(folds[k].utf8);
      if (b.len - i >= len && memcmp(b.data + i, folds[k].utf8, len) == 0) break;
    }
    bool fold = k < LN_COUNT(folds);
    if ((ok = n < max)) out[n++] = fold ? folds[k].plain : b.data[i];
    i += fold ? len : 1;
  }
  ln_buf_deinit(&b);
  *plain = (struct ln_str){out, n};
  return ok;
}

static bool is_plain(struct ln_str key) {
  for (size_t i = 0; i < key.n; i++)
    if (key.p[i] == '\\' || (unsigned char)key.p[i] >= 0x80) return false;
  return true;
}

/* A key that is one of ours but for case: some servers would take it for ours. Keys that are ours
 * (escaped or not) don't come here. */
static const char *case_twin(struct ln_str key, const struct known *table,
                             const char *const *guarded) {
  char room[64];
  struct ln_str k = key;
  if (!is_plain(key) && !plain_key(key, room, sizeof room, &k)) return NULL;
  for (const struct known *t = table; t && t->name; t++)
    if (ln_str_ieq(k, (struct ln_str){t->name, t->len})) return t->name;
  for (; *guarded; guarded++)
    if (ln_str_iis(k, *guarded) && !ln_json_str_is(key, *guarded)) return *guarded;
  return NULL;
}

static int twin_fault(struct ln_msg_fault *f, struct ln_str key, const char *twin) {
  return fault_set(f, -32600, "member \"%.*s\" differs from \"%s\" only by case",
                   (int)LN_MIN(key.n, (size_t)40), key.p, twin);
}

/* The row of a key, escaped or not; that without a name when there is none. */
static const struct known *row_of(struct ln_str key, const struct known *table) {
  bool plain = is_plain(key);
  const struct known *t = table;
  for (; t->name; t++)
    if (plain ? key.n == t->len && memcmp(key.p, t->name, t->len) == 0
              : ln_json_str_is(key, t->name))
      break;
  return t;
}

/* Fills slots from the members of object. */
static int pick(struct ln_msg *m, struct ln_str object, const struct known *table, bool strict,
                struct ln_msg_fault *f) {
  const char *const *guarded = table == in_params ? guarded_params : guarded_none;
  struct ln_json_cur cur = ln_json_enter(object);
  struct ln_json_item it;
  while (ln_json_next(&cur, &it)) {
    const struct known *t = row_of(it.key, table);
    if (t->name) {
      bool fits = !t->types || (t->types & BIT(it.type));
      if (!fits && (strict || table == envelope))
        return fault_set(f, table == envelope ? -32600 : -32602, "%s has the wrong type", t->name);
      /* A server's own method may mean something else by the name. */
      if (fits) *slot_of(m, t->slot) = it.value;
      continue;
    }
    const char *twin = strict ? case_twin(it.key, table, guarded) : NULL;
    if (twin) return twin_fault(f, it.key, twin);
  }
  return LN_OK;
}

/* A string, or an integer literal without fraction, exponent or "-0": what every JSON library
 * gives back as it came. */
static bool id_ok(struct ln_str id) {
  if (id.n == 0) return false;
  if (id.p[0] == '"') return true;
  size_t i = id.p[0] == '-';
  if (i == id.n || (id.p[i] == '0' && id.n > 1)) return false;
  for (; i < id.n; i++)
    if (id.p[i] < '0' || id.p[i] > '9') return false;
  return true;
}

static bool method_ok(struct ln_str method) {
  for (size_t i = 0; i < method.n; i++) {
    unsigned char c = (unsigned char)method.p[i];
    if (c <= 0x20 || c == 0x7f || c == '\\') return false;
  }
  return method.n > 0 && method.n <= 256;
}

/* Names and URIs that no two parsers agree on: a NUL, half a surrogate pair. */
static bool identifier_ok(struct ln_str value) {
  if (!value.p) return true;
  struct ln_str raw = ln_json_inside(value);
  if (!memchr(raw.p, '\\', raw.n)) return true;
  struct ln_buf b;
  ln_buf_init(&b, raw.n * 4 + 16);
  bool ok = ln_json_unescape(raw, false, &b) == LN_OK && !(b.len && memchr(b.data, 0, b.len));
  ln_buf_deinit(&b);
  return ok;
}

static int classify(struct ln_msg *m, struct ln_msg_fault *f) {
  if (m->id.p && !id_ok(m->id)) {
    /* An error response may carry a null id (the request was unreadable): keep it readable. */
    bool null_error = m->error.p && ln_str_is(m->id, "null");
    m->id = LN_STR_NONE;
    if (!null_error) return fault_set(f, -32600, "id must be a string or an integer");
  }
  if (m->method.p) {
    m->method = ln_json_inside(m->method);
    if (!method_ok(m->method))
      return fault_set(f, -32600, "method must be a plain, non-empty string");
    if (m->result.p || m->error.p)
      return fault_set(f, -32600, "a message is either a request or a response");
    m->kind = m->id.p ? LN_MSG_REQUEST : LN_MSG_NOTIFICATION;
    return LN_OK;
  }
  if (!m->result.p == !m->error.p) return fault_set(f, -32600, "neither a request nor a response");
  m->kind = m->result.p ? LN_MSG_RESULT : LN_MSG_ERROR;
  if (m->kind == LN_MSG_RESULT && !m->id.p) return fault_set(f, -32600, "a response needs an id");
  return LN_OK;
}

/* completion/complete names its prompt or template one level down. */
static int check_ref(const struct ln_msg *m, struct ln_msg_fault *f) {
  struct ln_json_item it;
  struct ln_json_cur cur = ln_json_enter(m->ref);
  while (ln_json_next(&cur, &it)) {
    const char *twin = case_twin(it.key, NULL, guarded_ref);
    if (twin) return twin_fault(f, it.key, twin);
    bool names = ln_json_str_is(it.key, "name") || ln_json_str_is(it.key, "uri");
    if (names && it.type == LN_JSON_STRING && !identifier_ok(it.value))
      return fault_set(f, -32600, "a name or URI holds a NUL or half a surrogate pair");
  }
  return LN_OK;
}

static int index_params(struct ln_msg *m, bool strict, struct ln_msg_fault *f) {
  /* By position: no method of MCP's takes that, a server's own may. */
  if (!m->params.p || m->params.p[0] != '{') return LN_OK;
  int rc = pick(m, m->params, in_params, strict, f);
  if (rc) return rc;
  /* progressToken sits in params for the notification, in _meta for requests. */
  struct ln_str direct = m->progress_token;
  m->progress_token = LN_STR_NONE;
  bool notification = m->kind == LN_MSG_NOTIFICATION;
  if (notification) m->progress_token = direct;
  if (m->meta.p) rc = pick(m, m->meta, notification ? in_notification_meta : in_meta, strict, f);
  if (rc) return rc;
  if (m->progress_token.p && !id_ok(m->progress_token)) {
    if (strict) return fault_set(f, -32602, "progressToken must be a string or an integer");
    m->progress_token = LN_STR_NONE;
  }
  if (strict && !(identifier_ok(m->name) && identifier_ok(m->uri)))
    return fault_set(f, -32600, "a name or URI holds a NUL or half a surrogate pair");
  return strict && m->ref.p && m->ref.p[0] == '{' ? check_ref(m, f) : LN_OK;
}

static int scan_fault(struct ln_msg_fault *f, int rc, const struct ln_json_info *info) {
  bool parse = rc == LN_ESYNTAX || rc == LN_EUTF8;
  fault_set(f, parse ? -32700 : -32600, "%s: %s at byte %zu",
            parse ? "Parse error" : "Invalid request", ln_err_text(rc), info->error_at);
  return rc;
}

/* The id of a request that is JSON but was refused for a name that is there twice, so that it fails
 * at once and not when its client has waited long enough. None when that name is the id's own. */
static struct ln_bytes *id_among_twins(struct ln_str text, struct ln_json_limits limits) {
  struct ln_json_info info;
  limits.unique = false;
  if (ln_json_scan(text, &limits, &info) || info.type != LN_JSON_OBJECT) return NULL;
  struct ln_json_cur cur = ln_json_enter(text);
  struct ln_json_item it;
  struct ln_str id = LN_STR_NONE;
  bool asks = false;
  while (ln_json_next(&cur, &it)) {
    asks = asks || ln_json_str_is(it.key, "method");
    if (!ln_json_str_is(it.key, "id")) continue;
    if (id.p) return NULL;
    id = it.value;
  }
  return asks && id.p && id_ok(id) ? ln_bytes_copy(id.p, id.n) : NULL;
}

int ln_msg_index(struct ln_bytes *bytes, struct ln_str text, bool newlines, bool strict,
                 struct ln_msg **out, struct ln_msg_fault *fault) {
  struct ln_msg *m = ln_msg_alloc(bytes);
  if (!m) return LN_ENOMEM;
  m->newlines = newlines;
  m->text = ln_json_trim(text);

  int rc = pick(m, m->text, envelope, strict, fault);
  if (!rc) rc = classify(m, fault);
  if (!rc && strict && !ln_str_is(m->jsonrpc, "\"2.0\""))
    rc = fault_set(fault, -32600, "jsonrpc must be \"2.0\"");
  if (!rc && m->method.p) rc = index_params(m, strict, fault);
  if (rc) {
    struct ln_json_item id; /* it may come after what was refused */
    if (ln_json_get(m->text, "id", &id) && id_ok(id.value))
      fault->id_bytes = ln_bytes_copy(id.value.p, id.value.n);
    ln_msg_unref(m);
    return rc;
  }
  *out = m;
  return LN_OK;
}

int ln_msg_parse(struct ln_bytes *bytes, struct ln_str text, const struct ln_msg_limits *limits,
                 struct ln_msg **out, struct ln_msg_fault *fault) {
  *fault = (struct ln_msg_fault){0};
  struct ln_json_info info;
  struct ln_json_limits json = limits->json;
  json.unique = limits->strict;
  int rc = ln_json_scan(text, &json, &info);
  if (rc == LN_EDUPLICATE) fault->id_bytes = id_among_twins(text, json);
  if (rc) return scan_fault(fault, rc, &info);
  if (info.type != LN_JSON_OBJECT) return fault_set(fault, -32600, "a message is a JSON object");
  return ln_msg_index(bytes, text, info.newlines, limits->strict, out, fault);
}

void ln_msg_error_words(const struct ln_msg *m, char *out, size_t max) {
  struct ln_json_item it;
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  bool said = ln_json_get(m->error, "message", &it) && it.type == LN_JSON_STRING &&
              ln_json_unescape(ln_json_inside(it.value), true, &b) == LN_OK && b.len;
  struct ln_str words = said ? ln_buf_str(&b) : LN_STR_LIT("no reason given");
  size_t n = 0;
  for (size_t step; n < words.n; n += step) {
    step = LN_MAX(ln_utf8_length(words.p + n, words.p + words.n), 1);
    if (n + step >= max) break;
    memcpy(out + n, words.p + n, step);
    if (!out[n]) out[n] = ' ';
  }
  out[n] = 0;
  ln_buf_deinit(&b);
}
