/* The member names of the objects that are open while a text is scanned, to find twins.
 * Private to src/json/.
 *
 * All open objects share one stack of names: an object owns the names from its start index to
 * the top, since whatever it contains has been closed by the time it gets another name. Names
 * are offsets into the text; nothing is copied. The first few names of an object are compared
 * one by one; past that its names are also linked into one table of chains shared by all
 * objects. Names join at the head of a chain and leave in the opposite order, so leaving is
 * putting back the old head, and a lookup ends at the first name older than its object.
 *
 * Nothing is allocated before LN_JSON_NAMES_INLINE names are open or one object outgrows the
 * direct comparison. */
#ifndef LN_JSON_NAMES_H
#define LN_JSON_NAMES_H

#include "base/base.h"
#include "base/err.h"

enum { LN_JSON_NAMES_INLINE = 48 };
#define LN_JSON_UNLINKED UINT32_MAX

struct ln_json_name {
  uint32_t at;   /* offset of its first byte in the text */
  uint32_t n;    /* bytes; the top bit says that it holds an escape */
  uint32_t hash; /* linked: of the unescaped name; else its first bytes */
  uint32_t next; /* linked: the next in the chain, as index + 1; else LN_JSON_UNLINKED */
};

struct ln_json_names {
  const char *text;
  struct ln_json_name *list;
  uint32_t len;
  uint32_t cap;
  uint32_t linked;
  uint32_t n_heads; /* a power of two, or 0 */
  uint32_t *heads;  /* index + 1 of the newest name in each chain; 0: empty */
  struct ln_json_name first[LN_JSON_NAMES_INLINE];
};

/* text must be shorter than 2 GiB. */
void ln_json_names_init(struct ln_json_names *names, const char *text);
void ln_json_names_deinit(struct ln_json_names *names);
/* Adds raw (without quotes) to the object that began when len was start. LN_EDUPLICATE,
 * LN_ENOMEM. */
int ln_json_names_add(struct ln_json_names *names, uint32_t start, struct ln_str raw,
                      bool escaped) LN_CHECK;
/* The object that began at start is closed. */
void ln_json_names_close(struct ln_json_names *names, uint32_t start);

#endif
