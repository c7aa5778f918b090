/* Replies to initialize; see init_reply.h. */
#include "proxy/route/init_reply.h"

#include <stdio.h>

enum { MAX_INSTRUCTIONS = 64 * 1024 };

static const char *const lists[] = {"tools", "resources", "prompts"};
static const enum ln_kind list_kinds[] = {LN_KIND_TOOL, LN_KIND_RESOURCE, LN_KIND_PROMPT};

static bool flag(struct ln_str object, const char *name) {
  struct ln_json_item it;
  return ln_json_get(object, name, &it) && it.type == LN_JSON_TRUE;
}

static bool own_components(const struct ln_generation *g, size_t i) {
  return g->components[list_kinds[i]] ||
         (list_kinds[i] == LN_KIND_RESOURCE && g->components[LN_KIND_TEMPLATE]);
}

static const struct ln_index *index_at(const struct ln_exchange *x, size_t i) {
  return ln_index_of(x->session, x->gen->servers[i]);
}

/* --- of several servers --- */

/* What some server offers; which tools can be called as tasks is in each tool's taskSupport. */
static void write_tasks(const struct ln_exchange *x, struct ln_buf *b, const char *comma) {
  bool any = false, list = false, cancel = false, call = false;
  for (size_t i = 0; i < x->gen->n_servers; i++) {
    struct ln_json_item tasks, it;
    const struct ln_index *index = index_at(x, i);
    if (!index || !ln_capability(index->capabilities, "tasks", &tasks)) continue;
    any = true;
    list |= ln_capability(tasks.value, "list", &it);
    cancel |= ln_capability(tasks.value, "cancel", &it);
    call |= ln_capability(tasks.value, "requests", &it) && ln_capability(it.value, "tools", &it) &&
            ln_capability(it.value, "call", &it);
  }
  if (!any) return;
  ln_buf_printf(b, "%s\"tasks\":{%s%s%s%s%s}", comma, list ? "\"list\":{}" : "",
                list && (cancel || call) ? "," : "", cancel ? "\"cancel\":{}" : "",
                cancel && call ? "," : "", call ? "\"requests\":{\"tools\":{\"call\":{}}}" : "");
}

/* A server that hasn't answered yet counts as offering every list; and, unless it is down,
 * subscriptions. */
static void write_list(const struct ln_exchange *x, size_t k, struct ln_buf *b,
                       const char **comma) {
  bool any = own_components(x->gen, k), changed = any, subscribe = false;
  for (size_t i = 0; i < x->gen->n_servers; i++) {
    struct ln_json_item it;
    const struct ln_index *index = index_at(x, i);
    if (!index) {
      any = changed = true;
      subscribe |=
          list_kinds[k] == LN_KIND_RESOURCE && x->gen->servers[i]->health != LN_SERVER_DOWN;
    } else if (ln_capability(index->capabilities, lists[k], &it)) {
      any = true;
      changed |= flag(it.value, "listChanged");
      subscribe |= flag(it.value, "subscribe");
    }
  }
  if (!any) return;
  ln_buf_printf(b, "%s\"%s\":{%s%s%s}", *comma, lists[k], subscribe ? "\"subscribe\":true" : "",
                subscribe && changed ? "," : "", changed ? "\"listChanged\":true" : "");
  *comma = ",";
}

/* A server that hasn't answered yet counts as having these. */
static void write_capabilities(const struct ln_exchange *x, struct ln_buf *b) {
  static const char *const plain[] = {"logging", "completions"};
  const char *comma = "";
  ln_buf_append_c(b, "{");
  for (size_t k = 0; k < LN_COUNT(plain); k++) {
    struct ln_json_item it;
    bool any = false;
    for (size_t i = 0; i < x->gen->n_servers; i++) {
      const struct ln_index *index = index_at(x, i);
      any |= !index || ln_capability(index->capabilities, plain[k], &it);
    }
    if (!any) continue;
    ln_buf_printf(b, "%s\"%s\":{}", comma, plain[k]);
    comma = ",";
  }
  for (size_t k = 0; k < LN_COUNT(lists); k++) write_list(x, k, b, &comma);
  write_tasks(x, b, comma);
  ln_buf_append_c(b, "}");
}

