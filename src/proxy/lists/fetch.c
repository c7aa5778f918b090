/* Fetching lists; see fetch.h. */
#include "proxy/lists/fetch.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_PAGES = 1000, BACKOFF_MS = 1000 };

static uint64_t now_of(const struct ln_index *index) {
  return ln_loop_now(index->server->host->loop);
}

/* --- all pages of one list, one after the other --- */

struct fetch {
  struct ln_session *session; /* counted; NULL: in a link that is shared */
  uint64_t link;              /* the serial of the one that began it, which may have gone */
  enum ln_kind kind;
  struct ln_listing *listing; /* so far */
  struct ln_bytes *cursor;
  uint64_t asker; /* the key of the session on whose list's behalf; 0: a change was told */
  bool restarted; /* the server was started again: what others were shown is out of date for all */
  /* Gets the listing (its reference), or NULL with why. */
  void (*done)(struct fetch *f, struct ln_listing *listing, const char *why);
  struct ln_index *index; /* counted */
  ln_fetched_fn changed;
  void *arg;
};

static void fetch_page(struct fetch *f, struct ln_link *link, struct ln_str cursor);

/* The link to go on in: a call may have been moved to a fresh one. */
static struct ln_link *carrier(const struct fetch *f) {
  struct ln_server *server = f->index->server;
  return f->session ? ln_pool_current(f->session, server) : server->shared;
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
  if (cursor.p) ln_buf_printf(&params, "{\"cursor\":%.*s}", LN_STR_ARG(cursor));
  struct ln_msg *m = ln_buf_error(&params)
                         ? NULL
                         : ln_msg_request(ln_kind_rows[f->listing->kind].list_method,
                                          cursor.p ? ln_buf_str(&params) : LN_STR_NONE);
  struct ln_call *r = m ? ln_link_request(link, m, fetch_reply, f) : NULL;
  ln_msg_unref(m);
  ln_buf_deinit(&params);
  if (!r) fetch_end(f, "out of memory");
}

