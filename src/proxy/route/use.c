/* Using components; see use.h. */
#include "proxy/route/use.h"

#include <stdlib.h>

#include "mcp/subject.h"
#include "mcp/template.h"
#include "mcp/uri.h"
#include "proxy/exchange/hooks.h"
#include "proxy/names/resolve.h"
#include "proxy/route/completion.h"
#include "proxy/route/forward.h"
#include "proxy/route/subscription.h"

/* The server's own name for the one in the value `at`, as a JSON string. NULL: it is the same (or
 * out of memory: then the server gets a name that it doesn't know). One reference. */
static struct ln_bytes *native_for(const struct ln_exchange *x, const struct ln_entry *e,
                                   struct ln_str at) {
  if (!at.p || !e->native_json) return NULL;
  if (x->view->kind != LN_KIND_TEMPLATE) return ln_bytes_ref(e->native_json);
  struct ln_bytes *key = ln_json_text(at);
  if (!key) return NULL;
  if (ln_str_eq(ln_bytes_str(key), ln_bytes_str(e->key))) { /* a completion's ref */
    ln_bytes_unref(key);
    return ln_bytes_ref(e->native_json);
  }
  /* A URI that matches a template which has another form at the server. */
  struct ln_str uri = {key->data, key->len}, from = ln_bytes_str(e->key),
                to = ln_bytes_str(e->item->key);
  struct ln_buf native, normal, quoted;
  ln_buf_init(&native, SIZE_MAX / 2);
  ln_buf_init(&normal, LN_URI_ROOM(uri.n));
  ln_buf_init(&quoted, SIZE_MAX / 2);
  int rc = ln_uri_climbs(uri) ? LN_ENOTFOUND : ln_template_convert(from, to, uri, &native, NULL);
  if (rc == LN_ENOTFOUND && !(rc = ln_uri_normal(uri, &normal)))
    rc = ln_template_convert(from, to, ln_buf_str(&normal), &native, NULL);
  if (!rc) ln_json_quote(&quoted, ln_buf_str(&native));
  struct ln_bytes *out = ln_buf_finish(&quoted);
  ln_buf_deinit(&normal);
  ln_buf_deinit(&native);
  ln_bytes_unref(key);
  return out;
}

/* msg has the server's own name. */
static void to_server(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                      ln_reply_fn done, void *arg) {
  if (x->method->route == LN_ROUTE_SUBSCRIBE)
    ln_subscription_request(x, server, msg, done, arg);
  else
    ln_forward(x, server, msg, LN_STR_NONE, NULL, done, arg);
}

/* A component of the policy's own. */
static void use_own(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  const struct ln_entry *e = x->entry;
  if (x->method->route == LN_ROUTE_COMPLETE) {
    done(arg, ln_msg_result(LN_STR_LIT("{\"completion\":{\"values\":[]}}")));
  } else if (x->method->route != LN_ROUTE_USE) {
    done(arg, ln_msg_result(LN_STR_LIT("{}")));
  } else if (!ln_policy_run_component(x->gen->policy, e->component, ln_bytes_str(e->key), msg, x,
                                      done, arg)) {
    ln_reply_no_memory(done, arg);
  }
}

/* A server's component: puts the server's own name in. */
static void use_native(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  const struct ln_entry *e = x->entry;
  struct ln_str at = e->native_json ? ln_subject_of(x->method, msg).value : LN_STR_NONE;
  struct ln_bytes *with = native_for(x, e, at);
  if (!with) {
    to_server(x, e->server, msg, done, arg);
  } else if (x->method->route == LN_ROUTE_SUBSCRIBE) {
    struct ln_msg *native = ln_msg_edit(msg, &(struct ln_edit){at, ln_bytes_str(with)}, 1);
    if (native)
      to_server(x, e->server, native, done, arg);
    else
      ln_reply_no_memory(done, arg);
    ln_msg_unref(native);
  } else {
    ln_forward(x, e->server, msg, at, with, done, arg);
  }
  ln_bytes_unref(with);
}

/* What no list shows: a name loses the server's prefix. */
static void use_unlisted(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (!x->gen->longest_prefix) { /* the common case allocates nothing */
    to_server(x, x->server, msg, done, arg);
    return;
  }
  struct ln_subject s = ln_subject_of(x->method, msg);
  bool named = s.kind == LN_KIND_TOOL || s.kind == LN_KIND_PROMPT;
  struct ln_bytes *key = named ? ln_json_text(s.value) : NULL, *with = NULL;
  struct ln_str native =
      key ? ln_generation_native(x->gen, x->server, ln_bytes_str(key)) : LN_STR_NONE;
  if (key && native.n < key->len) {
    struct ln_buf quoted;
    ln_buf_init(&quoted, SIZE_MAX / 2);
    ln_json_quote(&quoted, native);
    with = ln_buf_finish(&quoted);
  }
  if (with)
    ln_forward(x, x->server, msg, s.value, with, done, arg);
  else
    to_server(x, x->server, msg, done, arg);
  ln_bytes_unref(with);
  ln_bytes_unref(key);
}

static void use_server(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (x->method->route == LN_ROUTE_COMPLETE && ln_completion_filter(x, msg, &done, &arg))
    ln_reply_no_memory(done, arg);
  else if (x->entry)
    use_native(x, msg, done, arg);
  else
    use_unlisted(x, msg, done, arg);
}

/* After the transform. */
static void use_resolved(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  static const struct ln_hooks_end end = {.native = use_server, .last = true};
  if (!x->entry && !x->server)
    ln_reply_error(done, arg, -32602, "The request doesn't say what it is about");
  else if (x->entry && !x->entry->server)
    use_own(x, msg, done, arg);
  else
    ln_hooks_run(x, 0, msg, &end, done, arg);
}

/* Through the transforms of its entry, and to whoever answers it. */
static void use(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (x->entry && x->entry->transform && x->method->route != LN_ROUTE_SUBSCRIBE)
    ln_hooks_transform(x, msg, use_resolved, done, arg);
  else
    use_resolved(x, msg, done, arg);
}

/* What msg names was looked up, by the hooks when a handler changed it; but for a completion that
 * no server could answer so far. */
void ln_use_forwarded(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (x->entry || x->server)
    use(x, msg, done, arg);
  else
    ln_resolve(x, msg, use, done, arg);
}
