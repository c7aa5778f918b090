/* From servers' URIs to clients'; see rewrite.h. The way back is in router.c. */
#include "proxy/rewrite.h"

#include <stdlib.h>

#include "mcp/template.h"
#include "proxy/resolve.h"

static struct ln_str str_of(const struct ln_bytes *b) {
  return b ? (struct ln_str){b->data, b->len} : LN_STR_NONE;
}

/* Edits of one message, found one by one; the new URIs lie in text until all are known. */
struct work {
  const struct ln_session *session;
  const struct ln_upstream *upstream;
  struct ln_edit *edits;
  size_t *starts;
  size_t n, cap;
  struct ln_buf text;
};

static bool renames(const struct ln_session *s) {
  const struct ln_view *r = s->views[LN_KIND_RESOURCE], *t = s->views[LN_KIND_TEMPLATE];
  return (r && r->renames) || (t && t->renames);
}

/* Appends the client's URI for the server's, quoted. False when it is the same. */
static bool translate(struct work *w, struct ln_str native) {
  const struct ln_view *v = w->session->views[LN_KIND_RESOURCE];
  for (size_t i = 0; v && i < v->n_entries; i++) {
    const struct ln_entry *e = &v->entries[i];
    if (e->upstream == w->upstream && e->native_json && !e->hidden &&
        ln_str_eq(str_of(e->item->key), native))
      return ln_json_quote(&w->text, str_of(e->key)) == LN_OK;
  }
  v = w->session->views[LN_KIND_TEMPLATE];
  for (size_t i = 0; v && i < v->n_entries; i++) {
    const struct ln_entry *e = &v->entries[i];
    if (e->upstream != w->upstream || !e->added || e->hidden ||
        !ln_template_match(str_of(e->item->key), native))
      continue;
    struct ln_buf uri;
    ln_buf_init(&uri, SIZE_MAX / 2);
    bool ok = !ln_buf_append(&uri, e->key->data, e->added) && !ln_buf_append_str(&uri, native) &&
              !ln_json_quote(&w->text, ln_buf_str(&uri));
    ln_buf_deinit(&uri);
    return ok;
  }
  return false;
}

/* The value is a URI: notes its edit when the client knows another. */
static int one_uri(struct work *w, struct ln_str value) {
  struct ln_bytes *native = ln_resolve_key(value);
  if (!native) return LN_OK;
  size_t start = w->text.len;
  bool differs = translate(w, str_of(native));
  ln_bytes_unref(native);
  if (!differs) return LN_OK;
  if (w->n == w->cap) {
    size_t cap = w->cap ? w->cap * 2 : 8;
    struct ln_edit *edits = realloc(w->edits, cap * sizeof *edits);
    if (edits) w->edits = edits;
    size_t *starts = edits ? realloc(w->starts, cap * sizeof *starts) : NULL;
    if (!starts) return LN_ENOMEM;
    w->starts = starts;
    w->cap = cap;
  }
  w->edits[w->n] = (struct ln_edit){value, LN_STR_NONE};
  w->starts[w->n++] = start;
  return LN_OK;
}

static int member_uri(struct work *w, struct ln_str object) {
  struct ln_json_item it;
  if (!ln_json_get(object, "uri", &it) || it.type != LN_JSON_STRING) return LN_OK;
  return one_uri(w, it.value);
}

/* A content block: a link has its uri, an embedded resource has it one level down. */
static int block(struct work *w, struct ln_str value) {
  struct ln_json_item it;
  if (ln_json_get(value, "resource", &it) && it.type == LN_JSON_OBJECT)
    return member_uri(w, it.value);
  return member_uri(w, value);
}

static int each(struct work *w, struct ln_str result, const char *list, const char *inner,
                int (*fn)(struct work *w, struct ln_str value)) {
  struct ln_json_item it, in;
  if (!ln_json_get(result, list, &it) || it.type != LN_JSON_ARRAY) return LN_OK;
  struct ln_json_cur cur = ln_json_enter(it.value);
  int rc = LN_OK;
  while (!rc && ln_json_next(&cur, &it)) {
    if (!inner)
      rc = fn(w, it.value);
    else if (ln_json_get(it.value, inner, &in))
      rc = fn(w, in.value);
  }
  return rc;
}

static struct ln_msg *finish(struct work *w, const struct ln_msg *m, int rc) {
  for (size_t i = 0; i < w->n; i++) {
    size_t end = i + 1 < w->n ? w->starts[i + 1] : w->text.len;
    w->edits[i].with = (struct ln_str){w->text.data + w->starts[i], end - w->starts[i]};
  }
  struct ln_msg *out = w->n && !rc ? ln_msg_edit(m, w->edits, w->n) : NULL;
  ln_buf_deinit(&w->text);
  free(w->edits);
  free(w->starts);
  return out;
}

struct ln_msg *ln_rewrite_reply(const struct ln_session *s, const struct ln_upstream *u,
                                struct ln_msg *reply) {
  if (reply->kind != LN_MSG_RESULT || !renames(s)) return reply;
  struct work w = {.session = s, .upstream = u};
  ln_buf_init(&w.text, SIZE_MAX / 2);
  int rc = each(&w, reply->result, "contents", NULL, member_uri);
  if (!rc) rc = each(&w, reply->result, "content", NULL, block);
  if (!rc) rc = each(&w, reply->result, "messages", "content", block);
  struct ln_msg *out = finish(&w, reply, rc);
  if (!out) return reply;
  ln_msg_unref(reply);
  return out;
}

struct ln_msg *ln_rewrite_updated(const struct ln_session *s, const struct ln_upstream *u,
                                  struct ln_msg *msg) {
  struct ln_msg *out = NULL;
  if (msg->uri.p && renames(s)) {
    struct work w = {.session = s, .upstream = u};
    ln_buf_init(&w.text, SIZE_MAX / 2);
    out = finish(&w, msg, one_uri(&w, msg->uri));
  }
  return out ? out : ln_msg_ref(msg);
}
