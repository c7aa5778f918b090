/* The index of what servers offer; see index.h for who shares what. */
#include "proxy/catalogue.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/router.h"

enum {
  MAX_PAGES = 1000,
  REST_MS = 1000,
  MAX_SHARED = 64 /* indexes of one server: clients may think up capabilities without end */
};

/* --- indexes --- */

static bool bytes_eq(const struct ln_bytes *a, const struct ln_bytes *b) {
  return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

struct ln_index *ln_index_find(struct ln_server *server, const struct ln_bytes *offered) {
  LN_LIST_EACH(l, &server->indexes) {
    struct ln_index *c = LN_CONTAINER(l, struct ln_index, link);
    if (!bytes_eq(c->offered, offered)) continue;
    ln_list_remove(&c->link); /* the one used last is the last to go */
    ln_list_push(&server->indexes, &c->link);
    return c;
  }
  return NULL;
}

static struct ln_index *index_alloc(struct ln_server *server, struct ln_bytes *offered,
                                    struct ln_msg *hello) {
  struct ln_index *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->refs = 1;
  c->server = server;
  c->offered = ln_bytes_ref(offered);
  c->hello = ln_msg_ref(hello);
  struct ln_json_item it;
  c->capabilities = ln_capability(hello->result, "capabilities", &it) ? it.value : LN_STR_LIT("{}");
  for (int k = 0; k < LN_KINDS; k++) ln_list_init(&c->fetches[k]);
  ln_list_init(&c->link);
  return c;
}

struct ln_index *ln_index_new(struct ln_server *server, struct ln_bytes *offered,
                              struct ln_msg *hello, struct ln_link *maker) {
  struct ln_index *c = index_alloc(server, offered, hello);
  if (!c) return NULL;
  c->maker = maker;
  size_t n = 0;
  LN_LIST_EACH(l, &server->indexes) n++;
  if (n >= MAX_SHARED) {
    struct ln_list *oldest = ln_list_shift(&server->indexes);
    ln_index_unref(LN_CONTAINER(oldest, struct ln_index, link));
  }
  ln_list_push(&server->indexes, &c->link);
  return ln_index_ref(c); /* the list's and the caller's */
}

void ln_index_retire(struct ln_index *c) {
  if (ln_list_empty(&c->link)) return; /* not shared, or no more */
  ln_list_remove(&c->link);
  ln_index_unref(c);
}

struct ln_index *ln_index_ref(struct ln_index *c) {
  c->refs++;
  return c;
}

void ln_index_unref(struct ln_index *c) {
  if (!c || --c->refs) return;
  ln_list_remove(&c->link);
  for (int k = 0; k < LN_KINDS; k++) ln_listing_unref(c->listings[k]);
  ln_msg_unref(c->hello);
  ln_bytes_unref(c->offered);
  free(c);
}

bool ln_index_offers(const struct ln_index *c, enum ln_kind kind) {
  struct ln_json_item it;
  return ln_capability(c->capabilities, ln_kind_rows[kind].capability, &it);
}

static uint64_t now_of(const struct ln_index *c) {
  return ln_loop_now(c->server->host->loop);
}

bool ln_index_hopeless(const struct ln_index *c, enum ln_kind kind, bool listing) {
  uint64_t now = now_of(c);
  if (c->listings[kind]) return false;
  if (c->fetching[kind])
    return now - c->asked_at[kind] > c->server->host->settings.start_timeout_ms;
  return !listing && now < c->backoff_until[kind];
}

/* --- fetching --- */

/* All pages of one list, one after the other. done gets the listing (its reference) or NULL. */
struct fetch {
  struct ln_session *session; /* counted; NULL for a shared upstream session's own */
  struct ln_link *link;       /* who began it: compared, never followed; it may have gone */
  struct ln_listing *listing;
  struct ln_bytes *cursor;
  const struct ln_session
      *asker;     /* on whose list's behalf; compared only. NULL: a change was told */
  bool restarted; /* the server was started again: what others were shown is out of date for all */
  void (*done)(struct fetch *f, struct ln_listing *listing, const char *why);
  struct ln_index *index; /* counted */
  void (*changed)(void *arg, bool differs);
  void *arg;
};

static void fetch_page(struct fetch *f, struct ln_link *link, struct ln_str cursor);

/* Its session with the server now: a request may have been moved to a fresh one. */
static struct ln_link *carrier(const struct fetch *f) {
  struct ln_server *server = f->index->server;
  return f->session ? ln_session_link(f->session, server) : server->shared;
}

static void fetch_end(struct fetch *f, const char *why) {
  struct ln_listing *sh = f->listing;
  f->listing = NULL;
  if (why) {
    ln_listing_unref(sh);
    sh = NULL;
  }
  f->done(f, sh, why);
  ln_index_unref(f->index);
  ln_bytes_unref(f->cursor);
  if (f->session) ln_session_unref(f->session);
  free(f);
}

/* True when a page before the last one led to the same cursor: the list goes round. */
static bool comes_again(const struct ln_listing *sh, struct ln_str cursor) {
  struct ln_json_item it;
  for (size_t i = 0; i + 1 < sh->n_pages; i++)
    if (ln_json_get(sh->pages[i]->result, "nextCursor", &it) && ln_str_eq(it.value, cursor))
      return true;
  return false;
}

static void fetch_reply(void *arg, struct ln_msg *reply) {
  struct fetch *f = arg;
  struct ln_json_item it;
  char why[LN_WHY_MAX + 128];
  if (reply->kind == LN_MSG_ERROR) {
    bool none = ln_json_get(reply->error, "code", &it) && ln_str_is(it.value, "-32601");
    ln_msg_error_words(reply, why, sizeof why);
    ln_msg_unref(reply);
    /* A server that promises a capability and lacks the method has an empty list. */
    fetch_end(f, none ? NULL : why);
    return;
  }
  int rc = ln_listing_add(f->listing, reply);
  bool more = !rc && ln_json_get(reply->result, "nextCursor", &it) && it.type == LN_JSON_STRING;
  if (!more) {
    ln_msg_unref(reply);
    snprintf(why, sizeof why, "its list is unusable: %s", ln_err_text(rc));
    fetch_end(f, rc ? why : NULL);
    return;
  }
  if (comes_again(f->listing, it.value) || f->listing->n_pages >= MAX_PAGES) {
    LN_LOG(f->listing->server->host->log, WARN, f->listing->server->conf->name,
           "its %s has pages without end: stopped after %zu",
           ln_kind_rows[f->listing->kind].list_method, f->listing->n_pages);
    ln_msg_unref(reply);
    fetch_end(f, NULL);
    return;
  }
  ln_bytes_unref(f->cursor);
  f->cursor = ln_bytes_copy(it.value.p, it.value.n);
  ln_msg_unref(reply);
  struct ln_link *link = carrier(f);
  if (f->cursor && link)
    fetch_page(f, link, (struct ln_str){f->cursor->data, f->cursor->len});
  else
    fetch_end(f, link ? "out of memory" : "the connection was closed");
}

static void fetch_page(struct fetch *f, struct ln_link *link, struct ln_str cursor) {
  struct ln_buf params;
  ln_buf_init(&params, SIZE_MAX / 2);
  struct ln_msg *m = NULL;
  int rc = LN_OK;
  if (cursor.p) rc = ln_buf_printf(&params, "{\"cursor\":%.*s}", LN_STR_ARG(cursor));
  if (!rc)
    m = ln_msg_request(ln_kind_rows[f->listing->kind].list_method,
                       cursor.p ? ln_buf_str(&params) : LN_STR_NONE);
  struct ln_call *r = m ? ln_link_request(link, m, LN_STR_NONE, NULL, NULL, fetch_reply, f) : NULL;
  ln_msg_unref(m);
  ln_buf_deinit(&params);
  if (!r) fetch_end(f, "out of memory");
}

static struct fetch *fetch_new(struct ln_index *c, enum ln_kind kind, struct ln_link *link,
                               void (*done)(struct fetch *, struct ln_listing *, const char *)) {
  struct fetch *f = calloc(1, sizeof *f);
  if (f) f->listing = ln_listing_new(c->server, kind);
  if (!f || !f->listing) {
    free(f);
    return NULL;
  }
  f->link = link;
  f->restarted = link->again;
  f->session = link->owner ? ln_session_ref(link->owner) : NULL;
  f->index = ln_index_ref(c);
  f->done = done;
  return f;
}

/* --- a list for a session --- */

/* Somebody who waits: for a server to be ready, then for its list. */
struct waiter {
  struct ln_watcher watch;    /* first step */
  struct ln_list link;        /* second step: in index->fetches */
  struct ln_session *session; /* counted */
  struct ln_server *server;
  enum ln_kind kind;
  bool again; /* a fetch by another session failed under us; once */
  ln_listing_fn fn;
  void *arg;
};

static void waiter_end(struct waiter *w, struct ln_listing *listing, const char *why) {
  ln_listing_fn fn = w->fn;
  void *arg = w->arg;
  struct ln_session *s = w->session;
  free(w);
  fn(arg, listing, why);
  ln_session_unref(s);
}

static void waiter_go(struct waiter *w);

static void tell_waiters(struct ln_index *c, enum ln_kind kind, struct ln_session *fetcher,
                         const char *why) {
  struct ln_list list, *l;
  ln_list_init(&list);
  while ((l = ln_list_shift(&c->fetches[kind]))) ln_list_push(&list, l);
  while ((l = ln_list_shift(&list))) {
    struct waiter *w = LN_CONTAINER(l, struct waiter, link);
    if (c->listings[kind]) {
      waiter_end(w, c->listings[kind], NULL);
    } else if (w->session != fetcher && !w->again) {
      w->again = true;
      waiter_go(w);
    } else {
      waiter_end(w, NULL, why);
    }
  }
}

static int fetch_start(struct ln_index *c, enum ln_kind kind, struct ln_link *link);

static void first_fetched(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *c = f->index;
  enum ln_kind kind = LN_KINDS;
  for (int k = 0; k < LN_KINDS; k++)
    if (f->arg == &c->fetches[k]) kind = (enum ln_kind)k;
  c->fetching[kind] = false;
  struct ln_session *s = f->session;
  struct ln_link *link = listing && c->stale[kind] ? carrier(f) : NULL;
  c->stale[kind] = false;
  if (link && link->state == LN_LINK_READY && fetch_start(c, kind, link) == LN_OK) {
    ln_listing_unref(listing);
    return;
  }
  c->listings[kind] = listing;
  /* As long again as it took, at least a second. */
  c->backoff_until[kind] = listing ? 0 : now_of(c) + LN_MAX(now_of(c) - c->asked_at[kind], REST_MS);
  if (!listing)
    LN_LOG(c->server->host->log, ERROR, c->server->conf->name, "%s failed: %s",
           ln_kind_rows[kind].list_method, why);
  tell_waiters(c, kind, s, why);
}

static int fetch_start(struct ln_index *c, enum ln_kind kind, struct ln_link *link) {
  struct fetch *f = fetch_new(c, kind, link, first_fetched);
  if (!f) return LN_ENOMEM;
  f->arg = &c->fetches[kind];
  c->fetching[kind] = true;
  c->asked_at[kind] = now_of(c);
  fetch_page(f, link, LN_STR_NONE);
  return LN_OK;
}

/* With a index at hand: from the index, or wait for the fetch. */
static void waiter_go(struct waiter *w) {
  struct ln_session *s = w->session;
  struct ln_index *c = ln_session_index(s, w->server);
  enum ln_kind kind = w->kind;
  if (s->state == LN_SESSION_GONE || !c) {
    waiter_end(w, NULL, "the session has ended");
    return;
  }
  if (!c->listings[kind] && !ln_index_offers(c, kind))
    c->listings[kind] = ln_listing_new(c->server, kind);
  if (c->listings[kind]) {
    waiter_end(w, c->listings[kind], NULL);
    return;
  }
  if (c->fetching[kind]) {
    ln_list_push(&c->fetches[kind], &w->link);
    return;
  }
  const char *why = "out of memory";
  struct ln_link *link = ln_pool_link(s, w->server, &why);
  if (!link) {
    waiter_end(w, NULL, why);
    return;
  }
  ln_list_push(&c->fetches[kind], &w->link);
  if (fetch_start(c, kind, link)) {
    ln_list_remove(&w->link);
    waiter_end(w, NULL, "out of memory");
  }
}

static void server_ready(struct ln_watcher *watch, struct ln_link *link, bool ready,
                         const char *why) {
  struct waiter *w = LN_CONTAINER(watch, struct waiter, watch);
  if (!ready) {
    waiter_end(w, NULL, why);
    return;
  }
  struct ln_session *s = w->session;
  if (!ln_session_index(s, w->server) && s->state != LN_SESSION_GONE &&
      ln_session_set_index(s, w->server, link->index)) {
    waiter_end(w, NULL, "out of memory");
    return;
  }
  waiter_go(w);
}

void ln_fetch_listing(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                      ln_listing_fn fn, void *arg) {
  struct ln_index *c = ln_session_index(s, server);
  if (c && c->listings[kind]) { /* the common case allocates nothing */
    fn(arg, c->listings[kind], NULL);
    return;
  }
  struct waiter *w = calloc(1, sizeof *w);
  if (!w) {
    fn(arg, NULL, "out of memory");
    return;
  }
  *w = (struct waiter){.session = ln_session_ref(s),
                       .server = server,
                       .kind = kind,
                       .fn = fn,
                       .arg = arg,
                       .watch.fn = server_ready};
  ln_list_init(&w->link);
  ln_list_init(&w->watch.link);
  if (c) {
    waiter_go(w);
    return;
  }
  const char *why = server->last_error;
  struct ln_link *link = ln_server_in_backoff(server) ? NULL : ln_pool_link(s, server, &why);
  if (link)
    ln_link_watch(link, &w->watch);
  else
    waiter_end(w, NULL, why);
}

/* --- changes --- */

/* A index like c, of one session alone. */
static struct ln_index *index_fork(const struct ln_index *c) {
  struct ln_index *own = index_alloc(c->server, c->offered, c->hello);
  if (!own) return NULL;
  own->own = true;
  for (int k = 0; k < LN_KINDS; k++) {
    own->listings[k] = c->listings[k] ? ln_listing_ref(c->listings[k]) : NULL;
    own->asked_at[k] = c->asked_at[k];
  }
  return own;
}

/* The sessions that share c and have none with the server itself, where the change was told: they
 * hear of it, and share next from now on. */
static void tell_unconnected(struct ln_index *c, enum ln_kind kind, struct ln_index *next,
                             const struct ln_session *but) {
  struct ln_server *server = c->server;
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    const struct ln_link *link = ln_session_link(s, server);
    if (s == but || ln_session_index(s, server) != c || (link && link->state == LN_LINK_READY))
      continue;
    if (next == c || ln_session_set_index(s, server, next) == LN_OK)
      ln_router_unheard(s, server, kind);
  }
}

