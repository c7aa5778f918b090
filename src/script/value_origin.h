/* From which place in a text a table was decoded; see value_origin.c. For the value_*.c files. */
#ifndef LN_SCRIPT_VALUE_ORIGIN_H
#define LN_SCRIPT_VALUE_ORIGIN_H

#include "script/value.h"

/* Sets the text that is decoded, or merged into, from now on. */
void ln_origin_begin(struct ln_codec *c, struct ln_str whole);
/* Remembers that the table on top was decoded from the value at. */
LN_THROWS void ln_origin_note(struct lua_State *L, struct ln_codec *c, const char *at, bool object);
/* Whether the table at idx is known to have been decoded as an object. */
LN_THROWS bool ln_origin_is_object(struct lua_State *L, const struct ln_codec *c, int idx);
/* Where in c->whole the table at idx was decoded from; NULL when that is not known. */
LN_THROWS const char *ln_origin_in_whole(struct lua_State *L, struct ln_codec *c, int idx);

#endif