static struct fetch *fetch_new(struct ln_index *index, enum ln_kind kind, struct ln_link *link,
                               void (*done)(struct fetch *, struct ln_listing *, const char *)) {
  struct fetch *f = calloc(1, sizeof *f);
  if (f) f->listing = ln_listing_new(index->server, kind);
  if (!f || !f->listing) {
    free(f);
    return NULL;
  }
  f->link = link->serial;
  f->kind = kind;
  f->restarted = link->again;
  f->session = link->owner ? ln_session_ref(link->owner) : NULL;
  f->index = ln_index_ref(index);
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

static void tell_waiters(struct ln_index *index, enum ln_kind kind, struct ln_session *fetcher,
                         const char *why) {
  struct ln_list list, *l;
  ln_list_init(&list);
  while ((l = ln_list_shift(&index->fetches[kind]))) ln_list_push(&list, l);
  while ((l = ln_list_shift(&list))) {
    struct waiter *w = LN_CONTAINER(l, struct waiter, link);
    if (index->listings[kind]) {
      waiter_end(w, index->listings[kind], NULL);
    } else if (w->session != fetcher && !w->again) {
      w->again = true;
      waiter_go(w);
    } else {
      waiter_end(w, NULL, why);
    }
  }
}

static int fetch_start(struct ln_index *index, enum ln_kind kind, struct ln_link *link);

static void first_fetched(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *index = f->index;
  enum ln_kind kind = f->kind;
  index->fetching[kind] = false;
  struct ln_session *s = f->session;
  struct ln_link *link = listing && index->stale[kind] ? carrier(f) : NULL;
  index->stale[kind] = false;
  if (link && ln_link_ready(link) && fetch_start(index, kind, link) == LN_OK) {
    ln_listing_unref(listing);
    return;
  }
  index->listings[kind] = listing;
  /* As long again as it took, at least a second. */
  index->backoff_until[kind] =
      listing ? 0 : now_of(index) + LN_MAX(now_of(index) - index->asked_at[kind], BACKOFF_MS);
  if (!listing)
    LN_LOG(index->server->host->log, ERROR, index->server->conf->name, "%s failed: %s",
           ln_kind_rows[kind].list_method, why);
  tell_waiters(index, kind, s, why);
}

static int fetch_start(struct ln_index *index, enum ln_kind kind, struct ln_link *link) {
  struct fetch *f = fetch_new(index, kind, link, first_fetched);
  if (!f) return LN_ENOMEM;
  index->fetching[kind] = true;
  index->asked_at[kind] = now_of(index);
  fetch_page(f, link, LN_STR_NONE);
  return LN_OK;
}

/* With a index at hand: from the index, or wait for the fetch. */
static void waiter_go(struct waiter *w) {
  struct ln_session *s = w->session;
  struct ln_index *index = ln_index_of(s, w->server);
  enum ln_kind kind = w->kind;
  if (s->state == LN_SESSION_GONE || !index) {
    waiter_end(w, NULL, "the session has ended");
    return;
  }
  if (!index->listings[kind] && !ln_index_offers(index, kind))
    index->listings[kind] = ln_listing_new(index->server, kind);
  if (index->listings[kind]) {
    waiter_end(w, index->listings[kind], NULL);
    return;
  }
  if (index->fetching[kind]) {
    ln_list_push(&index->fetches[kind], &w->link);
    return;
  }
  const char *why = "out of memory";
  struct ln_link *link = ln_pool_link(s, w->server, &why);
  if (!link) {
    waiter_end(w, NULL, why);
    return;
  }
  ln_list_push(&index->fetches[kind], &w->link);
  if (fetch_start(index, kind, link)) {
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
  if (!ln_index_of(s, w->server) && s->state != LN_SESSION_GONE &&
      ln_index_set(s, w->server, link->index)) {
    waiter_end(w, NULL, "out of memory");
    return;
  }
  waiter_go(w);
}

void ln_fetch_listing(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                      ln_listing_fn fn, void *arg) {
  struct ln_index *index = ln_index_of(s, server);
  if (index && index->listings[kind]) { /* the common case allocates nothing */
    fn(arg, index->listings[kind], NULL);
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
  if (index) {
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

/* The sessions that share index and have no open link with the server, where the change was told:
 * they hear of it, and share next from now on. but: the key of one that knows; 0: none. */
static void tell_unconnected(struct ln_index *index, enum ln_kind kind, struct ln_index *next,
                             uint64_t but) {
  struct ln_server *server = index->server;
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    const struct ln_pool_slot *slot = ln_pool_find(s, server);
    bool hears = !slot || slot->index != index || (slot->link && ln_link_ready(slot->link));
    if (hears || s->key == but) continue;
    if (next == index || ln_index_set(s, server, next) == LN_OK)
      server->host->list_changed(s, server, kind);
  }
}

/* An HTTP server is one for all its sessions: what one of them heard may be true of every other.
 * Shared lists that differ from what it lists now are asked for anew by whoever lists next. */
static void forget_differing(struct ln_server *server, const struct ln_listing *listing) {
  enum ln_kind kind = listing->kind;
  LN_LIST_EACH(l, &server->indexes) {
    struct ln_index *index = LN_CONTAINER(l, struct ln_index, link);
    const struct ln_listing *known = index->listings[kind];
    struct ln_index *next = known && !ln_listing_same(known, listing) ? ln_index_fork(index) : NULL;
    if (!next) continue;
    ln_listing_unref(next->listings[kind]);
    next->listings[kind] = NULL;
    ln_index_ref(index);
    ln_index_replace(index, next);
    tell_unconnected(index, kind, next, 0);
    ln_index_unref(next);
    ln_index_unref(index);
  }
}

static void refetched(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *index = f->index;
  struct ln_server *server = index->server;
  struct ln_session *s = f->session;
  struct ln_index *now = s ? ln_index_of(s, server) : NULL;
  if (now && now->own) index = now; /* by another list's change, meanwhile */
  bool differs = false;
  if (!listing) {
    LN_LOG(server->host->log, WARN, server->conf->name, "a changed list can't be had: %s", why);
  } else if (index->listings[listing->kind] &&
             ln_listing_same(index->listings[listing->kind], listing)) {
    ln_listing_unref(listing);
  } else {
    differs = true;
    bool everybody = !s || f->asker || index->maker == f->link || index->own;
    if (!everybody && s->state != LN_SESSION_GONE && now == index) {
      struct ln_index *own = ln_index_fork(index);
      if (own && ln_index_set(s, server, own) == LN_OK) index = own;
      ln_index_unref(own); /* the session's now */
      if (f->restarted && !server->pool) ln_index_retire(f->index);
    }
    ln_listing_unref(index->listings[listing->kind]);
    index->listings[listing->kind] = listing;
    if (server->pool && (s || f->asker)) {
      if (!index->own) tell_unconnected(index, listing->kind, index, f->asker);
      forget_differing(server, listing);
    }
  }
  f->changed(f->arg, differs);
}

void ln_fetch_changed(struct ln_link *link, enum ln_kind kind, ln_fetched_fn done, void *arg) {
  struct ln_index *index = ln_index_of_link(link);
  if (!index || (!index->listings[kind] && !index->fetching[kind])) {
    done(arg, true);
    return;
  }
  if (index->fetching[kind]) {
    index->stale[kind] = true;
    done(arg, true);
    return;
  }
  struct fetch *f = fetch_new(index, kind, link, refetched);
  if (!f) {
    done(arg, true);
    return;
  }
  f->changed = done;
  f->arg = arg;
  fetch_page(f, link, LN_STR_NONE);
}

/* --- changes that nobody tells --- */

static bool told_of_changes(const struct ln_index *index, enum ln_kind kind) {
  struct ln_json_item of, told;
  if (!ln_capability(index->capabilities, ln_kind_rows[kind].capability, &of) ||
      !ln_json_get(of.value, "listChanged", &told) || !ln_str_is(told.value, "true"))
    return false;
  LN_LIST_EACH(l, &index->server->links) {
    const struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
    if (ln_link_ready(link) && !link->calls.channel->deaf) return true;
  }
  return false;
}

bool ln_fetch_again(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    ln_fetched_fn done, void *arg) {
  struct ln_index *index = ln_index_of(s, server);
  if (!server->pool || !index || !index->listings[kind] || !index->listings[kind]->n_pages ||
      index->fetching[kind] ||
      now_of(index) - index->asked_at[kind] < server->host->settings.list_max_age_ms ||
      told_of_changes(index, kind) || ln_server_in_backoff(server))
    return false;
  const char *why;
  struct ln_link *link = ln_pool_link(s, server, &why);
  struct fetch *f = link ? fetch_new(index, kind, link, refetched) : NULL;
  if (!f) return false;
  f->asker = s->key;
  f->changed = done;
  f->arg = arg;
  index->asked_at[kind] = now_of(index);
  fetch_page(f, link, LN_STR_NONE);
  return true;
}
