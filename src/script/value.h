/* JSON text to Lua values and back, and the way back over a source: only what a policy changed
 * changes in the bytes. Here is what the value_*.c files share; what others call is in
 * value_decode.h, value_encode.h and value_merge.h.
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
#include "script/throws.h"

struct lua_State;

/* A step on the way to a value, for messages: a member, or with key == NULL an element. */
struct ln_value_step {
  const char *key;
  size_t len;
  size_t index;
  int table; /* the container's place on the Lua stack; 0: its spellings don't count */
};

/* LN_VALUE_SKIP: so many bytes that are passed over without a look count as one value. */
enum { LN_VALUE_DEPTH = 200, LN_VALUE_FAULT = 320, LN_VALUE_SKIP = 1024 };

struct ln_codec {
  size_t max_bytes;
  int array_mt;        /* registry reference of the array metatable */
  int origins;         /* and of the weak table of origins, see value_origin.c */
  int spellings;       /* and of that of spellings, see value_spelling.c */
  bool spelt;          /* some number was noted since the codec was made */
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
  size_t steps_max;     /* while comparing */
  bool comparing;       /* nothing is recorded: is it equal? */
  bool unordered;       /* pending edits are to be sorted */
  bool surveyed;        /* inside an object that was not plain: see value_merge.c */
  unsigned trying;      /* objects being tried as plain ones, inside each other */
  const char *optional; /* a root member that is left out when it is an empty table and the
                           source has none */
  char fault[LN_VALUE_FAULT];
};

void ln_codec_init(struct ln_codec *c, size_t max_bytes);
void ln_codec_deinit(struct ln_codec *c);

double ln_value_number(struct ln_codec *c, struct ln_str raw);
/* Before anything is encoded or merged; root: its name, for messages. */
void ln_value_begin(struct ln_codec *c, const char *root);
/* LN_OK or LN_ESCRIPT; an error that has no sentence yet gets one. */
int ln_value_finish(struct ln_codec *c, int rc);
int ln_value_fault(struct ln_codec *c, const char *fmt, ...) LN_PRINTF(2, 3);
/* LN_EDEPTH with a fault when the path is full. */
int ln_value_enter(struct ln_codec *c, struct ln_value_step step);
void ln_value_leave(struct ln_codec *c);

#endif
