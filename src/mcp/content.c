/* Telling newer kinds of content as text; see content.h. */
#include "mcp/content.h"

static const struct {
  const char *type, *since;
  const char *what; /* for the text */
  const char *members[2];
} kinds[] = {
    {"audio", "2025-03-26", "audio", {"mimeType", NULL}},
    {"resource_link", "2025-06-18", "resource", {"uri", "name"}},
};

/* Versions are dates: they compare as text. */
static bool older(struct ln_str version, const char *since) {
  return version.n == 10 && memcmp(version.p, since, 10) < 0;
}

bool ln_content_version_lacks(struct ln_str version) {
  return older(version, "2025-06-18");
}

enum { MAX_EDITS = 64 };

struct work {
  struct ln_edit edits[MAX_EDITS];
  size_t texts[MAX_EDITS]; /* where each replacement starts in text */
  size_t n;
  struct ln_buf text;
};

static void describe(struct ln_str block, size_t kind, struct ln_buf *out) {
  struct ln_buf words;
  ln_buf_init(&words, SIZE_MAX / 2);
  ln_buf_printf(&words, "[%s", kinds[kind].what);
  for (size_t i = 0; i < LN_COUNT(kinds[kind].members); i++) {
    struct ln_json_item it;
    if (!kinds[kind].members[i] || !ln_json_get(block, kinds[kind].members[i], &it) ||
        it.type != LN_JSON_STRING)
      continue;
    ln_buf_append_c(&words, i ? " " : ": ");
    ln_json_unescape(ln_json_inside(it.value), true, &words);
  }
  ln_buf_append_c(&words, "]");
  ln_buf_append_c(out, "{\"type\":\"text\",\"text\":");
  ln_json_quote(out, ln_buf_str(&words));
  ln_buf_append_c(out, "}");
  ln_buf_fail(out, ln_buf_error(&words));
  ln_buf_deinit(&words);
}

/* Past the limit the rest stays as it is: better than nothing at all. */
static void block(struct work *w, struct ln_str value, struct ln_str version) {
  struct ln_json_item type;
  if (w->n == MAX_EDITS || !ln_json_get(value, "type", &type)) return;
  for (size_t k = 0; k < LN_COUNT(kinds); k++) {
    if (!older(version, kinds[k].since) ||
        !ln_json_str_is(ln_json_inside(type.value), kinds[k].type))
      continue;
    w->texts[w->n] = w->text.len;
    w->edits[w->n++].at = value;
    describe(value, k, &w->text);
    return;
  }
}

static void collect(struct work *w, struct ln_str result, struct ln_str version) {
  struct ln_json_item list, it, content;
  struct ln_json_cur cur;
  if (ln_json_get(result, "content", &list) && list.type == LN_JSON_ARRAY) {
    cur = ln_json_enter(list.value);
    while (ln_json_next(&cur, &it)) block(w, it.value, version);
  } else if (ln_json_get(result, "messages", &list) && list.type == LN_JSON_ARRAY) {
    cur = ln_json_enter(list.value);
    while (ln_json_next(&cur, &it))
      if (ln_json_get(it.value, "content", &content)) block(w, content.value, version);
  }
}

struct ln_msg *ln_content_for_version(struct ln_msg *reply, struct ln_str version) {
  if (reply->kind != LN_MSG_RESULT || !ln_content_version_lacks(version)) return reply;
  struct work w = {.n = 0};
  ln_buf_init(&w.text, SIZE_MAX / 2);
  collect(&w, reply->result, version);
  for (size_t i = 0; i < w.n; i++) {
    size_t end = i + 1 < w.n ? w.texts[i + 1] : w.text.len;
    w.edits[i].with = (struct ln_str){w.text.data + w.texts[i], end - w.texts[i]};
  }
  bool changed = w.n && !ln_buf_error(&w.text);
  struct ln_msg *out = changed ? ln_msg_edit(reply, w.edits, w.n) : NULL;
  ln_buf_deinit(&w.text);
  if (!out) return reply;
  ln_msg_unref(reply);
  return out;
}
