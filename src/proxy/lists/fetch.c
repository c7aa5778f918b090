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
  uint64_t link;              /* the serial of the link that it began in */
  enum ln_kind kind;
  struct ln_listing *listing; /* so far */
  struct ln_bytes *cursor;
  uint64_t asker; /* the key of the session whose list request caused it; 0: list_changed did */
  bool restarted; /* the server was started again: the shared list is out of date for all */
  bool repeated;  /* the list changed while it was being fetched the time before */
  /* Gets the listing (its reference), or NULL with why. */
  void (*done)(struct fetch *f, struct ln_listing *listing, const char *why);
  struct ln_index *index; /* counted */
  ln_fetched_fn changed;
  void *arg;
};

static void fetch_page(struct fetch *f, struct ln_link *link, struct ln_str cursor);

/* The link for the next page: the last call may have been moved to a new one. */
static struct ln_link *link_of(const struct fetch *f) {
  struct ln_server *server = f->index->server;
  return f->session ? ln_pool_current(f->session, server) : server->shared;
}

static void fetch_end(struct fetch *f, const char *why) {
  struct ln_listing *list = f->listing;
  f->listing = NULL;
  if (why) {
    ln_listing_unref(list);
    list = NULL;
  }
  f->done(f, list, why);
  ln_index_unref(f->index);
  ln_bytes_unref(f->cursor);
  if (f->session) ln_session_unref(f->session);
  free(f);
}

/* True when an earlier page had the same nextCursor, so that the list would never end. */
static bool cursor_repeats(const struct ln_listing *list, struct ln_str cursor) {
  struct ln_json_item it;
  for (size_t i = 0; i + 1 < list->n_pages; i++)
    if (ln_json_get(list->pages[i]->result, "nextCursor", &it) && ln_str_eq(it.value, cursor))
      return true;
  return false;
}

/* Our words on a line of their own: who asked for something else than the list gets only those. An
 * error that Lunette itself has made (its id is 0, which no call's is) has no others. */
static void refusal_words(const struct ln_msg *reply, char *out, size_t size) {
  struct ln_json_item code;
  bool has = ln_json_get(reply->error, "code", &code), ours = ln_str_is(reply->id, "0");
  int n = 0;
  if (!ours)
    n = snprintf(out, size, "its list is refused (error %.*s)\n", has ? (int)code.value.n : 1,
                 has ? code.value.p : "?");
  if (n >= 0 && (size_t)n < size) ln_msg_error_words(reply, out + n, size - (size_t)n);
}

