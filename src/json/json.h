/* JSON as Lunette needs it: one strict pass that proves a text valid (RFC 8259, UTF-8), then
 * cursors that walk the proven bytes without building a tree, string helpers, and splicing.
 *
 * Ownership: everything is slices into the caller's bytes; nothing is allocated unless a
 * function takes an ln_buf. Whatever goes wrong then the buffer remembers, as of its own appends
 * (base/buf.h). Cursors and getters may be used on proven text only: they trust it and check no
 * syntax. */
#ifndef LN_JSON_JSON_H
#define LN_JSON_JSON_H

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

enum ln_json_type {
  LN_JSON_NONE,
  LN_JSON_NULL,
  LN_JSON_FALSE,
  LN_JSON_TRUE,
  LN_JSON_NUMBER,
  LN_JSON_STRING,
  LN_JSON_ARRAY,
  LN_JSON_OBJECT,
};

struct ln_json_limits {
  size_t max_bytes;     /* of the whole text */
  uint32_t max_depth;   /* containers inside each other; a scalar has depth 0 */
  uint32_t max_members; /* in one object, while unique is set (bounds its memory) */
  bool unique;          /* refuse a member name that appears twice in one object, compared
                           after unescaping, at any depth */
};

/* What the scan learned on its way. */
struct ln_json_info {
  enum ln_json_type type; /* of the root */
  bool newlines;          /* raw CR or LF between tokens, not counting those around the root:
                             trimmed, the text is not fit for one line */
  bool lone_surrogates;   /* some string has an escape that is half a pair */
  size_t error_at;        /* on error: offset of the first byte that is wrong */
};

#ifndef LN_FFI
#define LN_JSON_LIMITS_DEFAULT \
  ((struct ln_json_limits){.max_bytes = 4u << 20, .max_depth = 128, .max_members = 65536})
#endif

/* Proves that text is exactly one JSON value with nothing but white space around it (no BOM,
 * no NUL, no comment). 0, or LN_ESYNTAX, LN_EUTF8, LN_EDEPTH, LN_EDUPLICATE, LN_ELIMIT,
 * LN_ENOMEM; info is filled either way. Lone surrogate escapes are valid JSON and only
 * reported. Linear in the text's length, also for hostile input; no recursion. */
int ln_json_scan(struct ln_str text, const struct ln_json_limits *limits,
                 struct ln_json_info *info) LN_CHECK;

/* --- cursors over proven text --- */

struct ln_json_cur {
  const char *p;
  const char *end;
};

/* One value inside its container. Slices are raw bytes: a string value keeps its quotes, a
 * member's key has none. No white space at either end of value. */
struct ln_json_item {
  struct ln_str key; /* p == NULL for array elements */
  struct ln_str value;
  enum ln_json_type type;
};

/* The text without the white space around it, and its type by the first byte. */
struct ln_str ln_json_trim(struct ln_str text);
enum ln_json_type ln_json_type_of(struct ln_str value);
/* Quotes off: the inside of a string value; absent when value is no string. */
struct ln_str ln_json_inside(struct ln_str value);
/* Starts on a container (trimmed or not; anything else gives a cursor that ends at once). */
struct ln_json_cur ln_json_enter(struct ln_str container);
/* The next member or element; false at the end. */
bool ln_json_next(struct ln_json_cur *cur, struct ln_json_item *item);
/* The same, but into a container instead of past it, which saves looking for its end: its value is
 * the opening bracket alone, and what comes next are its own items. When these have ended,
 * ln_json_leave goes on behind it. */
bool ln_json_step(struct ln_json_cur *cur, struct ln_json_item *item);
void ln_json_leave(struct ln_json_cur *cur);
/* The whole value of the item that was stepped into after all; cur goes on behind it. */
struct ln_str ln_json_whole(struct ln_json_cur *cur, const struct ln_json_item *item);
/* The member called name (plain, unescaped), comparing after unescaping. With twins the last
 * one, as most parsers take it. False when absent or when object is not an object. */
bool ln_json_get(struct ln_str object, const char *name, struct ln_json_item *item);
/* Elements or members in a container; 0 for scalars. */
size_t ln_json_count(struct ln_str container);

/* --- strings and numbers --- */

/* raw is a string's inside, without quotes. */
bool ln_json_str_is(struct ln_str raw, const char *plain);
bool ln_json_str_eq(struct ln_str raw_a, struct ln_str raw_b);
/* Appends raw unescaped as UTF-8. A lone surrogate becomes U+FFFD when lossy is set, else
 * LN_EUTF8 (what was appended stays). */
int ln_json_unescape(struct ln_str raw, bool lossy, struct ln_buf *out);
/* raw unescaped; raw itself, nothing copied, when it has no escape, else a slice of scratch
 * (cleared first). LN_EUTF8 on a lone surrogate. */
int ln_json_plain(struct ln_str raw, struct ln_buf *scratch, struct ln_str *plain) LN_CHECK;
/* A string value as a text of its own, unescaped (lossy). One reference; NULL when value is no
 * string or memory is out. */
struct ln_bytes *ln_json_text(struct ln_str value);
/* Appends s quoted. s must be UTF-8: bytes that are not become U+FFFD. '/' is not escaped;
 * control characters are, in the shortest form. On an error nothing is appended. */
int ln_json_quote(struct ln_buf *out, struct ln_str s);
/* True when s is UTF-8 (no overlong forms, no surrogates, at most U+10FFFF). */
bool ln_utf8_valid(struct ln_str s);
/* Appends the shortest decimal that reads back as d; integers up to 2^53 without exponent or
 * fraction, -0 as "-0". No locale changes it. LN_EINVALID for NaN and infinities. */
int ln_json_number(struct ln_buf *out, double d);
/* An integer literal (no fraction, no exponent, no "-0") that fits; false otherwise. */
bool ln_json_int(struct ln_str raw, int64_t *out);
/* A number literal as a double, whatever the locale. scratch: room for one of any length; NULL:
 * only the first digits of a very long one count. */
double ln_json_double(struct ln_str raw, struct ln_buf *scratch);

/* --- editing --- */

/* One replacement: at is a slice of the source text (an empty one inserts before it). */
struct ln_edit {
  struct ln_str at;
  struct ln_str with;
};

/* The source with the edits carried out, as parts of a vectored write. Edits must lie inside
 * source, in order of place, not overlapping. owner is set on parts of the source; parts of
 * an edit get none. Returns the number of parts (at most 2 * n_edits + 1), or LN_EFULL when
 * max_parts is too small. */
int ln_json_splice(struct ln_str source, struct ln_bytes *owner, const struct ln_edit *edits,
                   size_t n_edits, struct ln_iov *parts, size_t max_parts) LN_CHECK;
/* The edit that removes a member or element together with one comma. item must have come from
 * container. Two items that are neighbours share a comma: to remove several use the next. */
struct ln_edit ln_json_cut(struct ln_str container, const struct ln_json_item *item);
/* The edits that remove n items of one container, given in order of place, so that what is
 * left is separated by commas as it should be. Neighbours go in one edit; room for n edits.
 * Returns how many there are. */
size_t ln_json_cut_all(struct ln_str container, const struct ln_json_item *items, size_t n,
                       struct ln_edit *edits);
/* Gives the proven object in the buffer this member (value: raw), in the place of one that it has,
 * else as its last. name needs no escapes. */
int ln_json_put_member(struct ln_buf *object, const char *name, struct ln_str value);
/* Appends text with every raw CR and LF between and around tokens dropped: one line, nothing
 * else changed. text is proven. */
int ln_json_one_line(struct ln_str text, struct ln_buf *out);

#endif
