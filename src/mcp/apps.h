/* MCP Apps (SEP-1865): tools whose results a resource of the server shows. */
#ifndef LN_MCP_APPS_H
#define LN_MCP_APPS_H

#include "base/base.h"

/* tool: a proven definition. True when its _meta names a resource that shows its results: "ui", or
 * the older "ui/resourceUri". */
bool ln_apps_has_ui(struct ln_str tool);

#endif
