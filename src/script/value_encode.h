/* Lua values to JSON text. */
#ifndef LN_SCRIPT_VALUE_ENCODE_H
#define LN_SCRIPT_VALUE_ENCODE_H

#include "script/value.h"

/* The value at idx as JSON, members sorted by name: LN_OK with the text in *out (in the codec,
 * until its next use), or an error with a message in c->fault that has the path to the value,
 * beginning with root ("result.content[1]: …"). */
LN_THROWS int ln_value_encode(struct lua_State *L, struct ln_codec *c, int idx, const char *root,
                              struct ln_str *out) LN_CHECK;

/* --- for value_walk.c and value_merge.c --- */

enum ln_shape { LN_SHAPE_EMPTY, LN_SHAPE_ARRAY, LN_SHAPE_OBJECT, LN_SHAPE_BAD };
/* Whether a table is an array or an object; *n: how many elements or members. On BAD the fault is
 * set. An empty one with the metatable is an ARRAY. */
LN_THROWS enum ln_shape ln_value_encode_shape(struct lua_State *L, struct ln_codec *c, int idx,
                                              size_t *n);
/* Appends the value at idx (absolute) to c->text. like_array: an empty plain table is an array. */
LN_THROWS int ln_value_encode_append(struct lua_State *L, struct ln_codec *c, int idx,
                                     bool like_array);
/* Appends the string keys of the table at idx to c->keys, sorted; *n: how many. The caller takes
 * them off again. */
LN_THROWS int ln_value_encode_keys(struct lua_State *L, struct ln_codec *c, int idx, size_t *n);
/* The i-th of the keys that start at base. */
struct ln_str ln_value_encode_key(const struct ln_codec *c, size_t base, size_t i);

#endif
