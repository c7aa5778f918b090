/* Who is meant by a request: see resolve.h. */
#include "proxy/resolve.h"

#include <stdio.h>
#include <stdlib.h>

#include "mcp/template.h"
#include "proxy/upstream.h"

static struct ln_str str_of(const struct ln_bytes *b) {
  return b ? (struct ln_str){b->data, b->len} : LN_STR_NONE;
}

static void fail(ln_reply_fn done, void *arg, int code, const char *text) {
  done(arg, ln_msg_error(code, text, LN_STR_NONE));
}

struct ln_bytes *ln_resolve_key(struct ln_str value) {
  struct ln_str raw = ln_json_inside(value);
  struct ln_buf b;
  ln_buf_init(&b, raw.n * 3 + 16);
  struct ln_bytes *out = NULL;
  if (raw.p && ln_json_unescape(raw, true, &b) == LN_OK)
    out = b.len ? ln_buf_take(&b) : ln_bytes_new(0);
  ln_buf_deinit(&b);
  return out;
}

struct ln_subject ln_resolve_subject(const struct ln_method *method, const struct ln_msg *msg) {
  if (method->route == LN_ROUTE_COMPLETE) {
    struct ln_json_item ref, key;
    if (!msg->params.p || !ln_json_get(msg->params, "ref", &ref))
      return (struct ln_subject){LN_KINDS, LN_STR_NONE};
    if (ln_json_get(ref.value, "uri", &key))
      return (struct ln_subject){LN_KIND_TEMPLATE, key.value};
    if (ln_json_get(ref.value, "name", &key)) return (struct ln_subject){LN_KIND_PROMPT, key.value};
    return (struct ln_subject){LN_KINDS, LN_STR_NONE};
  }
  return (struct ln_subject){method->kind, method->kind == LN_KIND_RESOURCE ? msg->uri : msg->name};
}

static struct ln_msg *unknown(enum ln_kind kind, struct ln_str key) {
  struct ln_buf text, data;
  ln_buf_init(&text, key.n + 64);
  ln_buf_init(&data, key.n * 6 + 64);
  struct ln_msg *m = NULL;
  bool uri = kind == LN_KIND_RESOURCE || kind == LN_KIND_TEMPLATE;
  int rc = ln_buf_printf(&text, "Unknown %s: %.*s%c", ln_kind_rows[kind].noun, LN_STR_ARG(key), 0);
  if (!rc && uri) {
    rc = ln_buf_append_c(&data, "{\"uri\":");
    if (!rc) rc = ln_json_quote(&data, key);
    if (!rc) rc = ln_buf_append_c(&data, "}");
  }
  if (!rc) m = ln_msg_error(-32602, text.data, uri ? ln_buf_str(&data) : LN_STR_NONE);
  ln_buf_deinit(&text);
  ln_buf_deinit(&data);
  return m ? m : ln_msg_error(-32602, "Unknown component", LN_STR_NONE);
}

/* Finding out who is meant. `found` is called once with the exchange's entry and upstream set, or
 * not at all when `refused` was. */
struct resolve {
  struct ln_exchange *x; /* counted */
  struct ln_msg *msg;    /* counted */
  enum ln_kind kind;
  struct ln_bytes *key; /* unescaped */
  void (*found)(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);
  ln_reply_fn done;
  void *arg;
};

static void resolve_end(struct resolve *r, struct ln_msg *refusal) {
  if (refusal)
    r->done(r->arg, refusal);
  else
    r->found(r->x, r->msg, r->done, r->arg);
  ln_bytes_unref(r->key);
  ln_msg_unref(r->msg);
  ln_exchange_unref(r->x);
  free(r);
}

static void resolve_to(struct ln_exchange *x, struct ln_view *v, const struct ln_entry *e) {
  struct ln_view *old = x->view;
  x->view = v ? ln_view_ref(v) : NULL;
  x->entry = e;
  if (e) x->upstream = e->upstream;
  ln_view_unref(old);
}

