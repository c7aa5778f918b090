/* Who shares what a server lists; see share.h. */
#include "proxy/lists/share.h"

/* --- who is told --- */

static void tell(struct ln_session *s, const struct ln_index *index) {
  for (size_t i = 0; i < LN_KINDS_TOLD; i++)
    if (ln_index_offers(index, ln_kinds_told[i]))
      index->server->host->list_changed(s, index->server, ln_kinds_told[i]);
}

/* Of its lists those that were known: nobody has seen the others. */
static void tell_of_known(struct ln_session *s, const struct ln_index *was) {
  for (size_t i = 0; i < LN_KINDS_TOLD; i++)
    if (ln_index_knows(was, ln_kinds_told[i]))
      was->server->host->list_changed(s, was->server, ln_kinds_told[i]);
}

static struct ln_link *open_link(const struct ln_session *s, const struct ln_server *server) {
  struct ln_link *link = ln_pool_current(s, server);
  return link && ln_link_ready(link) ? link : NULL;
}

/* Tells the sessions that share it and hear nothing from the server itself. but: the key of one
 * that needn't be told; 0: none. */
static void tell_unconnected(const struct ln_index *index, enum ln_kind kind, uint64_t but) {
  struct ln_server *server = index->server;
  bool by_all = ln_server_is_shared(server);
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (ln_index_of(s, server) != index || s->key == but) continue;
    if (by_all ? but != 0 : !open_link(s, server)) server->host->list_changed(s, server, kind);
  }
}

/* --- whether they share --- */

static bool shares(const struct ln_server *server) {
  return ln_server_is_shared(server) || (!server->conf->lists_own && !server->apart);
}

/* Nobody shares what is indexed. A session that has a link keeps what that listed. */
static void part(struct ln_server *server) {
  LN_LIST_EACH(l, &server->indexes) ln_index_retire(LN_CONTAINER(l, struct ln_index, link));
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    struct ln_index *was = ln_index_of(s, server);
    if (!was || was->own) continue;
    struct ln_link *link = open_link(s, server);
    struct ln_index *own = link ? ln_index_new(link, true) : NULL;
    ln_index_ref(was);
    for (int k = 0; own && k < LN_KINDS; k++) {
      if (!was->listings[k] || was->by[k] != link->serial) continue;
      own->listings[k] = ln_listing_ref(was->listings[k]);
      own->by[k] = was->by[k];
      own->asked_at[k] = was->asked_at[k];
    }
    if (ln_index_set(s, server, own) == LN_OK) tell_of_known(s, was);
    ln_index_unref(own);
    ln_index_unref(was);
  }
}

void ln_share_apart(struct ln_server *server, const char *what) {
  if (server->apart || ln_server_is_shared(server)) return;
  if (server->said) server->apart = ln_msg_ref(server->said);
  if (!server->conf->lists_own)
    LN_LOG(server->host->log, WARN, server->topic,
           "%s differed for two clients that had told it the same and used nothing: what it lists "
           "is not shared between clients from now on",
           what);
  part(server);
}

void ln_share_none(struct ln_server *server) {
  if (!ln_server_is_shared(server)) part(server);
}

/* The server is another one now: what is known of the old one is nobody's any more who comes from
 * now on. Who has a link with it learns in that. */
static void replaced(struct ln_server *server) {
  LN_LIST_EACH(l, &server->indexes) {
    struct ln_index *index = LN_CONTAINER(l, struct ln_index, link);
    index->outdated = true;
    ln_index_retire(index);
  }
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    struct ln_index *was = ln_index_of(s, server);
    if (!was || was->own || open_link(s, server)) continue;
    ln_index_ref(was);
    if (ln_index_set(s, server, NULL) == LN_OK) tell_of_known(s, was);
    ln_index_unref(was);
  }
}

void ln_share_server_ends(struct ln_server *server) {
  ln_index_server_ends(server);
  ln_msg_unref(server->apart);
  ln_msg_unref(server->said);
}

/* --- a link begins --- */

static bool same_info(const struct ln_msg *a, const struct ln_msg *b) {
  struct ln_json_item then = {0}, now = {0};
  bool had = ln_json_get(a->result, "serverInfo", &then);
  return had == ln_json_get(b->result, "serverInfo", &now) &&
         (!had || ln_str_eq(then.value, now.value));
}

