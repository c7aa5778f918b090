/* Finding the component that a request names; see resolve.h. */
#include "proxy/names/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mcp/subject.h"
#include "mcp/template_set.h"
#include "mcp/uri.h"
#include "proxy/lists/await.h"
#include "proxy/lists/refresh.h"
#include "proxy/lists/view_get.h"

/* One call of ln_resolve. */
struct resolve {
  struct ln_exchange_wait over; /* while it waits */
  struct ln_exchange *x;        /* counted */
  struct ln_msg *msg;           /* counted */
  enum ln_kind kind;            /* the last in which it was looked for */
  bool ref;                     /* it is the ref of a completion, to a template or a resource */
  struct ln_bytes *key;         /* unescaped */
  struct ln_await *await;       /* for lists that are missing; NULL: not yet */
  size_t in_kind, in_server;    /* where it was found: of the kinds that are awaited, and of gen's
                                   servers … */
  bool unsure;                  /* … though lists that come before that are missing */
  bool all_listed;              /* none was missing of the kind that was looked into last */
  struct ln_msg *refusal;       /* when LOOK_FAILED */
  bool asked, refreshes;        /* lists that may be out of date were, are being asked for again */
  bool busy;                    /* lists are being asked for … */
  bool gone; /* … and the exchange has ended meanwhile: it is freed after that */
  void (*found)(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg);
  ln_reply_fn done;
  void *arg;
};

/* What became of a look into the lists that are known. */
enum look { LOOK_FOUND, LOOK_ABSENT, LOOK_HIDDEN, LOOK_FAILED };

static bool is_uri(enum ln_kind kind) {
  return kind == LN_KIND_RESOURCE || kind == LN_KIND_TEMPLATE;
}

/* A server that is down may have what was asked for. Told with every unknown name, so that the
 * error doesn't show whether a rule hides it. Servers that there is no room for are left out. */
static void append_down_servers(const struct resolve *r, struct ln_buf *text) {
  const struct ln_generation *g = r->x->gen;
  for (size_t i = 0; i < g->n_servers; i++) {
    const struct ln_server *server = g->servers[i];
    if (server->health == LN_SERVER_DOWN)
      ln_buf_printf(text, "; server \"%s\" is down: %s", server->conf->name, server->last_error);
    else if (r->await && ln_await_failed(r->await, i))
      ln_buf_printf(text, "; server \"%s\" could not list its %ss", server->conf->name,
                    ln_kind_rows[r->kind].noun);
  }
  if (ln_buf_error(text) == LN_ELIMIT) ln_buf_truncate(text, text->len);
}

static struct ln_msg *unknown(const struct resolve *r, enum ln_kind kind) {
  /* A ref that names no template is looked for among resources: one that a rule hides is told
   * alike. */
  if (kind == LN_KIND_TEMPLATE) kind = LN_KIND_RESOURCE;
  struct ln_str key = ln_bytes_str(r->key);
  struct ln_buf text, data;
  ln_buf_init(&text, key.n + 8 * LN_WHY_MAX);
  ln_buf_init(&data, key.n * 6 + 64);
  struct ln_msg *m = NULL;
  bool uri = is_uri(kind);
  ln_buf_printf(&text, "Unknown %s: %.*s", ln_kind_rows[kind].noun, LN_STR_ARG(key));
  append_down_servers(r, &text);
  ln_buf_append(&text, "", 1);
  if (uri) {
    ln_buf_append_c(&data, "{\"uri\":");
    ln_json_quote(&data, key);
    ln_buf_append_c(&data, "}");
  }
  if (!ln_buf_error(&text) && !ln_buf_error(&data))
    m = ln_msg_error(-32602, text.data, uri ? ln_buf_str(&data) : LN_STR_NONE);
  ln_buf_deinit(&text);
  ln_buf_deinit(&data);
  return m ? m : ln_msg_error(-32602, "Unknown component", LN_STR_NONE);
}

/* Nobody knows whether that server has it. */
static struct ln_msg *too_late(const struct resolve *r, const struct ln_server *server,
                               enum ln_kind kind) {
  const struct ln_kind_row *row = &ln_kind_rows[kind];
  char text[LN_WHY_MAX], owes[64] = "answered initialize";
  if (ln_index_of(r->x->session, server))
    snprintf(owes, sizeof owes, "answered %s", row->list_method);
  int shown = (int)LN_MIN(r->key->len, (size_t)200);
  snprintf(
      text, sizeof text,
      "Server \"%s\" has not %s yet, so that it is not known whether the %s \"%.*s\" is there: "
      "try again later",
      server->conf->name, owes, row->noun, shown, r->key->data);
  return ln_msg_error(-32603, text, LN_STR_NONE);
}

