/* Which link serves which session; see pool.h. */
#include "proxy/client/pool.h"

#include <stdlib.h>

/* --- slots --- */

struct ln_pool_slot *ln_pool_find(const struct ln_session *s, const struct ln_server *server) {
  for (size_t i = 0; i < s->n_slots; i++)
    if (s->slots[i].server == server) return &s->slots[i];
  return NULL;
}

struct ln_pool_slot *ln_pool_slot_of(struct ln_session *s, struct ln_server *server) {
  struct ln_pool_slot *slot = ln_pool_find(s, server);
  /* An ended session would never free it. */
  if (slot || s->state == LN_SESSION_GONE) return slot;
  struct ln_pool_slot *grown = realloc(s->slots, (s->n_slots + 1) * sizeof *grown);
  if (!grown) return NULL;
  s->slots = grown;
  slot = &grown[s->n_slots++];
  *slot = (struct ln_pool_slot){.server = ln_server_ref(server)};
  return slot;
}

void ln_pool_drop_slots(struct ln_session *s, void (*index_unref)(struct ln_index *index)) {
  size_t kept = 0;
  bool gone = s->state == LN_SESSION_GONE;
  for (size_t i = 0; i < s->n_slots; i++) {
    struct ln_pool_slot slot = s->slots[i];
    if (!gone && (slot.link || ln_generation_has(s->gen, slot.server))) {
      s->slots[kept++] = slot;
      continue;
    }
    index_unref(slot.index);
    ln_server_unref(slot.server);
  }
  s->n_slots = kept;
}

/* --- links --- */

static struct ln_link *open_own(struct ln_session *s, struct ln_server *server,
                                enum ln_link_use use, const char **why) {
  if (s->state == LN_SESSION_GONE) {
    *why = "the client's session has ended";
    return NULL;
  }
  struct ln_link *link = ln_link_open(server, s, use, why);
  if (!link) return NULL;
  ln_list_push(&s->links, &link->owner_link);
  if (s->outbox.clogged) ln_link_pause(link, true);
  return link;
}

struct ln_link *ln_pool_current(const struct ln_session *s, const struct ln_server *server) {
  if (ln_server_is_shared(server)) return server->shared;
  const struct ln_pool_slot *slot = ln_pool_find(s, server);
  return slot ? slot->link : NULL;
}

struct ln_link *ln_pool_link(struct ln_session *s, struct ln_server *server, const char **why) {
  if (ln_server_is_shared(server)) return ln_link_shared(server, why);
  struct ln_pool_slot *slot = ln_pool_find(s, server);
  if (slot && slot->link) return slot->link;
  struct ln_link *link = open_own(s, server, LN_LINK_LASTING, why);
  if (!link) return NULL;
  slot = ln_pool_slot_of(s, server);
  if (!slot) {
    *why = "out of memory";
    ln_link_close(link, *why);
    return NULL;
  }
  link->after_loss = slot->lost;
  slot->lost = false;
  slot->link = link;
  return link;
}

struct ln_link *ln_pool_link_for_call(struct ln_session *s, struct ln_server *server, bool task,
                                      const char **why) {
  if (server->conf->session != LN_SHARING_REQUEST) return ln_pool_link(s, server, why);
  return open_own(s, server, task ? LN_LINK_SINGLE_TASK : LN_LINK_SINGLE, why);
}

/* --- their ends --- */

/* The slot whose link it is, or NULL. */
static struct ln_pool_slot *slot_of(const struct ln_link *link) {
  struct ln_pool_slot *slot = link->owner ? ln_pool_find(link->owner, link->server) : NULL;
  return slot && slot->link == link ? slot : NULL;
}

void ln_pool_link_lost(struct ln_link *link) {
  struct ln_pool_slot *slot = slot_of(link);
  if (slot) slot->lost = true;
}

void ln_pool_link_detached(struct ln_link *link) {
  struct ln_pool_slot *slot = slot_of(link);
  if (slot) slot->link = NULL;
}

/* One of the session's own that serves as this one did. */
static struct ln_link *another(struct ln_session *s, const struct ln_link *link, const char **why) {
  if (link->use == LN_LINK_LASTING) return ln_pool_link(s, link->server, why);
  return ln_pool_link_for_call(s, link->server, link->use == LN_LINK_SINGLE_TASK, why);
}

/* The server did nothing for this call, so it may be sent again. Other calls of the old link may
 * have been carried out before: they stay there, and each gets its own answer or error. */
bool ln_pool_link_forgotten(struct ln_link *link, struct ln_call *call) {
  struct ln_session *s =
      link->owner ? link->owner : ln_session_by_key(link->server->host, call->client);
  const char *why;
  bool by_all = ln_server_is_shared(link->server);
  if (!s && !by_all) return false;
  call->retried = true;
  ln_call_move(call, call->calls); /* out of the old link's table before that drains */
  ln_link_drain(link);
  struct ln_link *fresh = by_all ? ln_link_shared(link->server, &why) : another(s, link, &why);
  if (fresh)
    ln_link_adopt(fresh, call);
  else
    ln_call_fail(call, "%s", why);
  ln_link_close_if_idle(link);
  return true;
}

struct ln_session *ln_pool_only_session(const struct ln_server *server) {
  struct ln_session *only = NULL;
  if (!ln_server_is_shared(server)) return NULL;
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *s = LN_CONTAINER(l, struct ln_session, link);
    if (!ln_generation_has(s->gen, server)) continue;
    if (only) return NULL;
    only = s;
  }
  return only;
}
