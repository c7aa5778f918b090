/* The index of what servers offer; see catalogue.h for who shares what. */
#include "proxy/catalogue.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/router.h"

enum {
  MAX_PAGES = 1000,
  REST_MS = 1000,
  MAX_SHARED = 64 /* catalogues of one server: clients may think up capabilities without end */
};

/* --- catalogues --- */

static bool bytes_eq(const struct ln_bytes *a, const struct ln_bytes *b) {
  return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

struct ln_catalogue *ln_catalogue_find(struct ln_upstream *u, const struct ln_bytes *offered) {
  LN_LIST_EACH(l, &u->catalogues) {
    struct ln_catalogue *c = LN_CONTAINER(l, struct ln_catalogue, link);
    if (!bytes_eq(c->offered, offered)) continue;
    ln_list_remove(&c->link); /* the one used last is the last to go */
    ln_list_push(&u->catalogues, &c->link);
    return c;
  }
  return NULL;
}

static struct ln_catalogue *catalogue_alloc(struct ln_upstream *u, struct ln_bytes *offered,
                                            struct ln_msg *hello) {
  struct ln_catalogue *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->refs = 1;
  c->upstream = u;
  c->offered = ln_bytes_ref(offered);
  c->hello = ln_msg_ref(hello);
  struct ln_json_item it;
  c->capabilities = ln_capability(hello->result, "capabilities", &it) ? it.value : LN_STR_LIT("{}");
  for (int k = 0; k < LN_KINDS; k++) ln_list_init(&c->fetches[k]);
  ln_list_init(&c->link);
  return c;
}

struct ln_catalogue *ln_catalogue_new(struct ln_upstream *u, struct ln_bytes *offered,
                                      struct ln_msg *hello, struct ln_usession *maker) {
  struct ln_catalogue *c = catalogue_alloc(u, offered, hello);
  if (!c) return NULL;
  c->maker = maker;
  size_t n = 0;
  LN_LIST_EACH(l, &u->catalogues) n++;
  if (n >= MAX_SHARED) {
    struct ln_list *oldest = ln_list_shift(&u->catalogues);
    ln_catalogue_unref(LN_CONTAINER(oldest, struct ln_catalogue, link));
  }
  ln_list_push(&u->catalogues, &c->link);
  return ln_catalogue_ref(c); /* the list's and the caller's */
}

void ln_catalogue_retire(struct ln_catalogue *c) {
  if (ln_list_empty(&c->link)) return; /* not shared, or no more */
  ln_list_remove(&c->link);
  ln_catalogue_unref(c);
}

struct ln_catalogue *ln_catalogue_ref(struct ln_catalogue *c) {
  c->refs++;
  return c;
}

void ln_catalogue_unref(struct ln_catalogue *c) {
  if (!c || --c->refs) return;
  ln_list_remove(&c->link);
  for (int k = 0; k < LN_KINDS; k++) ln_shelf_unref(c->shelves[k]);
  ln_msg_unref(c->hello);
  ln_bytes_unref(c->offered);
  free(c);
}

bool ln_catalogue_offers(const struct ln_catalogue *c, enum ln_kind kind) {
  struct ln_json_item it;
  return ln_capability(c->capabilities, ln_kind_rows[kind].capability, &it);
}

static uint64_t now_of(const struct ln_catalogue *c) {
  return ln_loop_now(c->upstream->host->loop);
}

bool ln_catalogue_hopeless(const struct ln_catalogue *c, enum ln_kind kind, bool listing) {
  uint64_t now = now_of(c);
  if (c->shelves[kind]) return false;
  if (c->fetching[kind])
    return now - c->asked_at[kind] > c->upstream->host->settings.start_timeout_ms;
  return !listing && now < c->rest_until[kind];
}

/* --- fetching --- */

/* All pages of one list, one after the other. done gets the shelf (its reference) or NULL. */
struct fetch {
  struct ln_session *session; /* counted; NULL for a shared upstream session's own */
  struct ln_usession *us;     /* who began it: compared, never followed; it may have gone */
  struct ln_shelf *shelf;
  struct ln_bytes *cursor;
  const struct ln_session
      *asker;     /* on whose list's behalf; compared only. NULL: a change was told */
  bool restarted; /* the server was started again: what others were shown is out of date for all */
  void (*done)(struct fetch *f, struct ln_shelf *shelf, const char *why);
  struct ln_catalogue *catalogue; /* counted */
  void (*changed)(void *arg, bool differs);
  void *arg;
};

static void fetch_page(struct fetch *f, struct ln_usession *us, struct ln_str cursor);

/* Its session with the server now: a request may have been moved to a fresh one. */
static struct ln_usession *carrier(const struct fetch *f) {
  struct ln_upstream *u = f->catalogue->upstream;
  return f->session ? ln_session_usession(f->session, u) : u->shared;
}

static void fetch_end(struct fetch *f, const char *why) {
  struct ln_shelf *sh = f->shelf;
  f->shelf = NULL;
  if (why) {
    ln_shelf_unref(sh);
    sh = NULL;
  }
  f->done(f, sh, why);
  ln_catalogue_unref(f->catalogue);
  ln_bytes_unref(f->cursor);
  if (f->session) ln_session_unref(f->session);
  free(f);
}

/* True when a page before the last one led to the same cursor: the list goes round. */
static bool comes_again(const struct ln_shelf *sh, struct ln_str cursor) {
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
  int rc = ln_shelf_add(f->shelf, reply);
  bool more = !rc && ln_json_get(reply->result, "nextCursor", &it) && it.type == LN_JSON_STRING;
  if (!more) {
    ln_msg_unref(reply);
    snprintf(why, sizeof why, "its list is unusable: %s", ln_err_text(rc));
    fetch_end(f, rc ? why : NULL);
    return;
  }
  if (comes_again(f->shelf, it.value) || f->shelf->n_pages >= MAX_PAGES) {
    LN_LOG(f->shelf->upstream->host->log, WARN, f->shelf->upstream->conf->name,
           "its %s has pages without end: stopped after %zu",
           ln_kind_rows[f->shelf->kind].list_method, f->shelf->n_pages);
    ln_msg_unref(reply);
    fetch_end(f, NULL);
    return;
  }
  ln_bytes_unref(f->cursor);
  f->cursor = ln_bytes_copy(it.value.p, it.value.n);
  ln_msg_unref(reply);
  struct ln_usession *us = carrier(f);
  if (f->cursor && us)
    fetch_page(f, us, (struct ln_str){f->cursor->data, f->cursor->len});
  else
    fetch_end(f, us ? "out of memory" : "the connection was closed");
}

static void fetch_page(struct fetch *f, struct ln_usession *us, struct ln_str cursor) {
  struct ln_buf params;
  ln_buf_init(&params, SIZE_MAX / 2);
  struct ln_msg *m = NULL;
  int rc = LN_OK;
  if (cursor.p) rc = ln_buf_printf(&params, "{\"cursor\":%.*s}", LN_STR_ARG(cursor));
  if (!rc)
    m = ln_msg_request(ln_kind_rows[f->shelf->kind].list_method,
                       cursor.p ? ln_buf_str(&params) : LN_STR_NONE);
  struct ln_urequest *r =
      m ? ln_usession_request(us, m, LN_STR_NONE, NULL, NULL, fetch_reply, f) : NULL;
  ln_msg_unref(m);
  ln_buf_deinit(&params);
  if (!r) fetch_end(f, "out of memory");
}

static struct fetch *fetch_new(struct ln_catalogue *c, enum ln_kind kind, struct ln_usession *us,
                               void (*done)(struct fetch *, struct ln_shelf *, const char *)) {
  struct fetch *f = calloc(1, sizeof *f);
  if (f) f->shelf = ln_shelf_new(c->upstream, kind);
  if (!f || !f->shelf) {
    free(f);
    return NULL;
  }
  f->us = us;
  f->restarted = us->again;
  f->session = us->owner ? ln_session_ref(us->owner) : NULL;
  f->catalogue = ln_catalogue_ref(c);
  f->done = done;
  return f;
}

/* --- a list for a session --- */

/* Somebody who waits: for a server to be ready, then for its list. */
struct waiter {
  struct ln_watcher watch;    /* first step */
  struct ln_list link;        /* second step: in catalogue->fetches */
  struct ln_session *session; /* counted */
  struct ln_upstream *upstream;
  enum ln_kind kind;
  bool again; /* a fetch by another session failed under us; once */
  ln_shelf_fn fn;
  void *arg;
};

static void waiter_end(struct waiter *w, struct ln_shelf *shelf, const char *why) {
  ln_shelf_fn fn = w->fn;
  void *arg = w->arg;
  struct ln_session *s = w->session;
  free(w);
  fn(arg, shelf, why);
  ln_session_unref(s);
}

static void waiter_go(struct waiter *w);

static void tell_waiters(struct ln_catalogue *c, enum ln_kind kind, struct ln_session *fetcher,
                         const char *why) {
  struct ln_list list, *l;
  ln_list_init(&list);
  while ((l = ln_list_shift(&c->fetches[kind]))) ln_list_push(&list, l);
  while ((l = ln_list_shift(&list))) {
    struct waiter *w = LN_CONTAINER(l, struct waiter, link);
    if (c->shelves[kind]) {
      waiter_end(w, c->shelves[kind], NULL);
    } else if (w->session != fetcher && !w->again) {
      w->again = true;
      waiter_go(w);
    } else {
      waiter_end(w, NULL, why);
    }
  }
}

static int fetch_start(struct ln_catalogue *c, enum ln_kind kind, struct ln_usession *us);

static void first_fetched(struct fetch *f, struct ln_shelf *shelf, const char *why) {
  struct ln_catalogue *c = f->catalogue;
  enum ln_kind kind = LN_KINDS;
  for (int k = 0; k < LN_KINDS; k++)
    if (f->arg == &c->fetches[k]) kind = (enum ln_kind)k;
  c->fetching[kind] = false;
  struct ln_session *s = f->session;
  struct ln_usession *us = shelf && c->stale[kind] ? carrier(f) : NULL;
  c->stale[kind] = false;
  if (us && us->state == LN_US_READY && fetch_start(c, kind, us) == LN_OK) {
    ln_shelf_unref(shelf);
    return;
  }
  c->shelves[kind] = shelf;
  /* As long again as it took, at least a second. */
  c->rest_until[kind] = shelf ? 0 : now_of(c) + LN_MAX(now_of(c) - c->asked_at[kind], REST_MS);
  if (!shelf)
    LN_LOG(c->upstream->host->log, ERROR, c->upstream->conf->name, "%s failed: %s",
           ln_kind_rows[kind].list_method, why);
  tell_waiters(c, kind, s, why);
}

static int fetch_start(struct ln_catalogue *c, enum ln_kind kind, struct ln_usession *us) {
  struct fetch *f = fetch_new(c, kind, us, first_fetched);
  if (!f) return LN_ENOMEM;
  f->arg = &c->fetches[kind];
  c->fetching[kind] = true;
  c->asked_at[kind] = now_of(c);
  fetch_page(f, us, LN_STR_NONE);
  return LN_OK;
}

/* With a catalogue at hand: from the index, or wait for the fetch. */
static void waiter_go(struct waiter *w) {
  struct ln_session *s = w->session;
  struct ln_catalogue *c = ln_session_catalogue(s, w->upstream);
  enum ln_kind kind = w->kind;
  if (s->state == LN_SESSION_GONE || !c) {
    waiter_end(w, NULL, "the session has ended");
    return;
  }
  if (!c->shelves[kind] && !ln_catalogue_offers(c, kind))
    c->shelves[kind] = ln_shelf_new(c->upstream, kind);
  if (c->shelves[kind]) {
    waiter_end(w, c->shelves[kind], NULL);
    return;
  }
  if (c->fetching[kind]) {
    ln_list_push(&c->fetches[kind], &w->link);
    return;
  }
  const char *why = "out of memory";
  struct ln_usession *us = ln_usession_for(s, w->upstream, &why);
  if (!us) {
    waiter_end(w, NULL, why);
    return;
  }
  ln_list_push(&c->fetches[kind], &w->link);
  if (fetch_start(c, kind, us)) {
    ln_list_remove(&w->link);
    waiter_end(w, NULL, "out of memory");
  }
}

static void server_ready(struct ln_watcher *watch, struct ln_usession *us, bool ready,
                         const char *why) {
  struct waiter *w = LN_CONTAINER(watch, struct waiter, watch);
  if (!ready) {
    waiter_end(w, NULL, why);
    return;
  }
  struct ln_session *s = w->session;
  if (!ln_session_catalogue(s, w->upstream) && s->state != LN_SESSION_GONE &&
      ln_session_set_catalogue(s, w->upstream, us->catalogue)) {
    waiter_end(w, NULL, "out of memory");
    return;
  }
  waiter_go(w);
}

void ln_catalogue_shelf(struct ln_session *s, struct ln_upstream *u, enum ln_kind kind,
                        ln_shelf_fn fn, void *arg) {
  struct ln_catalogue *c = ln_session_catalogue(s, u);
  if (c && c->shelves[kind]) { /* the common case allocates nothing */
    fn(arg, c->shelves[kind], NULL);
    return;
  }
  struct waiter *w = calloc(1, sizeof *w);
  if (!w) {
    fn(arg, NULL, "out of memory");
    return;
  }
  *w = (struct waiter){.session = ln_session_ref(s),
                       .upstream = u,
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
  const char *why = u->last_error;
  struct ln_usession *us = ln_upstream_rests(u) ? NULL : ln_usession_for(s, u, &why);
  if (us)
    ln_usession_watch(us, &w->watch);
  else
    waiter_end(w, NULL, why);
}

/* --- changes --- */

/* A catalogue like c, of one session alone. */
static struct ln_catalogue *fork_catalogue(const struct ln_catalogue *c) {
  struct ln_catalogue *own = catalogue_alloc(c->upstream, c->offered, c->hello);
  if (!own) return NULL;
  own->own = true;
  for (int k = 0; k < LN_KINDS; k++) {
    own->shelves[k] = c->shelves[k] ? ln_shelf_ref(c->shelves[k]) : NULL;
    own->asked_at[k] = c->asked_at[k];
  }
  return own;
}

/* The sessions that share c and have none with the server itself, where the change was told: they
 * hear of it, and share next from now on. */
static void tell_sleepers(struct ln_catalogue *c, enum ln_kind kind, struct ln_catalogue *next,
                          const struct ln_session *but) {
  struct ln_upstream *u = c->upstream;
  LN_LIST_EACH(l, &u->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    const struct ln_usession *us = ln_session_usession(s, u);
    if (s == but || ln_session_catalogue(s, u) != c || (us && us->state == LN_US_READY)) continue;
    if (next == c || ln_session_set_catalogue(s, u, next) == LN_OK) ln_router_unheard(s, u, kind);
  }
}

/* An HTTP server is one for all its sessions: what one of them heard may be true of every other.
 * Shared lists that differ from what it lists now are asked for anew by whoever lists next. */
static void doubt(struct ln_upstream *u, const struct ln_shelf *shelf) {
  struct ln_list all, *l;
  ln_list_init(&all);
  while ((l = ln_list_shift(&u->catalogues))) ln_list_push(&all, l);
  while ((l = ln_list_shift(&all))) {
    struct ln_catalogue *c = LN_CONTAINER(l, struct ln_catalogue, link);
    ln_list_push(&u->catalogues, l);
    const struct ln_shelf *known = c->shelves[shelf->kind];
    struct ln_catalogue *next = known && !ln_shelf_same(known, shelf) ? fork_catalogue(c) : NULL;
    if (!next) continue;
    next->own = false;
    ln_shelf_unref(next->shelves[shelf->kind]);
    next->shelves[shelf->kind] = NULL;
    ln_list_remove(l); /* its reference is ours now */
    ln_list_push(&u->catalogues, &next->link);
    tell_sleepers(c, shelf->kind, next, NULL);
    ln_catalogue_unref(c);
  }
}

static void refetched(struct fetch *f, struct ln_shelf *shelf, const char *why) {
  struct ln_catalogue *c = f->catalogue;
  struct ln_upstream *u = c->upstream;
  struct ln_session *s = f->session;
  struct ln_catalogue *now = s ? ln_session_catalogue(s, u) : NULL;
  if (now && now->own) c = now; /* by another list's change, meanwhile */
  bool differs = false;
  if (!shelf) {
    LN_LOG(u->host->log, WARN, u->conf->name, "a changed list can't be had: %s", why);
  } else if (c->shelves[shelf->kind] && ln_shelf_same(c->shelves[shelf->kind], shelf)) {
    ln_shelf_unref(shelf);
  } else {
    differs = true;
    bool everybody = !s || f->asker || c->maker == f->us || c->own;
    if (!everybody && s->state != LN_SESSION_GONE && now == c) {
      struct ln_catalogue *own = fork_catalogue(c);
      if (own && ln_session_set_catalogue(s, u, own) == LN_OK) c = own;
      ln_catalogue_unref(own); /* the session's now */
      if (f->restarted && !u->pool) ln_catalogue_retire(f->catalogue);
    }
    ln_shelf_unref(c->shelves[shelf->kind]);
    c->shelves[shelf->kind] = shelf;
    if (u->pool && (s || f->asker)) {
      if (!c->own) tell_sleepers(c, shelf->kind, c, f->asker);
      doubt(u, shelf);
    }
  }
  f->changed(f->arg, differs);
}

void ln_catalogue_changed(struct ln_usession *us, enum ln_kind kind,
                          void (*done)(void *arg, bool differs), void *arg) {
  struct ln_catalogue *c =
      us->owner ? ln_session_catalogue(us->owner, us->upstream) : us->catalogue;
  if (!c || (!c->shelves[kind] && !c->fetching[kind])) {
    done(arg, true);
    return;
  }
  if (c->fetching[kind]) {
    c->stale[kind] = true;
    done(arg, true);
    return;
  }
  struct fetch *f = fetch_new(c, kind, us, refetched);
  if (!f) {
    done(arg, true);
    return;
  }
  f->changed = done;
  f->arg = arg;
  fetch_page(f, us, LN_STR_NONE);
}

/* --- changes that nobody tells --- */

static bool told_of_changes(const struct ln_catalogue *c, enum ln_kind kind) {
  struct ln_json_item of, told;
  if (!ln_capability(c->capabilities, ln_kind_rows[kind].capability, &of) ||
      !ln_json_get(of.value, "listChanged", &told) || !ln_str_is(told.value, "true"))
    return false;
  LN_LIST_EACH(l, &c->upstream->usessions) {
    const struct ln_usession *us = LN_CONTAINER(l, struct ln_usession, link);
    if (us->state == LN_US_READY && !us->channel->deaf) return true;
  }
  return false;
}

bool ln_catalogue_refresh(struct ln_session *s, struct ln_upstream *u, enum ln_kind kind,
                          void (*done)(void *arg, bool differs), void *arg) {
  struct ln_catalogue *c = ln_session_catalogue(s, u);
  if (!u->pool || !c || !c->shelves[kind] || !c->shelves[kind]->n_pages || c->fetching[kind] ||
      now_of(c) - c->asked_at[kind] < u->host->settings.list_max_age_ms ||
      told_of_changes(c, kind) || ln_upstream_rests(u))
    return false;
  const char *why;
  struct ln_usession *us = ln_usession_for(s, u, &why);
  struct fetch *f = us ? fetch_new(c, kind, us, refetched) : NULL;
  if (!f) return false;
  f->asker = s;
  f->changed = done;
  f->arg = arg;
  c->asked_at[kind] = now_of(c);
  fetch_page(f, us, LN_STR_NONE);
  return true;
}