static void release(struct resolve *r) {
  ln_exchange_unwatch(&r->over);
  ln_bytes_unref(r->key);
  ln_msg_unref(r->msg);
  ln_exchange_unref(r->x);
  r->key = NULL;
  r->msg = NULL;
  r->x = NULL;
}

static void resolve_free(struct resolve *r) {
  ln_await_free(r->await);
  release(r);
  free(r);
}

static void resolve_end(struct resolve *r, struct ln_msg *refusal) {
  ln_exchange_unwatch(&r->over);
  ln_await_free(r->await); /* it must not call while the message is on its way */
  r->await = NULL;
  if (refusal)
    r->done(r->arg, refusal);
  else
    r->found(r->x, r->msg, r->done, r->arg);
  resolve_free(r);
}

static void on_over(struct ln_exchange_wait *w) {
  struct resolve *r = LN_CONTAINER(w, struct resolve, over);
  r->gone = true;
  if (!r->busy && !r->refreshes)
    resolve_free(r);
  else if (!r->busy)
    release(r);
}

static bool may_hide(const struct resolve *r, enum ln_kind kind) {
  return ln_view_may_hide(r->x->gen, kind, ln_bytes_str(r->key));
}

/* The prefix that says whose a name is; NULL: none does. */
static const char *owning_prefix(const struct resolve *r) {
  const struct ln_generation *g = r->x->gen;
  size_t i = is_uri(r->kind) ? g->n_servers : ln_generation_owner(g, ln_bytes_str(r->key));
  return i < g->n_servers ? g->prefixes[i] : NULL;
}

/* The only server, which may have more than it lists, when there is nothing that the policy could
 * have meant by it; else NULL. */
static struct ln_server *only_taker(const struct resolve *r) {
  const struct ln_generation *g = r->x->gen;
  bool apart = !is_uri(r->kind) && g->n_servers && g->prefixes[0];
  return g->n_servers == 1 && !apart && !ln_policy_strict(g->policy, r->kind) ? g->servers[0]
                                                                              : NULL;
}

/* A server of which the policy says that it gets what no list has; else NULL. What rules would do
 * with it still holds, as far as its name tells. */
static struct ln_server *declared_taker(const struct resolve *r) {
  const struct ln_generation *g = r->x->gen;
  bool named = !is_uri(r->kind);
  if (may_hide(r, r->kind) || (r->ref && may_hide(r, LN_KIND_TEMPLATE))) return NULL;
  const char *prefix = owning_prefix(r);
  for (size_t i = 0; i < g->n_servers; i++) {
    const char *its = named ? g->prefixes[i] : NULL;
    bool same = prefix ? its && strcmp(its, prefix) == 0 : !its;
    if (same && g->decls->servers[i].unlisted) return g->servers[i];
  }
  return NULL;
}

static void proceed(void *arg);

/* No list has it, or a rule hides it, which takes as long: true when lists that are old are asked
 * for again, after which it begins anew. */
static bool asks_again(struct resolve *r) {
  static const enum ln_kind uris[] = {LN_KIND_RESOURCE, LN_KIND_TEMPLATE};
  struct ln_generation *g = r->x->gen;
  if (r->asked) return false;
  r->asked = true;
  const struct ln_server *owner =
      owning_prefix(r) ? g->servers[ln_generation_owner(g, ln_bytes_str(r->key))] : NULL;
  bool uri = is_uri(r->kind);
  r->refreshes =
      ln_refresh_unknown(r->x->session, g, uri ? uris : &r->kind, uri ? 2 : 1, owner, proceed, r);
  return r->refreshes;
}

static void refuse(struct resolve *r) {
  if (!asks_again(r)) resolve_end(r, unknown(r, r->kind));
}

/* No list has it. */
static void resolve_unlisted(struct resolve *r) {
  struct ln_server *server = only_taker(r);
  if (!server && asks_again(r)) return;
  if (!server) server = declared_taker(r);
  if (server) {
    ln_exchange_set_entry(r->x, NULL, NULL);
    ln_exchange_set_server(r->x, server);
  }
  resolve_end(r, server ? NULL : unknown(r, r->kind));
}

/* A client's URI in the forms that are matched against templates. */
struct uri_forms {
  struct ln_str key;
  struct ln_buf other[LN_URI_FORMS]; /* of ln_uri_form, the normal one first */
  bool climbs;                       /* it has dot segments */
  uint64_t steps;                    /* of matching that are left */
};