static bool same_answer(const struct ln_index *index, const struct ln_link *link) {
  return ln_str_eq(index->init_reply->result, link->init_reply->result);
}

/* What the link's answer says of those before: the same, a server that was replaced (its serverInfo
 * is another; but not each time), or one that tells clients apart. */
static void compare(struct ln_link *link, const struct ln_index *known) {
  struct ln_server *server = link->server;
  bool again = server->said && same_info(server->said, link->init_reply);
  ln_msg_unref(server->said);
  server->said = ln_msg_ref(link->init_reply);
  if (server->apart && again && !same_info(server->apart, link->init_reply)) {
    ln_msg_unref(server->apart);
    server->apart = NULL;
  }
  if (!known) return;
  if (same_answer(known, link)) {
    server->unsteady = false;
  } else if (ln_server_is_shared(server) ||
             (!same_info(known->init_reply, link->init_reply) && !server->unsteady)) {
    server->unsteady = true;
    replaced(server);
  } else {
    ln_share_apart(server, "its answer to initialize");
  }
}

/* Its session sees it from now on, in an index of its own if it has used something. */
static void give(struct ln_link *link, struct ln_index *index) {
  struct ln_session *s = link->owner;
  struct ln_index *was = ln_index_of(s, link->server);
  bool lasting = link->use == LN_LINK_LASTING;
  if (was && (!lasting || (was->own && same_answer(was, link)))) return;
  bool used = lasting && (link->used || (was && was->own));
  if (was == index && !used) return;
  bool other = was != index;
  struct ln_index *its = used && !index->own ? ln_index_fork(index) : ln_index_ref(index);
  bool late = s->state == LN_SESSION_OPEN || s->state == LN_SESSION_INITIALIZED;
  if (ln_index_set(s, link->server, its) == LN_OK && other && late) tell(s, index);
  ln_index_unref(its);
}

static bool only_ready(const struct ln_link *link) {
  LN_LIST_EACH(l, &link->server->links) {
    const struct ln_link *other = LN_CONTAINER(l, struct ln_link, link);
    if (other != link && ln_link_ready(other)) return false;
  }
  return true;
}

/* To sessions that have none for the server, as it was late, is new after a reload, or is back. Who
 * may not share it is told, and gets one when it lists. */
static void give_to_others(const struct ln_link *link, struct ln_index *index) {
  struct ln_server *server = link->server;
  bool by_all = ln_server_is_shared(server), back = only_ready(link);
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (s == link->owner || !ln_generation_has(s->gen, server)) continue;
    struct ln_index *was = ln_index_of(s, server);
    bool open = s->state == LN_SESSION_OPEN, late = open || s->state == LN_SESSION_INITIALIZED;
    bool same = !index->own && ln_str_eq(ln_index_key(s), index->init_request->params);
    if (by_all ? was == index : was != NULL) continue;
    if (by_all || same) {
      if (ln_index_set(s, server, index) == LN_OK && late) tell(s, index);
    } else if (back && open && !ln_pool_current(s, server)) {
      tell(s, index);
    }
  }
}

int ln_share_initialized(struct ln_link *link) {
  struct ln_server *server = link->server;
  struct ln_str key = link->init_request->params;
  compare(link, ln_index_find(server, key));
  struct ln_index *index = ln_index_find(server, key);
  bool known = index != NULL, probe = link->use == LN_LINK_PROBE;
  /* A probe is nobody's, and told what no client is. */
  index = known ? ln_index_ref(index) : ln_index_new(link, probe || !shares(server));
  if (!index) return LN_ENOMEM;
  ln_index_set_link(link, index);
  if (link->owner) give(link, index);
  if (!known) give_to_others(link, index);
  return LN_OK;
}

/* --- a link is used, and ends --- */

void ln_share_used(struct ln_link *link) {
  struct ln_session *s = link->owner;
  struct ln_index *index = s ? ln_index_of(s, link->server) : NULL;
  if (!index || index->own || ln_pool_current(s, link->server) != link) return;
  struct ln_index *own = ln_index_fork(index);
  /* Out of memory: none, rather than one that others see. */
  if (ln_index_set(s, link->server, own)) ln_link_close(link, "out of memory");
  ln_index_unref(own);
}