/* An HTTP server is one for all its sessions: what one of them heard may be true of every other.
 * Shared lists that differ from what it lists now are asked for anew by whoever lists next. */
static void forget_differing(struct ln_server *server, const struct ln_listing *listing) {
  struct ln_list all, *l;
  ln_list_init(&all);
  while ((l = ln_list_shift(&server->indexes))) ln_list_push(&all, l);
  while ((l = ln_list_shift(&all))) {
    struct ln_index *c = LN_CONTAINER(l, struct ln_index, link);
    ln_list_push(&server->indexes, l);
    const struct ln_listing *known = c->listings[listing->kind];
    struct ln_index *next = known && !ln_listing_same(known, listing) ? index_fork(c) : NULL;
    if (!next) continue;
    next->own = false;
    ln_listing_unref(next->listings[listing->kind]);
    next->listings[listing->kind] = NULL;
    ln_list_remove(l); /* its reference is ours now */
    ln_list_push(&server->indexes, &next->link);
    tell_unconnected(c, listing->kind, next, NULL);
    ln_index_unref(c);
  }
}

static void refetched(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *c = f->index;
  struct ln_server *server = c->server;
  struct ln_session *s = f->session;
  struct ln_index *now = s ? ln_session_index(s, server) : NULL;
  if (now && now->own) c = now; /* by another list's change, meanwhile */
  bool differs = false;
  if (!listing) {
    LN_LOG(server->host->log, WARN, server->conf->name, "a changed list can't be had: %s", why);
  } else if (c->listings[listing->kind] && ln_listing_same(c->listings[listing->kind], listing)) {
    ln_listing_unref(listing);
  } else {
    differs = true;
    bool everybody = !s || f->asker || c->maker == f->link || c->own;
    if (!everybody && s->state != LN_SESSION_GONE && now == c) {
      struct ln_index *own = index_fork(c);
      if (own && ln_session_set_index(s, server, own) == LN_OK) c = own;
      ln_index_unref(own); /* the session's now */
      if (f->restarted && !server->pool) ln_index_retire(f->index);
    }
    ln_listing_unref(c->listings[listing->kind]);
    c->listings[listing->kind] = listing;
    if (server->pool && (s || f->asker)) {
      if (!c->own) tell_unconnected(c, listing->kind, c, f->asker);
      forget_differing(server, listing);
    }
  }
  f->changed(f->arg, differs);
}

