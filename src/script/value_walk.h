/* What value_merge.c and value_align.c share: walking a source and a table side by side. Private
 * to the two.
 *
 * One walk that looks at everything once is what a merge must take. Looking twice (comparisons that
 * fail, an object that turns out not to be plain, an element laid over more than once) gives fewer
 * or smaller edits, but there may be quadratically much of it. Such steps are counted in c->extra,
 * and after as many as the source has bytes for, they are left out: what they would have found is
 * encoded anew, so that a merge is linear in source and result whatever was done to the table. */
#ifndef LN_SCRIPT_VALUE_WALK_H
#define LN_SCRIPT_VALUE_WALK_H

#include "script/value.h"

/* One container on its way: members base..base+n of c->members, the end of the last one that
 * stays, and the text (in c->text) that goes after all of them. */
struct ln_walk {
  size_t base, n;
  const char *kept; /* NULL: none yet */
  size_t tail_off, tail_len;
  bool tail_done;
};

/* Whether more than the one walk may be done. */
static inline bool ln_walk_affords(const struct ln_codec *c) {
  return c->extra < c->extra_max;
}
/* All steps since there were `steps` of them, and `extra` extra ones, were extra. */
static inline void ln_walk_charge(struct ln_codec *c, size_t steps, size_t extra) {
  c->extra = extra + (c->steps - steps);
}

/* LN_OK: merged (or equal, when comparing); LN_EAGAIN: differs; or an error. */
LN_THROWS int ln_walk_merge(struct lua_State *L, struct ln_codec *c, struct ln_str src,
                            enum ln_json_type type, int idx);
/* The same for an array; n: elements of the table. */
LN_THROWS int ln_walk_array(struct lua_State *L, struct ln_codec *c, struct ln_str src, int idx,
                            size_t n);

/* Appends the value at idx to c->text, made out of that part of the source: what is equal has the
 * source's bytes. */
LN_THROWS int ln_walk_append(struct lua_State *L, struct ln_codec *c, struct ln_str src,
                             enum ln_json_type type, int idx);

/* Pushes a raw name (no quotes) as the Lua string that is its key. */
LN_THROWS void ln_walk_push_name(struct lua_State *L, struct ln_codec *c, struct ln_str name);
struct ln_value_member *ln_walk_member(struct ln_codec *c, size_t base, size_t i);
/* [from, to) becomes what c->text has from off on. */
int ln_walk_edit(struct ln_codec *c, const char *from, const char *to, size_t off);
/* Cuts the run of dropped members that starts at *i, with the comma that would be left over, and
 * moves *i past it. The tail goes into the same edit when the run ends the container. */
int ln_walk_cut(struct ln_codec *c, struct ln_walk *w, size_t *i);
/* Cuts all that are marked and nothing else. */
int ln_walk_cut_all(struct ln_codec *c, size_t base, size_t n);
/* Puts the tail in if there is one and no cut took it. */
int ln_walk_tail(struct ln_codec *c, struct ln_walk *w, struct ln_str container);

#endif
