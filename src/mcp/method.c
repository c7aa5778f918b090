/* The method table as data, and the protocol versions. */
#include "mcp/method.h"

#include "json/json.h"

static const struct ln_method rows[] = {
#define LN_METHOD_ROW(name, from, route, kind) {name, sizeof(name) - 1, from, route, kind},
    LN_METHODS(LN_METHOD_ROW)
#undef LN_METHOD_ROW
};

static const struct ln_method other = {"", 0, LN_FROM_CLIENT | LN_FROM_SERVER, LN_ROUTE_OTHER,
                                       LN_KINDS};

const struct ln_kind_row ln_kind_rows[LN_KINDS] = {
    [LN_KIND_TOOL] = {"tools/list", "tools", "name", "tools", "notifications/tools/list_changed",
                      "tool"},
    [LN_KIND_RESOURCE] = {"resources/list", "resources", "uri", "resources",
                          "notifications/resources/list_changed", "resource"},
    [LN_KIND_TEMPLATE] = {"resources/templates/list", "resourceTemplates", "uriTemplate",
                          "resources", "notifications/resources/list_changed", "resource template"},
    [LN_KIND_PROMPT] = {"prompts/list", "prompts", "name", "prompts",
                        "notifications/prompts/list_changed", "prompt"},
};

const enum ln_kind ln_kinds_told[] = {LN_KIND_TOOL, LN_KIND_RESOURCE, LN_KIND_PROMPT};

const struct ln_method *ln_method_find(struct ln_str name, unsigned from) {
  for (size_t i = 0; i < LN_COUNT(rows); i++)
    if (rows[i].name_len == name.n && (rows[i].from & from) &&
        memcmp(rows[i].name, name.p, name.n) == 0)
      return &rows[i];
  return &other;
}

const char *ln_method_case_twin(const struct ln_method *m, struct ln_str name) {
  for (size_t i = 0; i < LN_COUNT(rows) && m == &other; i++)
    if (ln_str_iis(name, rows[i].name) && !ln_str_is(name, rows[i].name)) return rows[i].name;
  return NULL;
}

bool ln_method_is_request(const struct ln_method *m) {
  static const char prefix[] = "notifications/";
  return m->name_len > 0 && strncmp(m->name, prefix, sizeof prefix - 1) != 0;
}

const char *const ln_level_names[LN_LEVELS] = {"debug", "info",     "notice", "warning",
                                               "error", "critical", "alert",  "emergency"};

bool ln_capability(struct ln_str capabilities, const char *name, struct ln_json_item *it) {
  return ln_json_get(capabilities, name, it) && it->type == LN_JSON_OBJECT;
}

int ln_level_of(struct ln_str params) {
  struct ln_json_item it;
  if (!params.p || !ln_json_get(params, "level", &it)) return -1;
  for (int i = 0; i < LN_LEVELS; i++)
    if (ln_json_str_is(ln_json_inside(it.value), ln_level_names[i])) return i;
  return -1;
}

static const char *const versions[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};

bool ln_version_known(struct ln_str version) {
  for (size_t i = 0; i < LN_COUNT(versions); i++)
    if (ln_str_is(version, versions[i])) return true;
  return false;
}

const char *ln_version_answer(struct ln_str asked) {
  for (size_t i = 0; i < LN_COUNT(versions); i++)
    if (ln_str_is(asked, versions[i])) return versions[i];
  return LN_VERSION_LATEST;
}
