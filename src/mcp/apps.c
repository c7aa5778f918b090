/* MCP Apps; see apps.h. */
#include "mcp/apps.h"

#include "json/json.h"

bool ln_apps_has_ui(struct ln_str tool) {
  struct ln_json_item meta, it;
  return ln_json_get(tool, "_meta", &meta) &&
         (ln_json_get(meta.value, "ui", &it) || ln_json_get(meta.value, "ui/resourceUri", &it));
}
