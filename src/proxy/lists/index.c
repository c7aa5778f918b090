/* Indexes of what servers offer; see index.h for who shares what. */
#include "proxy/lists/index.h"

#include <stdlib.h>

enum { MAX_SHARED = 64 }; /* of one server: each client may have capabilities of its own */

struct ln_str ln_index_key(const struct ln_session *s) {
  return s->server_init_request ? s->server_init_request->params : LN_STR_NONE;
}

struct ln_index *ln_index_find(struct ln_server *server, struct ln_str key) {
  LN_LIST_EACH(l, &server->indexes) {
    struct ln_index *index = LN_CONTAINER(l, struct ln_index, link);
    if (!key.p || !ln_str_eq(index->init_request->params, key)) continue;
    ln_list_remove(&index->link); /* to the end: the least recently used is retired first */
    ln_list_push(&server->indexes, &index->link);
    return index;
  }
  return NULL;
}

static struct ln_index *index_alloc(struct ln_server *server, struct ln_msg *init_request,
                                    struct ln_msg *init_reply, struct ln_str capabilities) {
  struct ln_index *index = calloc(1, sizeof *index);
  if (!index) return NULL;
  index->refs = 1;
  index->server = server;
  index->init_request = ln_msg_ref(init_request);
  index->init_reply = ln_msg_ref(init_reply);
  index->capabilities = capabilities;
  for (int k = 0; k < LN_KINDS; k++) {
    ln_list_init(&index->fetches[k]);
    ln_list_init(&index->again[k]);
  }
  ln_list_init(&index->link);
  return index;
}

struct ln_index *ln_index_new(struct ln_link *link, bool own) {
  struct ln_server *server = link->server;
  struct ln_index *index =
      index_alloc(server, link->init_request, link->init_reply, link->capabilities);
  if (!index) return NULL;
  index->own = own;
  if (own) return index;
  size_t n = 0;
  LN_LIST_EACH(l, &server->indexes) n++;
  if (n >= MAX_SHARED) ln_index_retire(LN_CONTAINER(server->indexes.next, struct ln_index, link));
  ln_list_push(&server->indexes, &index->link);
  return ln_index_ref(index); /* the list's and the caller's */
}

struct ln_index *ln_index_fork(const struct ln_index *index) {
  struct ln_index *own =
      index_alloc(index->server, index->init_request, index->init_reply, index->capabilities);
  if (!own) return NULL;
  own->own = true;
  for (int k = 0; k < LN_KINDS; k++) {
    own->listings[k] = index->listings[k] ? ln_listing_ref(index->listings[k]) : NULL;
    own->by[k] = index->by[k];
    own->asked_at[k] = index->asked_at[k];
    own->expired[k] = index->expired[k];
  }
  return own;
}

void ln_index_retire(struct ln_index *index) {
  if (ln_list_empty(&index->link)) return; /* not shared, or retired already */
  ln_list_remove(&index->link);
  ln_index_unref(index);
}

struct ln_index *ln_index_ref(struct ln_index *index) {
  index->refs++;
  return index;
}

void ln_index_unref(struct ln_index *index) {
  if (!index || --index->refs) return;
  ln_list_remove(&index->link);
  for (int k = 0; k < LN_KINDS; k++) {
    ln_listing_unref(index->listings[k]);
    ln_listing_unref(index->doubt[k]);
  }
  ln_msg_unref(index->init_request);
  ln_msg_unref(index->init_reply);
  free(index);
}

void ln_index_server_ends(struct ln_server *server) {
  while (ln_list_shift(&server->listings)) { /* views that are left may still have them */
  }
  LN_LIST_EACH(l, &server->indexes) ln_index_retire(LN_CONTAINER(l, struct ln_index, link));
}

/* --- what it says --- */

bool ln_index_same_key(const struct ln_index *a, const struct ln_index *b) {
  return ln_str_eq(a->init_request->params, b->init_request->params);
}

bool ln_index_offers(const struct ln_index *index, enum ln_kind kind) {
  struct ln_json_item it;
  return ln_capability(index->capabilities, ln_kind_rows[kind].capability, &it);
}

bool ln_index_knows(const struct ln_index *index, enum ln_kind kind) {
  bool templates = kind == LN_KIND_RESOURCE && index->listings[LN_KIND_TEMPLATE];
  return index->listings[kind] || templates;
}

bool ln_index_late(const struct ln_index *index, enum ln_kind kind) {
  const struct ln_host *h = index->server->host;
  return !index->listings[kind] && index->fetching[kind] &&
         ln_loop_now(h->loop) - index->asked_at[kind] > h->settings.start_timeout_ms;
}

bool ln_index_in_backoff(const struct ln_index *index, enum ln_kind kind) {
  return !index->listings[kind] && !index->fetching[kind] &&
         ln_loop_now(index->server->host->loop) < index->backoff_until[kind];
}

/* --- whose it is --- */

struct ln_index *ln_index_of(const struct ln_session *s, const struct ln_server *server) {
  const struct ln_pool_slot *slot = ln_pool_find(s, server);
  return slot ? slot->index : NULL;
}

int ln_index_set(struct ln_session *s, struct ln_server *server, struct ln_index *index) {
  struct ln_pool_slot *slot = ln_pool_slot_of(s, server);
  if (!slot) return LN_ENOMEM;
  if (index) ln_index_ref(index);
  ln_index_unref(slot->index);
  slot->index = index;
  return LN_OK;
}

bool ln_index_any_has(const struct ln_session *s, const char *capability) {
  struct ln_json_item it;
  for (size_t i = 0; i < s->gen->n_servers; i++) {
    const struct ln_index *index = ln_index_of(s, s->gen->servers[i]);
    if (!index || ln_capability(index->capabilities, capability, &it)) return true;
  }
  return false;
}

void ln_index_set_link(struct ln_link *link, struct ln_index *index) {
  ln_index_unref(link->index);
  link->index = index;
}

struct ln_index *ln_index_of_link(const struct ln_link *link) {
  return link->owner ? ln_index_of(link->owner, link->server) : link->index;
}
