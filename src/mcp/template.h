/* URI templates (RFC 6570) read backwards: could this URI have come from that template? */
#ifndef LN_MCP_TEMPLATE_H
#define LN_MCP_TEMPLATE_H

#include "base/base.h"

/* What is longer matches nothing, so that no list and no request costs more than it should: callers
 * refuse such URIs. */
enum { LN_TEMPLATE_MAX = 4096, LN_TEMPLATE_URI_MAX = 16384 };

/* True when uri matches: as generous as any server's own matching. {name} stands for one or more
 * characters other than '/'; {+x} and {x*} for any run, the empty one too; {#x}, {.x}, {/x}, {;x},
 * {?x} and {&x} for nothing, or for their sign ('#', '.', '/', …) and any run after it. A malformed
 * template matches nothing. At most the product of both lengths in time. */
bool ln_template_match(struct ln_str uri_template, struct ln_str uri);

#endif