static void expire(struct ln_index *index, const struct ln_link *gone) {
  for (int k = 0; k < LN_KINDS; k++) index->expired[k] |= index->by[k] == gone->serial;
}

/* What it listed may be otherwise when the server is there again. Of one that made room for another
 * lists come from what is known, as of one that sleeps: nobody's list takes that room back. */
void ln_share_lost(struct ln_link *link) {
  if (link->leaving) return;
  struct ln_index *its = link->owner ? ln_index_of(link->owner, link->server) : NULL;
  LN_LIST_EACH(l, &link->server->indexes) expire(LN_CONTAINER(l, struct ln_index, link), link);
  if (its) expire(its, link);
}

/* --- a list was fetched --- */

static struct ln_link *by_serial(const struct ln_server *server, uint64_t serial) {
  LN_LIST_EACH(l, &server->links) {
    struct ln_link *link = LN_CONTAINER(l, struct ln_link, link);
    if (link->serial == serial) return link->draining || !ln_link_ready(link) ? NULL : link;
  }
  return NULL;
}

struct ln_link *ln_share_maker(const struct ln_index *index, enum ln_kind kind) {
  struct ln_link *link = by_serial(index->server, index->by[kind]);
  return link && (!link->used || !link->owner) ? link : NULL;
}

/* Takes the listing. */
static void put(struct ln_index *index, struct ln_listing *listing, uint64_t by) {
  enum ln_kind kind = listing->kind;
  ln_listing_unref(index->listings[kind]);
  index->listings[kind] = listing;
  index->by[kind] = by;
  index->expired[kind] = false;
}

/* A list changed for one client of an HTTP server, which serves all: it may have changed for all.
 */
static void expire_others(struct ln_server *server, const struct ln_listing *listing) {
  enum ln_kind kind = listing->kind;
  LN_LIST_EACH(l, &server->indexes) {
    struct ln_index *index = LN_CONTAINER(l, struct ln_index, link);
    const struct ln_listing *known = index->listings[kind];
    if (!known || known == listing || index->expired[kind]) continue;
    index->expired[kind] = true;
    /* Not again when it turned out the last time that the change was that client's alone. */
    if (!index->calm[kind]) tell_unconnected(index, kind, 0);
  }
}

/* For an index that nobody else has, or all have. */
static bool take(struct ln_index *index, struct ln_listing *listing, uint64_t by, uint64_t asker) {
  struct ln_server *server = index->server;
  const struct ln_listing *was = index->listings[listing->kind];
  bool differs = was != listing, by_all = ln_server_is_shared(server);
  put(index, listing, by);
  if (was && differs && by_all) tell_unconnected(index, listing->kind, asker);
  if (was && differs && !by_all && server->pool) expire_others(server, listing);
  return differs;
}

/* For a shared index that has another listing, from the link of a session that has used nothing. */
static void take_differing(struct ln_share_fetched *f, struct ln_index *index,
                           struct ln_listing *listing, uint64_t by) {
  struct ln_session *s = f->session;
  enum ln_kind kind = listing->kind;
  struct ln_server *server = index->server;
  struct ln_link *maker = ln_share_maker(index, kind);
  bool said = f->announced && !maker;
  if (index->by[kind] == by || index->expired[kind] || said) { /* it has changed */
    put(index, listing, by);
    index->calm[kind] = false;
    tell_unconnected(index, kind, f->asker);
    if (server->pool) expire_others(server, listing);
    return;
  }
  if (maker) { /* it has changed, or they are told apart: whoever is asked next knows */
    struct ln_index *own = ln_index_fork(index);
    if (!index->doubt[kind]) {
      index->doubt[kind] = ln_listing_ref(listing);
      f->doubted = ln_index_ref(index);
    }
    if (own) put(own, ln_listing_ref(listing), by);
    if (ln_index_set(s, server, own)) LN_LOG(server->host->log, WARN, s->id, "out of memory");
    ln_index_unref(own);
  } else {
    ln_share_apart(server, ln_kind_rows[kind].list_method);
    index = ln_index_of(s, server);
    if (index && index->own) put(index, ln_listing_ref(listing), by);
  }
  ln_listing_unref(listing);
}

