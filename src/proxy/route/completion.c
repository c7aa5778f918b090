/* Completions; see completion.h. */
#include "proxy/route/completion.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/expand.h"
#include "proxy/lists/view_get.h"
#include "proxy/names/shown.h"

/* As many as the protocol allows in an answer; more are not looked at, and left out. */
enum { MAX_VALUES = 100, MAX_VARIABLES = 16 };

/* A reply that waits for the list of resources. */
struct filter {
  struct ln_exchange *x;     /* counted */
  struct ln_chain *c;        /* x's: its msg is the request */
  struct ln_msg *reply;      /* counted */
  struct ln_view *resources; /* counted; NULL: there is none … */
  struct ln_view *templates; /* … likewise */
  uint64_t steps;
  struct ln_str argument;               /* the raw name of the variable that is completed */
  struct ln_str value;                  /* one that is proposed, unescaped */
  struct ln_str others;                 /* what is known of the others, raw, or absent */
  struct ln_bytes *held[MAX_VARIABLES]; /* counted: texts that were given out */
  size_t n_held;
};

static struct ln_str value_of(void *arg, struct ln_str name) {
  struct filter *f = arg;
  struct ln_json_item it;
  char text[256];
  if (name.n >= sizeof text) return LN_STR_NONE;
  memcpy(text, name.p, name.n);
  text[name.n] = '\0';
  if (ln_json_str_is(ln_json_inside(f->argument), text)) return f->value;
  if (!f->others.p || f->n_held == MAX_VARIABLES || !ln_json_get(f->others, text, &it) ||
      it.type != LN_JSON_STRING)
    return LN_STR_NONE;
  struct ln_bytes *b = ln_json_text(it.value);
  if (!b) return LN_STR_NONE;
  f->held[f->n_held++] = b;
  return ln_bytes_str(b);
}

static void release(struct filter *f) {
  while (f->n_held) ln_bytes_unref(f->held[--f->n_held]);
}

static bool glob_hidden(struct filter *f, const struct ln_bytes *uri_template) {
  struct ln_buf glob;
  ln_buf_init(&glob, LN_TEMPLATE_URI_MAX);
  struct ln_str t = {uri_template->data, uri_template->len};
  bool hidden = ln_expand_glob(t, value_of, f, &glob) != LN_OK ||
                ln_present_hides_all(f->x->gen->policy, LN_KIND_RESOURCE, ln_buf_str(&glob));
  release(f);
  ln_buf_deinit(&glob);
  return hidden;
}

/* True when every URI that may come of the template with that value is hidden. */
static bool leads_nowhere(struct filter *f) {
  const struct ln_entry *e = f->x->entry;
  struct ln_buf uri;
  ln_buf_init(&uri, LN_TEMPLATE_URI_MAX);
  int rc = ln_expand(ln_bytes_str(e->item->key), value_of, f, &uri);
  release(f);
  bool hidden = rc != LN_OK; /* longer than any that can be read */
  if (!rc)
    hidden = ln_shown_uri(f->x->gen, f->resources, f->x->view, f->x->server, ln_buf_str(&uri),
                          &f->steps) == LN_SHOWN_HIDDEN;
  else if (rc == LN_EAGAIN)
    hidden = glob_hidden(f, e->item->key) || (e->native_json && glob_hidden(f, e->key));
  ln_buf_deinit(&uri);
  return hidden;
}

/* True when it is a URI of a template that a rule hides, and of none that the client sees. */
static bool of_hidden_template(struct filter *f, struct ln_str uri) {
  const struct ln_view *v = f->templates;
  void *found;
  return v && ln_templates_find(&v->match.gone, NULL, uri, &f->steps, &found) != LN_ENOTFOUND &&
         ln_templates_find(&v->match.native, f->x->server, uri, &f->steps, &found) != LN_OK &&
         ln_templates_find(&v->match.visible, NULL, uri, &f->steps, &found) != LN_OK;
}

static bool is_kept(struct filter *f, struct ln_str value) {
  struct ln_bytes *text = ln_json_type_of(value) == LN_JSON_STRING ? ln_json_text(value) : NULL;
  if (!text) return false;
  f->value = ln_bytes_str(text);
  bool uri = memchr(text->data, ':', text->len);
  bool listed = f->resources && ln_view_find(f->resources, f->value);
  bool hidden = uri && f->resources && !listed && ln_view_is_hidden(f->resources, f->value);
  if (uri && !listed && !hidden) hidden = of_hidden_template(f, f->value);
  if (!hidden && f->x->entry && f->x->view->kind == LN_KIND_TEMPLATE) hidden = leads_nowhere(f);
  ln_bytes_unref(text);
  return !hidden;
}

/* The reply with other values, and as many fewer in all. NULL: none is left out, or (*failed) out
 * of memory. */
