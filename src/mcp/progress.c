/* Whether progress increases; see progress.h. */
#include "mcp/progress.h"

bool ln_progress_increases(double *last, const struct ln_msg *msg) {
  struct ln_json_item it;
  if (!ln_json_get(msg->params, "progress", &it) || it.type != LN_JSON_NUMBER) return true;
  double now = ln_json_double(it.value, NULL);
  if (now <= *last) return false;
  *last = now;
  return true;
}
