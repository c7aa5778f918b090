/* initialize to servers; see init_request.h. */
#include "proxy/route/init_request.h"

#include <stdlib.h>

#include "proxy/lists/index.h"
#include "proxy/route/list_changed.h"

/* Requests to clients that handlers can answer for clients without the capability. */
static const struct {
  const char *capability, *method;
} answerable[] = {
    {"sampling", "sampling/createMessage"},
    {"elicitation", "elicitation/create"},
    {"roots", "roots/list"},
};

/* The capabilities offered to servers: the client's plus those of handlers. */
static struct ln_bytes *offered(const struct ln_policy *p, struct ln_str own) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  struct ln_json_item it;
  ln_buf_append_str(&b, own);
  for (size_t i = 0; i < LN_COUNT(answerable) && !ln_buf_error(&b); i++) {
    const char *offer = ln_policy_offers(p, ln_str_c(answerable[i].method));
    if (offer && !ln_capability(own, answerable[i].capability, &it))
      ln_json_put_member(&b, answerable[i].capability, ln_str_c(offer));
  }
  return ln_buf_finish(&b);
}

/* In a link without an owner: those of handlers only. */
static struct ln_bytes *offered_for_all(const struct ln_server *server) {
  return offered(server->host->gen->policy, LN_STR_LIT("{}"));
}

struct ln_msg *ln_init_request_for(struct ln_link *link) {
  if (link->owner && link->owner->server_init_request)
    return ln_msg_ref(link->owner->server_init_request);
  struct ln_bytes *caps = offered_for_all(link->server);
  if (!caps) return NULL;
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  ln_buf_printf(&b,
                "{\"protocolVersion\":\"" LN_VERSION_LATEST
                "\",\"capabilities\":%.*s,"
                "\"clientInfo\":{\"name\":\"lunette\",\"version\":\"" LN_VERSION "\"}}",
                (int)caps->len, caps->data);
  struct ln_msg *m = ln_buf_error(&b) ? NULL : ln_msg_request("initialize", ln_buf_str(&b));
  ln_buf_deinit(&b);
  ln_bytes_unref(caps);
  return m;
}

int ln_init_request_offer(struct ln_session *s) {
  struct ln_msg *said = s->peer.said;
  struct ln_json_item version;
  if (!said) return LN_OK;
  if (!ln_json_get(said->params, "protocolVersion", &version)) return LN_EINVALID;
  struct ln_bytes *fresh = offered(s->gen->policy, s->peer.capabilities);
  if (!fresh) return LN_ENOMEM;
  /* The client's params, but for the members that must differ. */
  struct ln_buf params;
  ln_buf_init(&params, SIZE_MAX / 2);
  ln_buf_append_str(&params, said->params);
  if (!ln_buf_error(&params) && !ln_version_known(ln_json_inside(version.value)))
    ln_json_put_member(&params, "protocolVersion", LN_STR_LIT("\"" LN_VERSION_LATEST "\""));
  if (!ln_buf_error(&params) && !ln_str_eq(ln_bytes_str(fresh), s->peer.capabilities))
    ln_json_put_member(&params, "capabilities", ln_bytes_str(fresh));
  struct ln_msg *request =
      ln_buf_error(&params) ? NULL : ln_msg_with(said, said->params, ln_buf_str(&params));
  ln_buf_deinit(&params);
  if (!request) {
    ln_bytes_unref(fresh);
    return LN_ENOMEM;
  }
  ln_bytes_unref(s->offered);
  s->offered = fresh;
  ln_msg_unref(s->server_init_request);
  s->server_init_request = request;
  return LN_OK;
}

/* --- indexes for sessions --- */

static bool same_offer(const struct ln_session *s, const struct ln_index *index) {
  return s->offered && ln_str_eq(ln_bytes_str(s->offered), ln_bytes_str(index->offered));
}

/* Gives the session this index if it has none for the server. */
static void give_index(struct ln_session *s, struct ln_index *index) {
  if (ln_index_of(s, index->server) || ln_index_set(s, index->server, index)) return;
  if (s->state == LN_SESSION_OPEN || s->state == LN_SESSION_INITIALIZED)
    ln_list_changed_announce(s, index->capabilities);
}

/* A server whose serverInfo differs is taken for another. */
static bool same_server(const struct ln_index *index, const struct ln_msg *reply) {
  struct ln_json_item then = {0}, now = {0};
  bool had = ln_json_get(index->init_reply->result, "serverInfo", &then);
  return had == ln_json_get(reply->result, "serverInfo", &now) &&
         (!had || ln_str_eq(then.value, now.value));
}

/* The link's index: a known one for the same capabilities, or a new one. *replaced: there was one,
 * but serverInfo differs. One reference. */
static struct ln_index *index_for(struct ln_link *link, bool *known, bool *replaced) {
  struct ln_session *s = link->owner;
  struct ln_bytes *caps =
      s && s->offered ? ln_bytes_ref(s->offered) : offered_for_all(link->server);
  if (!caps) return NULL;
  struct ln_index *index = ln_index_find(link->server, caps);
  *replaced = index && !same_server(index, link->init_reply);
  if (*replaced) ln_index_retire(index);
  *known = index && !*replaced;
  index = *known ? ln_index_ref(index) : ln_index_new(link, caps);
  ln_bytes_unref(caps);
  return index;
}

/* Gives the index to other sessions that have none for the server, as it was late or is new after a
 * reload. */
static void give_to_others(const struct ln_link *link, struct ln_index *index) {
  struct ln_server *server = link->server;
  bool probe = link->use == LN_LINK_PROBE;
  LN_LIST_EACH(l, &server->host->sessions) {
    struct ln_session *other = LN_CONTAINER(l, struct ln_session, link);
    if (other == link->owner || !ln_generation_has(other->gen, server)) continue;
    if (same_offer(other, index) || (!link->owner && !probe))
      give_index(other, index);
    else if (probe && !ln_index_of(other, server) && other->state == LN_SESSION_OPEN)
      /* It offered other capabilities: it fetches an index of its own. */
      ln_list_changed_announce(other, index->capabilities);
  }
}

int ln_init_request_answered(struct ln_link *link, bool *client_ready) {
  struct ln_session *s = link->owner;
  bool known, replaced;
  struct ln_index *index = index_for(link, &known, &replaced);
  if (!index) return LN_ENOMEM;
  ln_index_set_link(link, index);
  if (s && replaced && ln_index_of(s, link->server) &&
      ln_index_set(s, link->server, index) == LN_OK)
    ln_list_changed_announce(s, index->capabilities);
  else if (s)
    give_index(s, index);
  if (!known || link->use == LN_LINK_PROBE) give_to_others(link, index);
  *client_ready = !s || s->state == LN_SESSION_OPEN;
  return LN_OK;
}
