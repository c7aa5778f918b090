/* What servers offer: the kinds of component, which the managers' table, the policy and the method
 * table share. */
#ifndef LN_MCP_KIND_H
#define LN_MCP_KIND_H

/* The four kinds of component, in the order of the managers' table. */
enum ln_kind { LN_KIND_TOOL, LN_KIND_RESOURCE, LN_KIND_TEMPLATE, LN_KIND_PROMPT, LN_KINDS };

#endif
