/* An edited Lua value laid over the JSON it came from. */
#ifndef LN_SCRIPT_VALUE_MERGE_H
#define LN_SCRIPT_VALUE_MERGE_H

#include "script/value.h"

struct ln_merge {
  struct ln_edit *edits; /* slices of the source, in order; inside the codec until its next use */
  size_t n;
};
/* The edits that turn source into a text whose value is that at idx. Nothing changed: n == 0.
 * optional: see ln_codec, or NULL. Faults as ln_value_encode. */
LN_THROWS int ln_value_merge(struct lua_State *L, struct ln_codec *c, int idx, const char *root,
                             struct ln_str source, const char *optional,
                             struct ln_merge *out) LN_CHECK;

#endif