static void fetch_reply(void *arg, struct ln_msg *reply) {
  struct fetch *f = arg;
  struct ln_json_item it;
  char why[LN_WHY_MAX + 128];
  if (reply->kind == LN_MSG_ERROR) {
    bool none = ln_json_get(reply->error, "code", &it) && ln_str_is(it.value, "-32601");
    refusal_words(reply, why, sizeof why);
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
  if (cursor_repeats(f->listing, it.value) || f->listing->n_pages >= MAX_PAGES) {
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
  struct ln_link *link = link_of(f);
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
  f->restarted = link->after_loss;
  f->session = link->owner ? ln_session_ref(link->owner) : NULL;
  f->index = ln_index_ref(index);
  f->done = done;
  return f;
}

/* --- a list for a session --- */

static void waiter_end(struct ln_fetch_wait *w, struct ln_listing *listing, const char *why) {
  struct ln_session *s = w->session;
  w->fn(w->arg, listing, why); /* w may be gone by now */
  ln_session_unref(s);
}

void ln_fetch_forget(struct ln_fetch_wait *w) {
  ln_link_unwatch(&w->watch);
  ln_list_remove(&w->link);
  ln_session_unref(w->session);
}

static void waiter_proceed(struct ln_fetch_wait *w);

static void end_waiters(struct ln_index *index, enum ln_kind kind, struct ln_listing *listing,
                        struct ln_session *fetcher, const char *why) {
  struct ln_list list, *l;
  ln_list_init(&list);
  ln_list_move(&list, &index->fetches[kind]);
  while ((l = ln_list_shift(&list))) {
    struct ln_fetch_wait *w = LN_CONTAINER(l, struct ln_fetch_wait, link);
    if (listing) {
      waiter_end(w, listing, NULL);
    } else if (w->session != fetcher && !w->retried) {
      w->retried = true;
      waiter_proceed(w);
    } else {
      waiter_end(w, NULL, why);
    }
  }
}

static int fetch_start(struct ln_index *index, enum ln_kind kind, struct ln_link *link,
                       bool repeated);

static void on_first_fetched(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *index = f->index;
  enum ln_kind kind = f->kind;
  index->fetching[kind] = false;
  struct ln_session *s = f->session;
  struct ln_link *link = listing && index->stale[kind] ? link_of(f) : NULL;
  index->stale[kind] = false;
  if (link && ln_link_ready(link) && fetch_start(index, kind, link, true) == LN_OK) {
    /* Some servers say so whenever they are asked: then who waits gets what there is. */
    if (f->repeated) end_waiters(index, kind, listing, s, NULL);
    ln_listing_unref(listing);
    return;
  }
  index->listings[kind] = listing;
  /* As long as the fetch took, at least a second. */
  index->backoff_until[kind] =
      listing ? 0 : now_of(index) + LN_MAX(now_of(index) - index->asked_at[kind], BACKOFF_MS);
  if (!listing)
    LN_LOG(index->server->host->log, ERROR, index->server->conf->name, "%s failed: %s",
           ln_kind_rows[kind].list_method, why);
  end_waiters(index, kind, listing, s, why);
}

static int fetch_start(struct ln_index *index, enum ln_kind kind, struct ln_link *link,
                       bool repeated) {
  struct fetch *f = fetch_new(index, kind, link, on_first_fetched);
  if (!f) return LN_ENOMEM;
  f->repeated = repeated;
  index->fetching[kind] = true;
  index->asked_at[kind] = now_of(index);
  fetch_page(f, link, LN_STR_NONE);
  return LN_OK;
}

/* The session has an index: answers from it, or waits for a fetch. */
static void waiter_proceed(struct ln_fetch_wait *w) {
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
  if (fetch_start(index, kind, link, false)) {
    ln_list_remove(&w->link);
    waiter_end(w, NULL, "out of memory");
  }
}

static void server_ready(struct ln_watcher *watch, struct ln_link *link, bool ready,
                         const char *why) {
  struct ln_fetch_wait *w = LN_CONTAINER(watch, struct ln_fetch_wait, watch);
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
  waiter_proceed(w);
}

void ln_fetch_listing(struct ln_fetch_wait *w, struct ln_session *s, struct ln_server *server,
                      enum ln_kind kind, ln_listing_fn fn, void *arg) {
  struct ln_index *index = ln_index_of(s, server);
  if (index && index->listings[kind]) { /* the common case */
    fn(arg, index->listings[kind], NULL);
    return;
  }
  *w = (struct ln_fetch_wait){.session = ln_session_ref(s),
                              .server = server,
                              .kind = kind,
                              .fn = fn,
                              .arg = arg,
                              .watch.fn = server_ready};
  ln_list_init(&w->link);
  ln_list_init(&w->watch.link);
  if (index) {
    waiter_proceed(w);
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

/* Tells the sessions that share index and got no list_changed, as they have no open link with the
 * server; they share next from now on. but: the key of a session that needn't be told; 0: none. */
static void notify_unconnected(struct ln_index *index, enum ln_kind kind, struct ln_index *next,
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

/* One HTTP server serves all sessions, so a list that changed for one may have changed for all:
 * shared indexes with another list are replaced by copies without it, to be fetched when needed. */
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
    notify_unconnected(index, kind, next, 0);
    ln_index_unref(next);
    ln_index_unref(index);
  }
}

static void on_fetched_again(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *index = f->index;
  struct ln_server *server = index->server;
  struct ln_session *s = f->session;
  struct ln_index *now = s ? ln_index_of(s, server) : NULL;
  if (now && now->own) index = now; /* it got its own index meanwhile */
  bool differs = false;
  if (!listing) {
    LN_LOG(server->host->log, WARN, server->conf->name, "a changed list could not be fetched: %s",
           why);
  } else if (index->listings[listing->kind] &&
             ln_listing_same(index->listings[listing->kind], listing)) {
    ln_listing_unref(listing);
  } else {
    differs = true;
    bool everybody = !s || f->asker || index->fetched_by == f->link || index->own;
    if (!everybody && s->state != LN_SESSION_GONE && now == index) {
      struct ln_index *own = ln_index_fork(index);
      if (own && ln_index_set(s, server, own) == LN_OK) index = own;
      ln_index_unref(own); /* the session's now */
      if (f->restarted && !server->pool) ln_index_retire(f->index);
    }
    ln_listing_unref(index->listings[listing->kind]);
    index->listings[listing->kind] = listing;
    if (server->pool && (s || f->asker)) {
      if (!index->own) notify_unconnected(index, listing->kind, index, f->asker);
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
  struct fetch *f = fetch_new(index, kind, link, on_fetched_again);
  if (!f) {
    done(arg, true);
    return;
  }
  f->changed = done;
  f->arg = arg;
  fetch_page(f, link, LN_STR_NONE);
}

/* --- changes that are not announced --- */

/* True when the server announces changes and some link with it can receive them. */
static bool hears_changes(const struct ln_index *index, enum ln_kind kind) {
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

struct joiner {
  struct ln_list link;
  ln_fetched_fn done;
  void *arg;
};

static bool join(struct ln_index *index, enum ln_kind kind, ln_fetched_fn done, void *arg) {
  struct joiner *j = malloc(sizeof *j);
  if (!j) return false;
  *j = (struct joiner){.done = done, .arg = arg};
  ln_list_init(&j->link);
  ln_list_push(&index->joined[kind], &j->link);
  return true;
}

static void on_asked_again(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *index = f->index;
  struct ln_list list, *l;
  index->asking[f->kind] = false;
  ln_list_init(&list);
  ln_list_move(&list, &index->joined[f->kind]);
  on_fetched_again(f, listing, why);
  while ((l = ln_list_shift(&list))) {
    struct joiner *j = LN_CONTAINER(l, struct joiner, link);
    j->done(j->arg, false); /* who began it has heard of changes */
    free(j);
  }
}

/* True when what is indexed of a server that runs is older than list_max_age. */
static bool is_old(const struct ln_index *index, enum ln_kind kind) {
  return index && index->listings[kind] && index->listings[kind]->n_pages &&
         !index->fetching[kind] &&
         now_of(index) - index->asked_at[kind] >= index->server->host->settings.list_max_age_ms &&
         !ln_server_in_backoff(index->server);
}

static bool fetch_again(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                        ln_fetched_fn done, void *arg) {
  struct ln_index *index = ln_index_of(s, server);
  const char *why;
  struct ln_link *link = ln_pool_link(s, server, &why);
  struct fetch *f = link ? fetch_new(index, kind, link, on_asked_again) : NULL;
  if (!f) return false;
  index->asking[kind] = true;
  f->asker = server->pool ? s->key : 0; /* what a child lists for one client is that one's alone */
  f->changed = done;
  f->arg = arg;
  index->asked_at[kind] = now_of(index);
  fetch_page(f, link, LN_STR_NONE);
  return true;
}

bool ln_fetch_again(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    ln_fetched_fn done, void *arg) {
  const struct ln_index *index = ln_index_of(s, server);
  return server->pool && is_old(index, kind) && !hears_changes(index, kind) &&
         fetch_again(s, server, kind, done, arg);
}

bool ln_fetch_older(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    ln_fetched_fn done, void *arg) {
  struct ln_index *index = ln_index_of(s, server);
  if (index && index->asking[kind]) return join(index, kind, done, arg);
  return is_old(index, kind) && fetch_again(s, server, kind, done, arg);
}