static bool forms_of(struct ln_str key, struct uri_forms *f) {
  int rc = LN_OK;
  f->key = key;
  f->steps = LN_MATCH_STEPS;
  f->climbs = ln_uri_climbs(key);
  for (unsigned i = 0; i < LN_URI_FORMS; i++) ln_buf_init(&f->other[i], LN_URI_ROOM(key.n));
  for (unsigned i = 0; !rc && i < LN_URI_FORMS; i++) rc = ln_uri_form(key, i, &f->other[i]);
  return !rc || rc == LN_ENOTFOUND;
}

static void forms_free(struct uri_forms *f) {
  for (unsigned i = 0; i < LN_URI_FORMS; i++) ln_buf_deinit(&f->other[i]);
}

/* The first entry that one of these forms (some may be absent) matches, or NULL. */
static int find(const struct ln_templates *set, const struct ln_str *forms, size_t n,
                struct uri_forms *f, const struct ln_entry **e) {
  *e = NULL;
  for (size_t i = 0; i < n; i++) {
    bool again = false;
    for (size_t k = 0; k < i; k++) again |= forms[k].p && ln_str_eq(forms[i], forms[k]);
    if (!forms[i].p || again) continue;
    void *found;
    int rc = ln_templates_find(set, NULL, forms[i], &f->steps, &found);
    if (rc && rc != LN_ENOTFOUND) return rc;
    if (!rc && (!*e || (const struct ln_entry *)found < *e)) *e = found;
  }
  return LN_OK;
}

/* The template that it matches. A URI with dot segments is matched only in its normal form. */
static int find_visible(const struct ln_view *v, struct uri_forms *f, const struct ln_entry **e) {
  const struct ln_str forms[] = {f->climbs ? LN_STR_NONE : f->key, ln_buf_str(&f->other[0])};
  return find(&v->match.visible, forms, LN_COUNT(forms), f, e);
}

/* The template that a rule hid or gave another form, and that it matches. */
static int find_gone(const struct ln_view *v, struct uri_forms *f, const struct ln_entry **e) {
  struct ln_str forms[1 + LN_URI_FORMS] = {f->key};
  for (unsigned i = 0; i < LN_URI_FORMS; i++)
    forms[1 + i] = f->other[i].len ? ln_buf_str(&f->other[i]) : LN_STR_NONE;
  return find(&v->match.gone, forms, LN_COUNT(forms), f, e);
}

/* True when a rule could hide the server's own URI, where the template was given another form. */
static bool native_hidden(const struct resolve *r, const struct ln_entry *e, struct uri_forms *f) {
  if (!e->native_json || !e->item) return false;
  struct ln_buf native;
  ln_buf_init(&native, SIZE_MAX / 2);
  struct ln_str from = ln_bytes_str(e->key), to = ln_bytes_str(e->item->key);
  int rc = f->climbs ? LN_ENOTFOUND : ln_template_convert(from, to, f->key, &native, &f->steps);
  if (rc == LN_ENOTFOUND)
    rc = ln_template_convert(from, to, ln_buf_str(&f->other[0]), &native, &f->steps);
  bool hidden = rc || ln_present_may_hide(r->x->gen->policy, LN_KIND_RESOURCE, ln_buf_str(&native));
  ln_buf_deinit(&native);
  return hidden;
}

/* Matching it took more than its steps, or out of memory. */
static enum look refuse_costly(struct resolve *r, int rc) {
  struct ln_session *s = r->x->session;
  const char *text = "Out of memory";
  if (rc == LN_ELIMIT) {
    text =
        "Too many resource templates begin as this URI does: which one it is of takes too long to "
        "find out";
    LN_LOG(s->host->log, WARN, s->id,
           "%s was refused: to find the template of its URI takes more than the %d steps "
           "that a message has for that",
           r->x->method->name, LN_MATCH_STEPS);
  }
  r->refusal = ln_msg_error(-32603, text, LN_STR_NONE);
  return LOOK_FAILED;
}

/* The session's view, as far as lists are known. One reference; NULL with r->refusal. */
static struct ln_view *view_of(struct resolve *r, enum ln_kind kind) {
  struct ln_view_request request = ln_exchange_views(r->x, kind, LN_VIEW_USE);
  struct ln_view *v = ln_view_get_now(&request);
  if (!v) r->refusal = ln_msg_error(-32603, "the policy's rules failed on the list", LN_STR_NONE);
  return v;
}

