/* JSON text to Lua values (decode), back (encode), and merging an edited value into the text that
 * it was decoded from, so that only bytes of what a policy changed differ. Here is what the
 * value_*.c files share; for others are value_decode.h, value_encode.h and value_merge.h.
 *
 * In Lua an object is a plain table, an array a table with the array metatable (so that [] is not
 * {}), null is lightuserdata NULL, a number a double. A table without the metatable is an array
 * when its keys are 1..n, and an object when they are strings. An empty one is an object when it
 * was decoded as one; else it is what it replaces in the source, else an object.
 *
 * The codec owns all buffers for encoding and merging, so that nothing leaks when Lua throws. It is
 * used by one call at a time, never across a call of Lua code. */
#ifndef LN_SCRIPT_VALUE_H
#define LN_SCRIPT_VALUE_H

#include "base/buf.h"
#include "json/json.h"
#include "script/throws.h"

struct lua_State;

/* A step of the path to a value: a member; with key == NULL an element. */
struct ln_value_step {
  const char *key;
  size_t len;
  size_t index;
  int table; /* the container's Lua stack index; 0: value_spelling.c ignores it */
};

/* LN_VALUE_SKIP: skipping so many bytes counts as one step. */
enum { LN_VALUE_DEPTH = 200, LN_VALUE_FAULT = 320, LN_VALUE_SKIP = 1024 };

struct ln_codec {
  size_t max_bytes;
  int array_mt;        /* registry reference of the array metatable */
  int origins;         /* and of the weak table of origins, see value_origin.c */
  int spellings;       /* and of that of spellings, see value_spelling.c */
  bool spelt;          /* there has been a number for `spellings` */
  struct ln_str whole; /* the root of what is decoded or merged */
  double mark;         /* a hash of whole (value_origin.c), when marked */
  bool marked;
  struct ln_buf text;    /* what is encoded */
  struct ln_buf scratch; /* unescaped strings */
  struct ln_buf keys;    /* struct ln_str[]: sorted keys of the objects being encoded */
  struct ln_buf members; /* struct ln_value_member[], a stack */
  struct ln_buf pending; /* struct ln_value_edit[] */
  struct ln_buf edits;   /* struct ln_edit[]: the outcome */
  struct ln_value_step path[LN_VALUE_DEPTH]; /* to the current value */
  unsigned depth;
  const char *root; /* its name, for messages; the caller's */
  size_t steps;     /* values and entries looked at since ln_value_begin */
  size_t extra;     /* steps beyond one walk of source and value: see value_walk.h */
  size_t extra_max;
  size_t steps_max;     /* while comparing: then it gives up */
  bool comparing;       /* only finds out whether value and source are equal */
  bool unordered;       /* pending edits must be sorted */
  bool surveyed;        /* inside an object that was not plain: see value_merge.c */
  unsigned trying;      /* how many objects around are being tried as plain ones */
  const char *optional; /* a member of the root that is left out when it is an empty table and the
                           source doesn't have it */
  char fault[LN_VALUE_FAULT];
};

void ln_codec_init(struct ln_codec *c, size_t max_bytes);
void ln_codec_deinit(struct ln_codec *c);

double ln_value_number(struct ln_codec *c, struct ln_str raw);
/* To be called before encoding or merging; root: the value's name in messages. */
void ln_value_begin(struct ln_codec *c, const char *root);
/* LN_OK or LN_ESCRIPT; sets c->fault for an error that has not set it. */
int ln_value_finish(struct ln_codec *c, int rc);
int ln_value_fault(struct ln_codec *c, const char *fmt, ...) LN_PRINTF(2, 3);
/* LN_EDEPTH with a fault when the path is full. */
int ln_value_enter(struct ln_codec *c, struct ln_value_step step);
void ln_value_leave(struct ln_codec *c);

#endif
