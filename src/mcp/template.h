/* URI templates (RFC 6570) read backwards: could this URI have come from that template? */
#ifndef LN_MCP_TEMPLATE_H
#define LN_MCP_TEMPLATE_H

#include "base/base.h"

/* True when uri matches. A plain {name} stands for one or more characters other than '/', '?' and
 * '#';
 * {+x}, {#x}, {x*}, {/x}, {;x}, {.x} for any run, the empty one too; {?x} and {&x} for an optional
 * query. A malformed template matches nothing. At most quadratic. */
bool ln_template_match(struct ln_str uri_template, struct ln_str uri);

#endif
