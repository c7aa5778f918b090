/* What official clients refuse a whole result for: their schemas check that binary content is
 * base64 and that lastModified is a date, and drop everything else in the message along with what
 * is not. Lunette passes it all on as it came, and logs it, for nothing else would say why. */
#ifndef LN_MCP_FLAW_H
#define LN_MCP_FLAW_H

#include "json/json.h"

/* A sentence about the first flaw, or NULL. item: a component of a list, a content block or
 * resource contents; result: of tools/call, prompts/get or resources/read. Both proven JSON; of
 * more than 256 KiB nothing is said. One pass over the members, which looks into no text. */
const char *ln_flaw_of_item(struct ln_str item);
const char *ln_flaw_of_result(struct ln_str result);

#endif