/* The session's index; one that is outdated is left for the one that its link has. */
static struct ln_index *index_now(struct ln_session *s, struct ln_index *index) {
  struct ln_index *now = ln_index_of(s, index->server);
  struct ln_link *link = open_link(s, index->server);
  if (!now || !now->outdated || !link) return now;
  struct ln_index *known = ln_index_find(index->server, link->init_request->params);
  struct ln_index *next = known ? ln_index_ref(known) : ln_index_new(link, !shares(index->server));
  if (next && ln_index_set(s, index->server, next) == LN_OK) now = next;
  ln_index_unref(next);
  return now;
}

/* Completions, and requests for lists that the server doesn't offer, are no use, but have a
 * client's words all the same: what a session lists after them that would be published may be made
 * of these, and is that one's alone. What is known already is not. */
static bool is_its_own(const struct ln_share_fetched *f, const struct ln_link *link,
                       const struct ln_index *index) {
  enum ln_kind kind = f->listing->kind;
  const struct ln_listing *known = index->listings[kind];
  return link->owner && link->user && !index->own && known != f->listing &&
         (!known || index->by[kind] == link->serial || index->expired[kind] || f->announced);
}

bool ln_share_took(struct ln_share_fetched *f) {
  struct ln_server *server = f->index->server;
  struct ln_session *s = f->session;
  enum ln_kind kind = f->listing->kind;
  struct ln_listing *listing = f->listing = ln_listing_intern(f->listing);
  struct ln_index *index = s ? index_now(s, f->index) : f->index;
  struct ln_link *link = s ? open_link(s, server) : server->shared;
  if (index && link && is_its_own(f, link, index)) {
    ln_link_use_now(link);
    index = ln_index_of(s, server);
  }
  if (!index) { /* the session has ended, or has to ask anew */
    ln_listing_unref(listing);
    return false;
  }
  uint64_t by = link ? link->serial : 0;
  index->asked_at[kind] = ln_loop_now(server->host->loop);
  if (!s || index->own || !index->listings[kind]) return take(index, listing, by, f->asker);
  if (index->listings[kind] != listing) {
    take_differing(f, index, listing, by);
    return true;
  }
  if (index->expired[kind]) index->calm[kind] = true;
  if (!ln_share_maker(index, kind)) index->by[kind] = by;
  index->expired[kind] = false;
  ln_listing_unref(listing);
  return false;
}

/* --- asking again --- */

/* The server announces changes, and the link that listed it would get to know. */
static bool hears(const struct ln_index *index, enum ln_kind kind) {
  struct ln_json_item of, said;
  const struct ln_link *link = by_serial(index->server, index->by[kind]);
  const struct ln_channel *channel = link ? link->calls.channel : NULL;
  return channel && !channel->deaf && channel->heard_since <= index->asked_at[kind] &&
         (index->own || !link->used || !link->owner) &&
         ln_capability(index->capabilities, ln_kind_rows[kind].capability, &of) &&
         ln_json_get(of.value, "listChanged", &said) && ln_str_is(said.value, "true");
}

static bool due(struct ln_session *s, const struct ln_index *index, enum ln_kind kind, bool older) {
  const struct ln_link *link = open_link(s, index->server);
  uint64_t age = ln_loop_now(index->server->host->loop) - index->asked_at[kind];
  if (index->expired[kind] || index->outdated) return true;
  /* It was given it by others, before it had used anything. */
  if (index->own && link && index->by[kind] != link->serial) return true;
  return age >= index->server->host->settings.list_max_age_ms && (older || !hears(index, kind));
}

struct ln_link *ln_share_ask_again(struct ln_session *s, struct ln_index *index, enum ln_kind kind,
                                   bool older) {
  struct ln_server *server = index->server;
  const char *why;
  if (!index->listings[kind] || !index->listings[kind]->n_pages || index->fetching[kind] ||
      !due(s, index, kind, older) || ln_server_in_backoff(server))
    return NULL;
  struct ln_link *link = index->own || index->outdated ? NULL : ln_share_maker(index, kind);
  if (link) return link;
  link = open_link(s, server);
  /* One of its own that isn't there is started for its list only when that went with it, and one
   * that sleeps by nobody who only lists. */
  bool stays = (index->own && !server->pool) || (server->conf->idle_ms && !older);
  if (link || (stays && !index->expired[kind])) return link;
  return ln_pool_link(s, server, &why);
}
