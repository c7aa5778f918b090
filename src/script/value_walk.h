/* Walking a source and a table together, for value_merge.c and value_align.c: the members of the
 * source's containers being walked, the edits so far, and the limit on steps.
 *
 * A merge needs one walk that looks at everything once. Looking twice (comparisons that fail, an
 * object that turns out not to be plain, an element used more than once) gives fewer or smaller
 * edits, but could take quadratic time. Such steps are counted in c->extra and limited in
 * proportion to the source's length; past the limit values are encoded anew instead. So a merge
 * takes time linear in source and result, whatever was done to the table. */
#ifndef LN_SCRIPT_VALUE_WALK_H
#define LN_SCRIPT_VALUE_WALK_H

#include "script/value.h"

/* A member or element of a source container while it is merged. */
struct ln_value_member {
  struct ln_str name; /* raw, no quotes; absent for elements */
  struct ln_str value;
  enum ln_json_type type;
  const void *key; /* the address of the Lua string, NULL when the table has no such key */
  size_t at;       /* elements: the index in the Lua table */
  size_t before;   /* elements: how many of the Lua table go in before this one */
  bool drop;
  bool claimed; /* a table that was made of this very element is in the Lua table */
  bool used;    /* it was laid over this element, or will be */
  bool same;    /* known to be equal already */
  bool twin;    /* a later member has the same name */
};

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
/* The edits from the `from`-th byte of c->pending on become the text that src is with them. It
 * takes the place of their own texts, which are what c->text has from off on. */
int ln_walk_lay_over(struct ln_codec *c, struct ln_str src, size_t from, size_t off);
/* All edits, in order; inside the codec until its next use. */
int ln_walk_edits(struct ln_codec *c, struct ln_edit **edits, size_t *count);

#endif
