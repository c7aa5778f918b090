/* Whether a number, string, boolean or null of a source is still what the table has. For
 * value_merge.c. */
#ifndef LN_SCRIPT_VALUE_SCALAR_H
#define LN_SCRIPT_VALUE_SCALAR_H

#include "script/value.h"

/* False for containers. */
LN_THROWS bool ln_scalar_same(struct lua_State *L, struct ln_codec *c, struct ln_str value,
                              enum ln_json_type type, int idx);

#endif
