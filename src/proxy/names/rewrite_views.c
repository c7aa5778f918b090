/* Rewriting once the views are there that it takes; see rewrite_views.h. */
#include "proxy/names/rewrite_views.h"

#include <stdlib.h>

#include "proxy/lists/index.h"
#include "proxy/names/rewrite.h"

/* The exchange as whose client a message is named: a server's own request is about one, or else
 * about nobody's. */
static struct ln_exchange *named_for(struct ln_exchange *x) {
  return x->from_server ? x->cause : x;
}

/* True when the session has the view that the message is to be named by, which is the one it was
 * shown last from now on, and that has the server's list. */
static bool has_view(struct ln_exchange *x, const struct ln_server *server, enum ln_kind kind) {
  const struct ln_view *v = x->session->views[kind];
  const struct ln_exchange *of = v && v->per_request ? named_for(x) : NULL;
  if (of) v = ln_view_for(x->session, kind, of->headers);
  for (size_t i = 0; v && i < v->n_listings; i++)
    if (v->gen->servers[i] == server) return v->listings[i] != NULL;
  return v != NULL;
}

/* A kind whose view could give the server's URIs other names, and that the session has no view of
 * yet; but for those that were tried. LN_KINDS: none. */
static enum ln_kind missing_view(struct ln_exchange *x, const struct ln_server *server,
                                 const bool *tried) {
  static const enum ln_kind kinds[] = {LN_KIND_RESOURCE, LN_KIND_TEMPLATE};
  const struct ln_index *c = ln_index_of(x->session, server);
  if (c && !ln_index_offers(c, LN_KIND_RESOURCE)) return LN_KINDS;
  for (size_t i = 0; i < LN_COUNT(kinds); i++) {
    enum ln_kind kind = kinds[i];
    if (!tried[kind] && ln_view_needed(x->gen, kind) && !has_view(x, server, kind)) return kind;
  }
  return LN_KINDS;
}

/* Waits for the lists of that server and of those before it, with whose URIs its own may collide.
 */
struct prepare {
  struct ln_exchange_wait over;
  bool gone;                /* the exchange has ended: nobody waits for the message */
  struct ln_exchange *x;    /* counted */
  struct ln_server *server; /* counted */
  struct ln_view_getter *getter;
  ln_reply_fn ready;
  void *arg;
  struct ln_msg *msg; /* counted */
  bool tried[LN_KINDS];
};

static void prepare_next(struct prepare *p);

static void prepare_end(struct prepare *p) {
  ln_exchange_unwatch(&p->over);
  if (!p->gone) p->ready(p->arg, ln_rewrite_message(p->x->session, p->server, p->msg, NULL));
  ln_msg_unref(p->msg);
  ln_server_unref(p->server);
  ln_exchange_unref(p->x);
  free(p);
}

/* What goes on with it finds it gone. */
static void on_over(struct ln_exchange_wait *w) {
  struct prepare *p = LN_CONTAINER(w, struct prepare, over);
  p->gone = true;
  if (!p->getter) return;
  ln_view_cancel(p->getter);
  prepare_end(p);
}

static void on_view(void *arg, struct ln_view *v, const char *why) {
  struct prepare *p = arg;
  (void)v, (void)why; /* without a view, URIs are not replaced */
  p->getter = NULL;
  prepare_next(p);
}

static void prepare_next(struct prepare *p) {
  struct ln_exchange *x = p->x;
  enum ln_kind kind = p->gone ? LN_KINDS : missing_view(x, p->server, p->tried);
  if (kind == LN_KINDS) {
    prepare_end(p);
    return;
  }
  p->tried[kind] = true;
  struct ln_exchange *of = named_for(x);
  struct ln_view_request request = ln_exchange_views(of ? of : x, kind, LN_VIEW_USE);
  while (request.first < x->gen->n_servers && x->gen->servers[request.first++] != p->server) {
  }
  struct ln_view_getter *getter = ln_view_get(&request, on_view, p);
  if (!getter) return; /* p may be gone */
  p->getter = getter;
  if (p->gone) on_over(&p->over);
}

void ln_rewrite(struct ln_exchange *x, struct ln_server *server, struct ln_msg *msg,
                ln_reply_fn ready, void *arg) {
  static const bool none[LN_KINDS];
  bool waits = missing_view(x, server, none) != LN_KINDS && ln_rewrite_names_uri(msg);
  struct prepare *p = waits ? calloc(1, sizeof *p) : NULL;
  if (!p) {
    ready(arg, ln_rewrite_message(x->session, server, msg, NULL));
    return;
  }
  ln_exchange_ref(x);
  *p = (struct prepare){
      .x = x, .server = ln_server_ref(server), .ready = ready, .arg = arg, .msg = ln_msg_ref(msg)};
  ln_exchange_watch(x, &p->over, on_over);
  prepare_next(p);
}
