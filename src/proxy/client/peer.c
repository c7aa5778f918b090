/* Who a client is; see peer.h. */
#include "proxy/client/peer.h"

#include "mcp/method.h"

const char *const ln_era_names[] = {"legacy", "modern"};

void ln_peer_init(struct ln_peer *p, enum ln_era era) {
  *p = (struct ln_peer){.era = era,
                        .version = LN_STR_LIT(LN_VERSION_LATEST),
                        .client_info = LN_STR_LIT("{}"),
                        .capabilities = LN_STR_LIT("{}"),
                        .level = -1};
}

void ln_peer_deinit(struct ln_peer *p) {
  ln_msg_unref(p->said);
  p->said = NULL;
}

const char *ln_peer_read_init(struct ln_peer *p, struct ln_msg *init_request) {
  struct ln_json_item version, caps, info;
  struct ln_str params = init_request->params;
  if (!params.p || !ln_json_get(params, "protocolVersion", &version) ||
      version.type != LN_JSON_STRING)
    return "initialize needs params.protocolVersion";
  bool has_caps = ln_json_get(params, "capabilities", &caps);
  if (has_caps && caps.type != LN_JSON_OBJECT) return "params.capabilities must be an object";
  bool has_info = ln_json_get(params, "clientInfo", &info) && info.type == LN_JSON_OBJECT;
  ln_msg_ref(init_request);
  ln_msg_unref(p->said);
  p->said = init_request;
  p->version = ln_str_c(ln_version_answer(ln_json_inside(version.value)));
  p->capabilities = has_caps ? caps.value : LN_STR_LIT("{}");
  p->client_info = has_info ? info.value : LN_STR_LIT("{}"); /* not of an earlier initialize */
  return NULL;
}

const char *ln_peer_lacks(const struct ln_peer *p, struct ln_str method) {
  static const char *const needs[][2] = {{"sampling/createMessage", "sampling"},
                                         {"elicitation/create", "elicitation"},
                                         {"roots/list", "roots"}};
  struct ln_json_item it;
  for (size_t i = 0; i < LN_COUNT(needs); i++)
    if (ln_str_is(method, needs[i][0]) && !ln_capability(p->capabilities, needs[i][1], &it))
      return needs[i][1];
  return NULL;
}
