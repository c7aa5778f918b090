/* Pairing the elements of an edited array with those of its source, so that removing, inserting or
 * moving one doesn't make all later ones look edited. */
#ifndef LN_SCRIPT_VALUE_ALIGN_H
#define LN_SCRIPT_VALUE_ALIGN_H

#include "script/value.h"

struct ln_align {
  size_t base, n; /* the source's elements: n from base on of c->members */
  int idx;        /* the table's stack index */
  size_t m;       /* the table's elements */
  /* LN_OK when the value at idx is equal to src; called while c->comparing. */
  int (*compare)(struct lua_State *L, struct ln_codec *c, struct ln_str src, enum ln_json_type type,
                 int idx);
};

/* Sets at, before, same, used and drop of all source elements. Elements of the table from *rest on
 * go to the end. Unless the table is empty, some source element is kept: the first table element
 * whose origin is known can be paired with it. */
LN_THROWS void ln_align(struct lua_State *L, struct ln_codec *c, const struct ln_align *a,
                        size_t *rest);
/* The source element that the table's k-th was made of; n when none is known. */
LN_THROWS size_t ln_align_source(struct lua_State *L, struct ln_codec *c, const struct ln_align *a,
                                 size_t k);

#endif
