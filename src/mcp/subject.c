/* What a request is about; see subject.h. */
#include "mcp/subject.h"

/* The type decides, as it does for servers: a ref may have both a name and a URI. */
static struct ln_subject of_ref(struct ln_str ref) {
  const struct ln_subject nothing = {LN_KINDS, LN_STR_NONE};
  struct ln_json_item type, key;
  if (!ref.p || !ln_json_get(ref, "type", &type)) return nothing;
  struct ln_str text = ln_json_inside(type.value);
  bool uri = ln_json_str_is(text, "ref/resource");
  if (!uri && !ln_json_str_is(text, "ref/prompt")) return nothing;
  struct ln_str value = ln_json_get(ref, uri ? "uri" : "name", &key) ? key.value : LN_STR_NONE;
  return (struct ln_subject){uri ? LN_KIND_TEMPLATE : LN_KIND_PROMPT, value};
}

struct ln_subject ln_subject_of(const struct ln_method *method, const struct ln_msg *msg) {
  if (method->route == LN_ROUTE_COMPLETE) return of_ref(msg->ref);
  return (struct ln_subject){method->kind, method->kind == LN_KIND_RESOURCE ? msg->uri : msg->name};
}
