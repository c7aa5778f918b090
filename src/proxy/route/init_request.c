/* initialize to servers; see init_request.h. */
#include "proxy/route/init_request.h"

#include <stdlib.h>

#include "proxy/client/pool.h"
#include "proxy/lists/share.h"

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

/* The capabilities of the only client that there is, who has all of a shared server for now: those
 * that come later are asked only for what they declare themselves. "{}": there are several. */
static struct ln_str only_clients(const struct ln_server *server) {
  const struct ln_session *only = ln_pool_only_session(server);
  return only && only->peer.said ? only->peer.capabilities : LN_STR_LIT("{}");
}

/* In a link without an owner. */
static struct ln_bytes *offered_for_all(const struct ln_server *server) {
  return offered(server->host->gen->policy, only_clients(server));
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
  ln_bytes_unref(fresh);
  if (!request) return LN_ENOMEM;
  ln_msg_unref(s->server_init_request);
  s->server_init_request = request;
  return LN_OK;
}

int ln_init_request_answered(struct ln_link *link, bool *client_ready) {
  struct ln_session *s = link->owner;
  *client_ready = !s || s->state == LN_SESSION_OPEN;
  return ln_share_initialized(link);
}