static void write_instructions(const struct ln_exchange *x, struct ln_buf *b) {
  struct ln_buf text;
  ln_buf_init(&text, MAX_INSTRUCTIONS);
  for (size_t i = 0; i < x->gen->n_servers; i++) {
    struct ln_json_item it;
    const struct ln_index *index = index_at(x, i);
    if (!index || !ln_json_get(index->init_reply->result, "instructions", &it) ||
        it.type != LN_JSON_STRING)
      continue;
    ln_buf_printf(&text, "%s# %s\n\n", text.len ? "\n\n" : "", index->server->conf->name);
    ln_json_unescape(ln_json_inside(it.value), true, &text);
  }
  int rc = ln_buf_error(&text);
  if (rc == LN_ELIMIT)
    LN_LOG(x->session->host->log, WARN, x->session->id,
           "the servers' instructions were cut to %d bytes", MAX_INSTRUCTIONS);
  if (text.len && rc != LN_ENOMEM) {
    ln_buf_append_c(b, ",\"instructions\":");
    ln_json_quote(b, ln_buf_str(&text));
  }
  ln_buf_deinit(&text);
}

struct ln_msg *ln_init_reply_merged(const struct ln_exchange *x) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_buf_printf(&b,
                "{\"protocolVersion\":\"%.*s\",\"capabilities\":", LN_STR_ARG(x->peer->version));
  write_capabilities(x, &b);
  ln_buf_append_c(&b, ",\"serverInfo\":{\"name\":\"lunette\",\"version\":\"" LN_VERSION "\"}");
  write_instructions(x, &b);
  ln_buf_append_c(&b, "}");
  struct ln_msg *m = ln_buf_error(&b) ? NULL : ln_msg_result(ln_buf_str(&b));
  ln_buf_deinit(&b);
  return m;
}

/* --- of one --- */

/* The server's capabilities with those of the policy's components. */
static void add_components(const struct ln_exchange *x, const struct ln_index *index,
                           struct ln_buf *b) {
  struct ln_json_item it;
  ln_buf_append_str(b, index->capabilities);
  for (size_t k = 0; k < LN_COUNT(lists) && !ln_buf_error(b); k++)
    if (own_components(x->gen, k) && !ln_capability(index->capabilities, lists[k], &it))
      ln_json_put_member(b, lists[k], LN_STR_LIT("{\"listChanged\":true}"));
}

struct ln_msg *ln_init_reply_of(const struct ln_exchange *x, const struct ln_index *only) {
  struct ln_str own = only->init_reply->result, ours = x->peer->version;
  struct ln_json_item it;
  struct ln_buf result, caps;
  char version[24];
  int n = snprintf(version, sizeof version, "\"%.*s\"", LN_STR_ARG(ours));
  ln_buf_init(&result, SIZE_MAX / 2);
  ln_buf_init(&caps, SIZE_MAX / 2);
  ln_buf_append_str(&result, own);
  add_components(x, only, &caps);
  ln_buf_fail(&result, ln_buf_error(&caps));
  if (!ln_buf_error(&result) && !ln_str_eq(ln_buf_str(&caps), only->capabilities))
    ln_json_put_member(&result, "capabilities", ln_buf_str(&caps));
  if (!ln_buf_error(&result) && ln_json_get(own, "protocolVersion", &it) &&
      !ln_str_eq(ln_json_inside(it.value), ours))
    ln_json_put_member(&result, "protocolVersion", (struct ln_str){version, (size_t)n});
  struct ln_msg *m =
      ln_buf_error(&result) ? NULL : ln_msg_with(only->init_reply, own, ln_buf_str(&result));
  ln_buf_deinit(&caps);
  ln_buf_deinit(&result);
  return m;
}
