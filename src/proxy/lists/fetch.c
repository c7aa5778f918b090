/* Fetching lists; see fetch.h. */
#include "proxy/lists/fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/lists/share.h"

enum { MAX_PAGES = 1000 };

static uint64_t now_of(const struct ln_index *index) {
  return ln_loop_now(index->server->host->loop);
}

/* --- all pages of one list, one after the other --- */

struct fetch {
  struct ln_session *session; /* counted; NULL: in a link that is shared */
  enum ln_kind kind;
  struct ln_listing *listing; /* so far */
  struct ln_bytes *cursor;
  uint64_t asker; /* the key of the session whose list request caused it; 0: list_changed did */
  bool announced; /* the server said that it has changed */
  bool repeated;  /* the list changed while it was being fetched the time before */
  struct ln_session *other; /* counted: the client that was told something else; or NULL */
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
  ln_session_unref(f->other);
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
  f->kind = kind;
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

static void waiter_start(struct ln_fetch_wait *w);

/* Each gets what its own session has now: the fetch may have been in a session that has used
 * something since, and was that one's alone. Why it failed is told in the server's words to the
 * session in whose link it was; to others in ours, which are the first line. */
static void end_waiters(struct ln_index *index, enum ln_kind kind, struct ln_session *fetcher,
                        const char *why) {
  struct ln_list list, *l;
  char ours[LN_WHY_MAX];
  snprintf(ours, sizeof ours, "%.*s", why ? (int)strcspn(why, "\n") : 0, why ? why : "");
  ln_list_init(&list);
  ln_list_move(&list, &index->fetches[kind]);
  while ((l = ln_list_shift(&list))) {
    struct ln_fetch_wait *w = LN_CONTAINER(l, struct ln_fetch_wait, link);
    const struct ln_index *its = ln_index_of(w->session, w->server);
    if (its && its->listings[kind]) {
      waiter_end(w, its->listings[kind], NULL);
    } else if (w->session != fetcher && !w->retried) {
      w->retried = true;
      waiter_start(w);
    } else {
      const char *told = fetcher && w->session != fetcher ? ours : why;
      waiter_end(w, NULL, why ? told : "the session has ended");
    }
  }
}

static bool took(struct fetch *f, struct ln_listing *listing);
static int fetch_start(struct ln_index *index, enum ln_kind kind, struct ln_link *link,
                       bool repeated);

static void on_first_fetched(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *index = f->index;
  enum ln_kind kind = f->kind;
  index->fetching[kind] = false;
  struct ln_session *s = f->session;
  bool stale = index->stale[kind];
  struct ln_link *link = listing && stale && !f->repeated ? link_of(f) : NULL;
  index->stale[kind] = false;
  if (link && ln_link_ready(link) && fetch_start(index, kind, link, true) == LN_OK) {
    ln_listing_unref(listing);
    return;
  }
  struct ln_server *server = index->server;
  uint64_t now = now_of(index), lasted = now - index->asked_at[kind];
  index->backoff_until[kind] = listing ? 0 : now + ln_server_list_pause(server, lasted);
  if (listing) {
    server->unlisted &= ~(1U << kind);
    took(f, listing);
  } else {
    server->unlisted |= 1U << kind;
    LN_LOG(server->host->log, ERROR, server->conf->name, "%s failed: %s",
           ln_kind_rows[kind].list_method, why);
  }
  /* Some servers say so whenever they are asked: then who waits gets what there is, and whoever
   * lists next has it asked for again. */
  struct ln_index *its = s ? ln_index_of(s, index->server) : index;
  if (stale && its) its->expired[kind] = true;
  end_waiters(index, kind, s, why);
}

static int fetch_start(struct ln_index *index, enum ln_kind kind, struct ln_link *link,
                       bool repeated) {
  struct fetch *f = fetch_new(index, kind, link, on_first_fetched);
  if (!f) return LN_ENOMEM;
  f->repeated = repeated;
  index->fetching[kind] = true;
  index->fetcher[kind] = link->owner ? link->owner->key : 0;
  index->asked_at[kind] = now_of(index);
  fetch_page(f, link, LN_STR_NONE);
  return LN_OK;
}

/* In our own session, or one that all share. */
static bool own_fetch(const struct ln_session *s, const struct ln_index *index, enum ln_kind kind) {
  return index->fetcher[kind] == s->key || ln_server_is_shared(index->server);
}

bool ln_fetch_hopeless(const struct ln_session *s, const struct ln_index *index,
                       enum ln_kind kind) {
  return ln_index_late(index, kind) && own_fetch(s, index, kind);
}

/* The session has an index: answers from it, or waits for a fetch; where that is late in another
 * client's session, our own is asked, too. */
static void waiter_proceed(struct ln_fetch_wait *w) {
  struct ln_session *s = w->session;
  struct ln_index *index = ln_index_of(s, w->server);
  enum ln_kind kind = w->kind;
  if (s->state == LN_SESSION_GONE || !index) {
    waiter_end(w, NULL, "the session has ended");
    return;
  }
  if (!index->listings[kind] && !ln_index_offers(index, kind))
    index->listings[kind] = ln_listing_new(index->server, kind); /* empty: nobody's, and for good */
  if (index->listings[kind]) {
    waiter_end(w, index->listings[kind], NULL);
    return;
  }
  bool late = ln_index_late(index, kind) && !own_fetch(s, index, kind);
  if (index->fetching[kind] && !late) {
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

/* By what the session has of the server; else in its link, once that is ready. */
static void waiter_start(struct ln_fetch_wait *w) {
  const char *why = w->server->last_error;
  if (ln_index_of(w->session, w->server)) {
    waiter_proceed(w);
    return;
  }
  struct ln_link *link =
      ln_server_in_backoff(w->server) ? NULL : ln_pool_link(w->session, w->server, &why);
  if (link)
    ln_link_watch(link, &w->watch);
  else
    waiter_end(w, NULL, why);
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
  waiter_start(w);
}

/* --- whether two clients are told apart --- */

static void doubt_ends(struct ln_index *index, enum ln_kind kind) {
  ln_listing_unref(index->doubt[kind]);
  index->doubt[kind] = NULL;
}

/* The other client was asked before and after the first: the list did not change in between. */
static void other_asked(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *index = f->index;
  (void)why;
  if (listing) took(f, listing);
  const struct ln_index *its = ln_index_of(f->session, index->server);
  struct ln_listing *doubt = index->doubt[f->kind];
  if (listing && its && its->listings[f->kind] == doubt && index->listings[f->kind] != doubt)
    ln_share_apart(index->server, ln_kind_rows[f->kind].list_method);
  doubt_ends(index, f->kind);
}

static void first_asked(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_index *index = f->index;
  enum ln_kind kind = f->kind;
  (void)why;
  if (listing) took(f, listing);
  struct ln_link *link = ln_pool_current(f->other, index->server);
  bool differs = listing && index->listings[kind] != index->doubt[kind];
  struct fetch *next = differs && link && ln_link_ready(link) && !link->used
                           ? fetch_new(index, kind, link, other_asked)
                           : NULL;
  if (next)
    fetch_page(next, link, LN_STR_NONE);
  else
    doubt_ends(index, kind);
}

/* A session that has used nothing was told something else than the one before it: either the list
 * has changed, or the server tells them apart. Asks the first again, then the other once more. */
static void find_out(struct ln_index *index, enum ln_kind kind, struct ln_session *other) {
  struct ln_link *maker = ln_share_maker(index, kind);
  struct fetch *f = maker ? fetch_new(index, kind, maker, first_asked) : NULL;
  if (!f) {
    doubt_ends(index, kind);
    return;
  }
  f->other = ln_session_ref(other);
  fetch_page(f, maker, LN_STR_NONE);
}

/* Takes the listing. True when it is not what the session saw. */
static bool took(struct fetch *f, struct ln_listing *listing) {
  struct ln_share_fetched fetched = {.index = f->index,
                                     .session = f->session,
                                     .listing = listing,
                                     .asker = f->asker,
                                     .announced = f->announced};
  bool differs = ln_share_took(&fetched);
  if (fetched.doubted) find_out(fetched.doubted, f->kind, f->session);
  ln_index_unref(fetched.doubted);
  return differs;
}

/* --- changes --- */

struct asker {
  struct ln_list link; /* in index->again */
  ln_fetched_fn done;
  void *arg;
};

static void end_askers(struct ln_index *index, enum ln_kind kind, bool differs) {
  struct ln_list list;
  ln_list_init(&list);
  ln_list_move(&list, &index->again[kind]);
  index->asking[kind] = false;
  LN_LIST_DRAIN(l, &list) {
    struct asker *a = LN_CONTAINER(l, struct asker, link);
    a->done(a->arg, differs);
    free(a);
  }
}

static void on_changed(struct fetch *f, struct ln_listing *listing, const char *why) {
  struct ln_server *server = f->index->server;
  if (!listing)
    LN_LOG(server->host->log, WARN, server->conf->name, "a changed list could not be fetched: %s",
           why);
  bool differs = listing && took(f, listing);
  f->changed(f->arg, differs);
  end_askers(f->index, f->kind, differs);
}

void ln_fetch_changed(struct ln_link *link, enum ln_kind kind, ln_fetched_fn done, void *arg) {
  struct ln_index *index = ln_index_of_link(link);
  bool single = link->use == LN_LINK_SINGLE || link->use == LN_LINK_SINGLE_TASK;
  if (index && (single || index->fetching[kind])) {
    /* What a link for one call lists is nobody's: its session is asked in its lasting one. */
    *(single ? &index->expired[kind] : &index->stale[kind]) = true;
    done(arg, true);
    return;
  }
  struct fetch *f =
      index && index->listings[kind] ? fetch_new(index, kind, link, on_changed) : NULL;
  if (!f) {
    done(arg, true);
    return;
  }
  index->asking[kind] = true; /* who lists meanwhile waits for it */
  f->announced = true;
  f->changed = done;
  f->arg = arg;
  fetch_page(f, link, LN_STR_NONE);
}

/* --- changes that are not announced --- */

static void on_asked_again(struct fetch *f, struct ln_listing *listing, const char *why) {
  const struct ln_server *server = f->index->server;
  if (!listing)
    LN_LOG(server->host->log, WARN, server->conf->name, "%s failed when asked again: %s",
           ln_kind_rows[f->kind].list_method, why);
  end_askers(f->index, f->kind, listing && took(f, listing));
}

static bool ask_again(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                      bool whoever_hears, ln_fetched_fn done, void *arg) {
  struct ln_index *index = ln_index_of(s, server);
  if (!index) return false;
  struct ln_link *link =
      index->asking[kind] ? NULL : ln_share_ask_again(s, index, kind, whoever_hears);
  if (!link && !index->asking[kind]) return false;
  struct asker *a = malloc(sizeof *a);
  struct fetch *f = a && link ? fetch_new(index, kind, link, on_asked_again) : NULL;
  if (!a || (link && !f)) {
    free(a);
    return false;
  }
  *a = (struct asker){.done = done, .arg = arg};
  ln_list_init(&a->link);
  ln_list_push(&index->again[kind], &a->link);
  if (!f) return true; /* with who asked before */
  f->asker = s->key;
  index->asking[kind] = true;
  index->asked_at[kind] = now_of(index);
  fetch_page(f, link, LN_STR_NONE);
  return true;
}

bool ln_fetch_again(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    ln_fetched_fn done, void *arg) {
  return ask_again(s, server, kind, false, done, arg);
}

bool ln_fetch_older(struct ln_session *s, struct ln_server *server, enum ln_kind kind,
                    ln_fetched_fn done, void *arg) {
  return ask_again(s, server, kind, true, done, arg);
}