void ln_fetch_changed(struct ln_link *link, enum ln_kind kind,
                      void (*done)(void *arg, bool differs), void *arg) {
  struct ln_index *c = link->owner ? ln_session_index(link->owner, link->server) : link->index;
  if (!c || (!c->listings[kind] && !c->fetching[kind])) {
    done(arg, true);
    return;
  }
  if (c->fetching[kind]) {
    c->stale[kind] = true;
    done(arg, true);
    return;
  }
  struct fetch *f = fetch_new(c, kind, link, refetched);
  if (!f) {
    done(arg, true);
    return;
  }
  f->changed = done;
  f->arg = arg;
  fetch_page(f, link, LN_STR_NONE);
}

/* --- changes that nobody tells --- */

static bool told_of_changes(const struct ln_index *c, enum ln_kind kind) {
  struct ln_json_item of, told;
  if (!ln_capability(c->capabilities, ln_kind_rows[kind].capability, &of) ||
      !ln_json_get(of.value, "listChanged", &told) || !ln_str_is(told.value, "true"))
    return false;
  LN_LIST_EACH(l, &c->server->links) {
    const struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
    if (link->state == LN_LINK_READY && !link->channel->deaf) return true;
  }
  return false;
}

bool ln_fetch_again(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    void (*done)(void *arg, bool differs), void *arg) {
  struct ln_index *c = ln_session_index(s, server);
  if (!server->pool || !c || !c->listings[kind] || !c->listings[kind]->n_pages ||
      c->fetching[kind] || now_of(c) - c->asked_at[kind] < server->host->settings.list_max_age_ms ||
      told_of_changes(c, kind) || ln_server_in_backoff(server))
    return false;
  const char *why;
  struct ln_link *link = ln_pool_link(s, server, &why);
  struct fetch *f = link ? fetch_new(c, kind, link, refetched) : NULL;
  if (!f) return false;
  f->asker = s;
  f->changed = done;
  f->arg = arg;
  c->asked_at[kind] = now_of(c);
  fetch_page(f, link, LN_STR_NONE);
  return true;
}