static struct ln_msg *without_hidden(struct filter *f, struct ln_str values,
                                     struct ln_str completion, bool *failed) {
  struct ln_buf kept;
  ln_buf_init(&kept, SIZE_MAX / 2);
  ln_buf_append_c(&kept, "[");
  struct ln_json_cur cur = ln_json_enter(values);
  struct ln_json_item it;
  size_t n = 0, seen = 0;
  for (; ln_json_next(&cur, &it); seen++) {
    if (seen >= MAX_VALUES || !is_kept(f, it.value)) continue;
    if (n++) ln_buf_append_c(&kept, ",");
    ln_buf_append_str(&kept, it.value);
  }
  ln_buf_append_c(&kept, "]");
  int64_t total = 0;
  char count[32] = "";
  bool counted = ln_json_get(completion, "total", &it) && ln_json_int(it.value, &total);
  if (counted)
    snprintf(count, sizeof count, "%" PRId64, LN_MAX(total - (int64_t)(seen - n), (int64_t)n));
  struct ln_edit edits[2] = {{values, ln_buf_str(&kept)}, {it.value, ln_str_c(count)}};
  if (counted && it.value.p < values.p) {
    edits[1] = edits[0];
    edits[0] = (struct ln_edit){it.value, ln_str_c(count)};
  }
  *failed = ln_buf_error(&kept);
  struct ln_msg *m = *failed || n == seen ? NULL : ln_msg_edit(f->reply, edits, counted ? 2 : 1);
  *failed |= !m && n != seen;
  ln_buf_deinit(&kept);
  return m;
}

static void finish(struct filter *f) {
  struct ln_json_item completion, values, it;
  bool failed = false;
  struct ln_msg *reply = ln_msg_ref(f->reply), *m = NULL;
  f->steps = LN_MATCH_STEPS;
  if (ln_json_get(f->c->msg->params, "argument", &it) && ln_json_get(it.value, "name", &it))
    f->argument = it.value;
  if (ln_json_get(f->c->msg->params, "context", &it) && ln_json_get(it.value, "arguments", &it))
    f->others = it.value;
  if (ln_json_get(reply->result, "completion", &completion) &&
      ln_json_get(completion.value, "values", &values) && values.type == LN_JSON_ARRAY)
    m = without_hidden(f, values.value, completion.value, &failed);
  if (m || failed) ln_msg_unref(reply);
  if (failed) m = ln_msg_error(-32603, "Out of memory", LN_STR_NONE);
  if (!ln_exchange_ended(f->x))
    f->c->done(f->c->arg, m || failed ? m : reply);
  else
    ln_msg_unref(m || failed ? m : reply);
  ln_msg_unref(f->reply);
  ln_view_unref(f->resources);
  ln_view_unref(f->templates);
  ln_exchange_unref(f->x);
  free(f);
}

static void on_templates(void *arg, struct ln_view *v, const char *why) {
  struct filter *f = arg;
  (void)why;
  f->templates = v ? ln_view_ref(v) : NULL;
  finish(f);
}

static void on_resources(void *arg, struct ln_view *v, const char *why) {
  struct filter *f = arg;
  (void)why; /* without it, globs tell */
  f->resources = v ? ln_view_ref(v) : NULL;
  struct ln_view_request request = ln_exchange_views(f->x, LN_KIND_TEMPLATE, LN_VIEW_USE);
  ln_view_get(&request, on_templates, f);
}

/* The server's reply. */
static void completed(void *arg, struct ln_msg *reply) {
  struct ln_chain *c = arg;
  struct filter *f = reply->kind == LN_MSG_RESULT ? calloc(1, sizeof *f) : NULL;
  if (!f) {
    if (reply->kind == LN_MSG_RESULT) {
      ln_msg_unref(reply);
      reply = ln_msg_error(-32603, "Out of memory", LN_STR_NONE);
    }
    c->done(c->arg, reply);
    return;
  }
  f->x = c->x;
  ln_exchange_ref(f->x);
  f->c = c;
  f->reply = reply;
  struct ln_view_request request = ln_exchange_views(c->x, LN_KIND_RESOURCE, LN_VIEW_USE);
  ln_view_get(&request, on_resources, f);
}

int ln_completion_filter(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn *done, void **arg) {
  if (!ln_policy_has_rules(x->gen->policy, LN_KIND_RESOURCE) &&
      !ln_policy_has_rules(x->gen->policy, LN_KIND_TEMPLATE))
    return LN_OK;
  struct ln_chain *c = ln_zalloc(sizeof *c);
  if (!c) return LN_ENOMEM;
  *c = (struct ln_chain){.x = x, .msg = ln_msg_ref(msg), .done = *done, .arg = *arg};
  ln_list_push(&x->chain, &c->link);
  *done = completed;
  *arg = c;
  return LN_OK;
}
