/* JSON text to Lua values and back, and the way back over a source: only what a policy changed
 * changes in the bytes.
 *
 * In Lua: an object is a plain table, an array a table with the array metatable (so that [] is
 * not {}), null is lightuserdata NULL, a number a double. A table without the metatable is an
 * array when its keys are 1..n, an object when they are strings; an empty one that was decoded as
 * an object is one, any other takes the shape of what it replaces, else it is an object.
 *
 * The codec owns every buffer that encoding and merging need, so nothing leaks when Lua throws in
 * the middle; it is used by one call at a time, never across a call into Lua code. */
#ifndef LN_SCRIPT_VALUE_H
#define LN_SCRIPT_VALUE_H

#include "base/buf.h"
#include "json/json.h"

struct lua_State;

/* Marks C functions that may leave by a Lua error (longjmp): called only below a protected call
 * or a coroutine's resume, holding nothing that only C knows of. */
#define LN_THROWS

/* A step on the way to a value, for messages: a member, or with key == NULL an element. */
struct ln_value_step {
  const char *key;
  size_t len;
  size_t index;
  int table; /* the container's place on the Lua stack; 0: its spellings don't count */
};

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

/* An edit whose text still lies in the codec's growing buffer. */
struct ln_value_edit {
  struct ln_str at;
  size_t off, len;
};

/* LN_VALUE_SKIP: so many bytes that are passed over without a look count as one value. */
enum { LN_VALUE_DEPTH = 200, LN_VALUE_FAULT = 320, LN_VALUE_SKIP = 1024 };

struct ln_codec {
  size_t max_bytes;
  int array_mt;        /* registry reference of the array metatable */
  int origins;         /* and of the weak table of origins, see value_origin.c */
  int spellings;       /* and of that of spellings, see value_spelling.c */
  bool spelt;          /* there was one ever */
  struct ln_str whole; /* the root of what is decoded or merged */
  double mark;         /* of whole, when marked */
  bool marked;
  struct ln_buf text;    /* what is encoded */
  struct ln_buf scratch; /* unescaped strings */
  struct ln_buf keys;    /* struct ln_str[]: sorted keys of the objects being encoded */
  struct ln_buf members; /* struct ln_value_member[], a stack */
  struct ln_buf pending; /* struct ln_value_edit[] */
  struct ln_buf edits;   /* struct ln_edit[]: the outcome */
  struct ln_value_step path[LN_VALUE_DEPTH];
  unsigned depth;
  const char *root; /* its name, for messages; the caller's */
  size_t steps;     /* values and entries looked at since ln_value_begin */
  size_t extra;     /* steps beyond one walk of source and value: see value_walk.h */
  size_t extra_max;
  size_t steps_max; /* while comparing */
  bool comparing;
  bool unordered;
  bool surveyed;        /* inside an object that was not plain: see value_merge.c */
  unsigned trying;      /* objects being tried as plain ones, inside each other */
  const char *optional; /* a root member that is left out when it is an empty table and the
                           source has none */
  char fault[LN_VALUE_FAULT];
};

void ln_codec_init(struct ln_codec *c, size_t max_bytes);
void ln_codec_deinit(struct ln_codec *c);

/* Pushes the value of proven text. */
LN_THROWS void ln_value_push(struct lua_State *L, struct ln_codec *c, struct ln_str json);
/* Pushes the plain text of a raw string value (with quotes). */
LN_THROWS void ln_value_push_string(struct lua_State *L, struct ln_codec *c, struct ln_str value);

/* The value at idx as JSON, members sorted by name: LN_OK with the text in *out (inside the codec,
 * until its next use), or an error with a sentence in c->fault that names the member, starting
 * with root ("result.content[1]: …"). */
LN_THROWS int ln_value_encode(struct lua_State *L, struct ln_codec *c, int idx, const char *root,
                              struct ln_str *out) LN_CHECK;

struct ln_merge {
  struct ln_edit *edits; /* slices of the source, in order; inside the codec until its next use */
  size_t n;
};
/* The edits that turn source into a text whose value is that at idx. Nothing changed: n == 0.
 * optional: see ln_codec, or NULL. Faults as above. */
LN_THROWS int ln_value_merge(struct lua_State *L, struct ln_codec *c, int idx, const char *root,
                             struct ln_str source, const char *optional,
                             struct ln_merge *out) LN_CHECK;

/* --- shared by the value_*.c files --- */

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
/* What is decoded, or merged over, from now on. */
void ln_origin_begin(struct ln_codec *c, struct ln_str whole);
/* Remembers that the table on top was decoded from the value at. */
LN_THROWS void ln_origin_note(struct lua_State *L, struct ln_codec *c, const char *at, bool object);
/* Whether the table at idx is known to have been decoded as an object. */
LN_THROWS bool ln_origin_is_object(struct lua_State *L, const struct ln_codec *c, int idx);
/* Where in c->whole the table at idx was decoded from; NULL when that is not known. */
LN_THROWS const char *ln_origin_in_whole(struct lua_State *L, struct ln_codec *c, int idx);
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
double ln_value_number(struct ln_codec *c, struct ln_str raw);
void ln_value_begin(struct ln_codec *c, const char *root);
/* LN_OK or LN_ESCRIPT; an error that has no sentence yet gets one. */
int ln_value_finish(struct ln_codec *c, int rc);
int ln_value_fault(struct ln_codec *c, const char *fmt, ...) LN_PRINTF(2, 3);
/* LN_EDEPTH with a fault when the path is full. */
int ln_value_enter(struct ln_codec *c, struct ln_value_step step);
void ln_value_leave(struct ln_codec *c);

#endif
