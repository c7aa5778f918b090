/* Lua values to JSON text. */
#ifndef LN_SCRIPT_VALUE_ENCODE_H
#define LN_SCRIPT_VALUE_ENCODE_H

#include "script/value.h"

/* The value at idx as JSON, members sorted by name: LN_OK with the text in *out (inside the codec,
 * until its next use), or an error with a sentence in c->fault that names the member, starting
 * with root ("result.content[1]: …"). */
LN_THROWS int ln_value_encode(struct lua_State *L, struct ln_codec *c, int idx, const char *root,
                              struct ln_str *out) LN_CHECK;

/* --- for value_walk.h and what is above it --- */

enum ln_shape { LN_SHAPE_EMPTY, LN_SHAPE_ARRAY, LN_SHAPE_OBJECT, LN_SHAPE_BAD };
/* What a table is; *n its elements or members. On BAD the fault is set. An empty one with the
 * metatable is an ARRAY. */
LN_THROWS enum ln_shape ln_value_shape(struct lua_State *L, struct ln_codec *c, int idx, size_t *n);
/* Appends the value at idx (absolute) to c->text. like_array: what an empty plain table is. */
LN_THROWS int ln_value_append(struct lua_State *L, struct ln_codec *c, int idx, bool like_array);
/* Sorts the string keys of the table at idx onto c->keys; count of them in *n. The caller shrinks
 * c->keys again. */
LN_THROWS int ln_value_sorted_keys(struct lua_State *L, struct ln_codec *c, int idx, size_t *n);
/* The i-th of the keys that start at base. */
struct ln_str ln_value_key(const struct ln_codec *c, size_t base, size_t i);

#endif
