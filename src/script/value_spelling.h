/* The texts of numbers that their doubles would not give again; see value_spelling.c. For the
 * value_*.c files. */
#ifndef LN_SCRIPT_VALUE_SPELLING_H
#define LN_SCRIPT_VALUE_SPELLING_H

#include "script/value.h"

/* Remembers how a number is spelt that was decoded and is on top: below it are its name and its
 * object, or its array when it has an index. twins: its name may have been
 * there before. True when it would be spelt otherwise. */
LN_THROWS bool ln_spelling_note(struct lua_State *L, struct ln_codec *c, struct ln_str raw,
                                int index, bool twins);
/* The array on top, of whose elements one was noted, is whole. */
LN_THROWS void ln_spelling_seal(struct lua_State *L, const struct ln_codec *c);
/* Whether the array at idx, of n elements, has spellings and is what it was. */
LN_THROWS bool ln_spelling_counts(struct lua_State *L, const struct ln_codec *c, int idx, size_t n);
/* How the member that the path leads to, which is d, was spelt; absent when not known. */
LN_THROWS struct ln_str ln_spelling_of(struct lua_State *L, struct ln_codec *c, double d);

#endif
