/* Many templates, by the text that each begins with: a URI is held against those alone that begin
 * as it does. */
#ifndef LN_MCP_TEMPLATE_SET_H
#define LN_MCP_TEMPLATE_SET_H

#include "mcp/template.h"

struct ln_templates {
  struct ln_template_row *rows;
  size_t n, cap;
};
void ln_templates_init(struct ln_templates *set);
void ln_templates_deinit(struct ln_templates *set);
/* Adds one; its text is borrowed. owner: only compared. LN_ENOMEM. */
int ln_templates_add(struct ln_templates *set, const void *owner, struct ln_str uri_template,
                     void *value) LN_CHECK;
/* After the last one was added, before the first is looked for. */
void ln_templates_seal(struct ln_templates *set);
/* True when the owner has some that begin as uri does. */
bool ln_templates_near(const struct ln_templates *set, const void *owner, struct ln_str uri);
/* The first that was added of those of the owner that uri matches: *value. LN_ENOTFOUND: there is
 * none. LN_ELIMIT: steps (see template.h) are spent, or uri is too long to tell. LN_ENOMEM. */
int ln_templates_find(const struct ln_templates *set, const void *owner, struct ln_str uri,
                      uint64_t *steps, void **value) LN_CHECK;

#endif
