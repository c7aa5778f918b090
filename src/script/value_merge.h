/* Merging an edited Lua value into the JSON that it was decoded from. */
#ifndef LN_SCRIPT_VALUE_MERGE_H
#define LN_SCRIPT_VALUE_MERGE_H

#include "script/value.h"

struct ln_merge {
  struct ln_edit *edits; /* slices of the source, in order; inside the codec until its next use */
  size_t n;
};
/* The edits that turn source into a text with the value at idx; n == 0 when nothing has changed.
 * optional: see ln_codec, or NULL. Errors as ln_value_encode. */
LN_THROWS int ln_value_merge(struct lua_State *L, struct ln_codec *c, int idx, const char *root,
                             struct ln_str source, const char *optional,
                             struct ln_merge *out) LN_CHECK;

#endif