/* Takes what was found, in the list of r's kinds[in_kind]. */
static void take(struct resolve *r, struct ln_view *v, const struct ln_entry *e, size_t in_kind) {
  const struct ln_generation *g = v->gen;
  size_t i = 0;
  bool all = true;
  while (e->server && i < g->n_servers && g->servers[i] != e->server) all &= !!v->listings[i++];
  if (!all && v->kind != LN_KIND_RESOURCE && v->kind != LN_KIND_TEMPLATE)
    all = ln_generation_owner(g, ln_bytes_str(r->key)) < g->n_servers; /* its prefix says whose */
  r->in_kind = in_kind;
  r->in_server = i;
  r->unsure = !all;
  ln_exchange_set_entry(r->x, v, e);
}

/* By its own name. */
static enum look look_in(struct resolve *r, enum ln_kind kind) {
  struct ln_view *v = view_of(r, kind);
  if (!v) return LOOK_FAILED;
  const struct ln_entry *e = ln_view_find(v, ln_bytes_str(r->key));
  enum look found = e                                            ? LOOK_FOUND
                    : ln_view_is_hidden(v, ln_bytes_str(r->key)) ? LOOK_HIDDEN
                                                                 : LOOK_ABSENT;
  r->kind = kind;
  r->all_listed = ln_view_complete(v);
  if (e) take(r, v, e, r->ref && kind == LN_KIND_RESOURCE ? 1 : 0);
  ln_view_unref(v);
  return found;
}

/* By the template that it matches. */
static enum look match_in(struct resolve *r, struct ln_view *v) {
  struct uri_forms f;
  const struct ln_entry *visible = NULL, *gone = NULL;
  int rc = forms_of(ln_bytes_str(r->key), &f) ? LN_OK : LN_ENOMEM;
  if (!rc) rc = find_visible(v, &f, &visible);
  if (!rc && !visible) rc = find_gone(v, &f, &gone);
  bool native = !rc && visible && native_hidden(r, visible, &f);
  /* It could be of a template that is hidden, or that no rule has seen. */
  bool unseen = v->unmatched && ln_policy_has_rules(r->x->gen->policy, LN_KIND_TEMPLATE);
  forms_free(&f);
  if (rc) return refuse_costly(r, rc);
  /* A rule on resources applies to a URI of a template, too. */
  if (visible ? native || may_hide(r, LN_KIND_RESOURCE) : gone || unseen) return LOOK_HIDDEN;
  if (!visible) return LOOK_ABSENT;
  take(r, v, visible, 1);
  r->unsure |= !r->all_listed; /* a resource of that URI would come first */
  return LOOK_FOUND;
}

static enum look look(struct resolve *r) {
  bool uri = is_uri(r->kind);
  enum look found = r->ref ? look_in(r, LN_KIND_TEMPLATE) : LOOK_ABSENT;
  if (found == LOOK_ABSENT) found = look_in(r, uri ? LN_KIND_RESOURCE : r->kind);
  if (found != LOOK_ABSENT || !uri) return found;
  struct ln_view *v = view_of(r, LN_KIND_TEMPLATE);
  if (!v) return LOOK_FAILED;
  found = match_in(r, v);
  ln_view_unref(v);
  return found;
}

/* Asks for lists that are missing. True: it goes on when there is something new. */
static bool wait_for_lists(struct resolve *r, enum look found, enum ln_await_step *step) {
  struct ln_await_for what = {.session = r->x->session,
                              .gen = r->x->gen,
                              .key = ln_bytes_str(r->key),
                              .kinds = {r->kind},
                              .n_kinds = 1};
  if (is_uri(r->kind)) {
    what.kinds[0] = r->ref ? LN_KIND_TEMPLATE : LN_KIND_RESOURCE;
    what.kinds[1] = r->ref ? LN_KIND_RESOURCE : LN_KIND_TEMPLATE;
    what.n_kinds = 2;
  }
  if (!r->await) r->await = ln_await_new(&what, proceed, r);
  r->busy = true;
  *step = !r->await             ? LN_AWAIT_OVER
          : found != LOOK_FOUND ? ln_await_step(r->await)
                                : ln_await_step_before(r->await, r->in_kind, r->in_server);
  r->busy = false;
  return *step == LN_AWAIT_WAITS;
}

