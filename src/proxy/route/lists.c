/* List requests; see lists.h. */
#include "proxy/route/lists.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/lists/index.h"
#include "proxy/lists/refresh.h"
#include "proxy/lists/view_get.h"
#include "proxy/lists/view_page.h"
#include "proxy/names/rewrite.h"
#include "proxy/route/forward.h"

/* One list request. */
struct list_request {
  struct ln_exchange_wait over;
  bool gone;             /* the exchange has ended: nobody waits for the answer */
  struct ln_exchange *x; /* counted; NULL when gone */
  struct ln_msg *msg;    /* counted */
  ln_reply_fn done;
  void *arg;
  uint64_t until;                /* loop time: late servers are waited for no longer */
  struct ln_view_getter *getter; /* while it is waited for, or NULL */
  struct ln_view *view;          /* counted: once it is there */
  char why[LN_WHY_MAX + 128];
};

/* A page of tools with the client's URIs of the resources that display them. */
static struct ln_msg *with_known_uris(const struct list_request *l, struct ln_msg *page,
                                      size_t first) {
  const struct ln_view *v = l->view;
  struct ln_server **of = calloc(v->n_entries + 1, sizeof(struct ln_server *));
  size_t n = 0;
  for (size_t i = 0; of && i < v->n_entries; i++)
    if (ln_entry_listed(&v->entries[i])) of[n++] = v->entries[i].server;
  if (n > first) page = ln_rewrite_tools(l->x->session, of + first, n - first, page);
  free(of);
  return page;
}

static struct ln_msg *page_of(const struct list_request *l) {
  struct ln_json_item cursor;
  struct ln_str at = LN_STR_NONE;
  size_t first = 0;
  if (!l->view) return ln_msg_error(-32603, l->why, LN_STR_NONE);
  if (l->msg->params.p && ln_json_get(l->msg->params, "cursor", &cursor) &&
      cursor.type != LN_JSON_NULL)
    at = cursor.value;
  struct ln_msg *page = ln_view_page(l->view, at, &first);
  return page && l->view->has_ui ? with_known_uris(l, page, first) : page;
}

static void release(struct list_request *l) {
  ln_exchange_unwatch(&l->over);
  ln_view_unref(l->view);
  ln_msg_unref(l->msg);
  ln_exchange_unref(l->x);
  l->view = NULL;
  l->msg = NULL;
  l->x = NULL;
}

static void list_end(struct list_request *l) {
  struct ln_msg *page = l->gone ? NULL : page_of(l);
  ln_exchange_unwatch(&l->over); /* done ends it */
  if (!l->gone) l->done(l->arg, page ? page : ln_msg_error(-32603, "Out of memory", LN_STR_NONE));
  release(l);
  free(l);
}

/* What goes on without it finds it gone. */
static void on_over(struct ln_exchange_wait *w) {
  struct list_request *l = LN_CONTAINER(w, struct list_request, over);
  struct ln_view_getter *getter = l->getter;
  l->gone = true;
  release(l);
  if (!getter) return;
  ln_view_cancel(getter);
  free(l);
}

static void get_view(struct list_request *l, enum ln_kind kind, ln_view_fn fn) {
  struct ln_view_request request = ln_exchange_views(l->x, kind, LN_VIEW_LIST);
  request.until = l->until;
  struct ln_view_getter *getter = ln_view_get(&request, fn, l);
  if (!getter) return; /* l may be gone */
  l->getter = getter;
  if (l->gone) on_over(&l->over);
}

static void list_resources(void *arg, struct ln_view *v, const char *why) {
  (void)v, (void)why; /* without that view URIs are not replaced */
  ((struct list_request *)arg)->getter = NULL;
  list_end(arg);
}

static void list_view(void *arg, struct ln_view *v, const char *why) {
  struct list_request *l = arg;
  l->getter = NULL;
  l->view = v && !l->gone ? ln_view_ref(v) : NULL;
  if (!v) snprintf(l->why, sizeof l->why, "%s", why);
  /* The client may know resources that display tools by other URIs. */
  if (l->view && l->view->has_ui && ln_view_needed(l->x->gen, LN_KIND_RESOURCE))
    get_view(l, LN_KIND_RESOURCE, list_resources);
  else
    list_end(l);
}

/* True when some server has such a list, or may have (it hasn't answered initialize yet), or the
 * policy has components for it. */
static bool list_offered(const struct ln_session *s, enum ln_kind kind) {
  const struct ln_generation *g = s->gen;
  bool offered = g->components[kind] ||
                 (kind == LN_KIND_RESOURCE && g->components[LN_KIND_TEMPLATE]) ||
                 (kind == LN_KIND_TEMPLATE && g->components[LN_KIND_RESOURCE]);
  for (size_t i = 0; i < g->n_servers; i++) {
    const struct ln_index *index = ln_index_of(s, g->servers[i]);
    offered |= !index || ln_index_offers(index, kind);
  }
  return offered;
}

static void list_refreshed(void *arg) {
  struct list_request *l = arg;
  if (l->gone)
    list_end(l);
  else
    get_view(l, l->x->method->kind, list_view);
}

void ln_lists_request(struct ln_exchange *x, struct ln_msg *msg, ln_reply_fn done, void *arg) {
  if (!list_offered(x->session, x->method->kind)) {
    ln_forward_to_only(x, msg, done, arg);
    return;
  }
  struct list_request *l = calloc(1, sizeof *l);
  if (!l) {
    ln_reply_no_memory(done, arg);
    return;
  }
  ln_exchange_ref(x);
  *l = (struct list_request){.x = x, .msg = ln_msg_ref(msg), .done = done, .arg = arg};
  const struct ln_host *h = x->session->host;
  l->until = ln_loop_now(h->loop) + h->settings.start_timeout_ms;
  ln_exchange_watch(x, &l->over, on_over);
  struct ln_json_item cursor;
  if (msg->params.p && ln_json_get(msg->params, "cursor", &cursor))
    list_refreshed(l); /* a further page: of the same lists as the first */
  else
    ln_refresh(x->session, x->gen, x->method->kind, list_refreshed, l);
}
