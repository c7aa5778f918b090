/* core: JSON text to values and back. */
#ifndef LN_BIND_JSON_H
#define LN_BIND_JSON_H

#include "bind/bind.h"

/* {name, function} rows ending with NULL. */
extern const luaL_Reg ln_bind_json[];
/* A string that is valid JSON; else an error with the place of the wrong byte. */
LN_THROWS struct ln_str ln_bind_json_text(lua_State *L, int idx);

#endif