/* Nobody lists it: servers may have what they don't list, but no rule may be passed by that. */
static void resolve_unlisted(struct resolve *r) {
  const struct ln_generation *g = r->x->gen;
  bool may = g->n_upstreams == 1 && !ln_policy_may_hide(r->x->gen->policy, r->kind, str_of(r->key));
  if (may) {
    resolve_to(r->x, NULL, NULL);
    r->x->upstream = g->upstreams[0];
  }
  resolve_end(r, may ? NULL : unknown(r->kind, str_of(r->key)));
}

static void resolve_template(void *arg, struct ln_view *v, const char *why) {
  struct resolve *r = arg;
  if (!v) {
    resolve_end(r, ln_msg_error(-32603, why, LN_STR_NONE));
    return;
  }
  const struct ln_entry *visible = NULL, *hidden = NULL;
  for (size_t i = 0; i < v->n_entries && !visible; i++) {
    const struct ln_entry *e = &v->entries[i];
    if (e->shadowed ||
        !ln_template_match(str_of(e->hidden ? e->before_rules : e->key), str_of(r->key)))
      continue;
    if (e->hidden)
      hidden = hidden ? hidden : e;
    else
      visible = e;
  }
  if (visible) {
    /* The rules on resources hold for what a template reaches. */
    bool may = !ln_policy_may_hide(r->x->gen->policy, LN_KIND_RESOURCE, str_of(r->key));
    if (may) resolve_to(r->x, v, visible);
    resolve_end(r, may ? NULL : unknown(LN_KIND_RESOURCE, str_of(r->key)));
  } else if (hidden) {
    resolve_end(r, unknown(LN_KIND_RESOURCE, str_of(r->key)));
  } else {
    resolve_unlisted(r);
  }
}

static void resolve_view(void *arg, struct ln_view *v, const char *why) {
  struct resolve *r = arg;
  if (!v) {
    resolve_end(r, ln_msg_error(-32603, why, LN_STR_NONE));
    return;
  }
  const struct ln_entry *e = ln_view_find(v, str_of(r->key));
  if (e) {
    resolve_to(r->x, v, e);
    resolve_end(r, NULL);
  } else if (ln_view_is_hidden(v, str_of(r->key))) {
    resolve_end(r, unknown(r->kind, str_of(r->key)));
  } else if (r->kind == LN_KIND_RESOURCE) {
    ln_view_get(r->x->session, LN_KIND_TEMPLATE, r->x, resolve_template, r);
  } else {
    resolve_unlisted(r);
  }
}

/* What a client's URI may be hidden as is asked with its normal form too: see ln_policy_may_hide.
 */
static bool list_needed(const struct ln_generation *g, enum ln_kind kind) {
  return ln_view_needed(g, kind) ||
         (kind == LN_KIND_RESOURCE && ln_view_needed(g, LN_KIND_TEMPLATE));
}

void ln_resolve(struct ln_exchange *x, struct ln_msg *msg,
                void (*found)(struct ln_exchange *, struct ln_msg *, ln_reply_fn, void *),
                ln_reply_fn done, void *arg) {
  const struct ln_generation *g = x->gen;
  struct ln_subject s = ln_resolve_subject(x->method, msg);
  if (s.kind == LN_KINDS || !list_needed(g, s.kind)) {
    if (g->n_upstreams == 1) x->upstream = g->upstreams[0];
    found(x, msg, done, arg);
    return;
  }
  if (!s.value.p || s.value.p[0] != '"') {
    char text[80];
    snprintf(text, sizeof text, "%s needs a %s", x->method->name, ln_kind_rows[s.kind].key);
    fail(done, arg, -32602, text);
    return;
  }
  struct resolve *r = calloc(1, sizeof *r);
  if (r) r->key = ln_resolve_key(s.value);
  if (!r || !r->key) {
    free(r);
    fail(done, arg, -32603, "Out of memory");
    return;
  }
  ln_exchange_ref(x);
  r->x = x;
  r->msg = ln_msg_ref(msg);
  r->kind = s.kind;
  r->found = found;
  r->done = done;
  r->arg = arg;
  ln_view_get(x->session, s.kind, x, resolve_view, r);
}