/* It is in no list, and no more are to come. */
static void resolve_absent(struct resolve *r, enum look found) {
  const struct ln_generation *g = r->x->gen;
  enum ln_kind kind;
  const struct ln_server *late = r->await ? ln_await_late(r->await, &kind) : NULL;
  const char *why;
  const struct ln_server *unasked = r->await ? ln_await_unasked(r->await, &why) : NULL;
  if (!r->await) {
    resolve_end(r, ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
  } else if (late) {
    resolve_end(r, too_late(r, late, kind));
  } else if (unasked && (g->n_servers > 1 || !g->components[r->kind])) {
    char text[LN_WHY_MAX + 128];
    ln_server_error_text(unasked, why, text, sizeof text);
    /* Handlers don't see this error, so it has no words of the server's: those are in a second
     * line. */
    text[strcspn(text, "\n")] = 0;
    resolve_end(r, ln_msg_error(-32603, text, LN_STR_NONE));
  } else if (found == LOOK_HIDDEN) {
    refuse(r);
  } else {
    resolve_unlisted(r);
  }
}

/* Looks, and looks again whenever a list has come, until it is found or no more are to come. What
 * is hidden is waited for as what isn't there: the time that it takes tells nothing. What is found
 * may be another server's, which comes before: that one is waited for, too, but not as long. */
static void proceed(void *arg) {
  struct resolve *r = arg;
  enum ln_await_step step = LN_AWAIT_AGAIN;
  enum look found = LOOK_ABSENT;
  r->refreshes = false;
  if (r->gone) {
    resolve_free(r);
    return;
  }
  while (step == LN_AWAIT_AGAIN) {
    found = look(r);
    if (found == LOOK_FAILED || (found == LOOK_FOUND && !r->unsure)) break;
    bool waits = wait_for_lists(r, found, &step);
    if (r->gone) {
      resolve_free(r);
      return;
    }
    if (waits) return;
  }
  if (found == LOOK_FOUND || found == LOOK_FAILED)
    resolve_end(r, r->refusal);
  else
    resolve_absent(r, found);
}

static bool list_needed(const struct ln_generation *g, enum ln_kind kind) {
  if (ln_policy_strict(g->policy, kind)) return true;
  if (!is_uri(kind)) return ln_view_needed(g, kind);
  return ln_view_needed(g, LN_KIND_RESOURCE) || ln_view_needed(g, LN_KIND_TEMPLATE);
}

/* The length of a URI that is longer than max_uri_bytes; else 0. */
static size_t too_long(const struct ln_exchange *x, struct ln_subject s) {
  size_t max = x->session->host->settings.max_uri_bytes;
  if (s.kind == LN_KINDS || !is_uri(s.kind) || s.value.n <= max + 2) return 0;
  struct ln_bytes *uri = ln_json_text(s.value);
  size_t n = uri ? uri->len : 0;
  ln_bytes_unref(uri);
  return n > max ? n : 0;
}

void ln_resolve(struct ln_exchange *x, struct ln_msg *msg,
                void (*found)(struct ln_exchange *, struct ln_msg *, ln_reply_fn, void *),
                ln_reply_fn done, void *arg) {
  const struct ln_generation *g = x->gen;
  struct ln_subject s = ln_subject_of(x->method, msg);
  if (s.kind == LN_KINDS && x->method->route == LN_ROUTE_COMPLETE &&
      (list_needed(g, LN_KIND_PROMPT) || list_needed(g, LN_KIND_TEMPLATE))) {
    ln_reply_error(done, arg, -32602, "completion/complete needs a ref to a prompt or a resource");
    return;
  }
  size_t n = too_long(x, s);
  if (n) {
    char text[120];
    snprintf(text, sizeof text, "%s: the URI has %zu bytes, which is more than max_uri_bytes (%zu)",
             x->method->name, n, x->session->host->settings.max_uri_bytes);
    ln_reply_error(done, arg, -32602, text);
    return;
  }
  if (s.kind == LN_KINDS || !list_needed(g, s.kind)) {
    if (g->n_servers == 1) ln_exchange_set_server(x, g->servers[0]);
    found(x, msg, done, arg);
    return;
  }
  if (!s.value.p || s.value.p[0] != '"') {
    char text[80];
    snprintf(text, sizeof text, "%s needs a %s", x->method->name, ln_kind_rows[s.kind].key);
    ln_reply_error(done, arg, -32602, text);
    return;
  }
  struct resolve *r = ln_zalloc(sizeof *r);
  if (r) r->key = ln_json_text(s.value);
  if (!r || !r->key) {
    free(r);
    ln_reply_no_memory(done, arg);
    return;
  }
  ln_exchange_ref(x);
  r->x = x;
  r->msg = ln_msg_ref(msg);
  r->kind = s.kind;
  r->ref = s.kind == LN_KIND_TEMPLATE;
  r->found = found;
  r->done = done;
  r->arg = arg;
  ln_exchange_watch(x, &r->over, on_over);
  proceed(r);
}
