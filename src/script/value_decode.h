/* Valid JSON text to Lua values. */
#ifndef LN_SCRIPT_VALUE_DECODE_H
#define LN_SCRIPT_VALUE_DECODE_H

#include "script/value.h"

/* Pushes the value of a text that is known to be valid. */
LN_THROWS void ln_value_decode(struct lua_State *L, struct ln_codec *c, struct ln_str json);
/* Pushes the plain text of a raw string value (with quotes). */
LN_THROWS void ln_value_decode_string(struct lua_State *L, struct ln_codec *c, struct ln_str value);

#endif
