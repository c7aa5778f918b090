/* lunette.shared: a small store of named values that survives reloads. Plain data in C, so that
 * every policy's Lua state can use it; bounded, since keys may come from clients. */
#ifndef LN_SCRIPT_SHARED_H
#define LN_SCRIPT_SHARED_H

#include "base/buf.h"
#include "base/map.h"

enum ln_shared_type {
  LN_SHARED_NIL,
  LN_SHARED_BOOL,
  LN_SHARED_NUMBER,
  LN_SHARED_STRING,
  LN_SHARED_JSON
};

struct ln_shared_value {
  enum ln_shared_type type;
  bool boolean;
  double number;
  struct ln_str text; /* STRING: the bytes; JSON: text. Borrowed from the store until it changes */
};

struct ln_shared;

enum { LN_SHARED_MAX_BYTES = 64 << 20 };

struct ln_shared *ln_shared_new(void);
struct ln_shared *ln_shared_ref(struct ln_shared *s);
void ln_shared_unref(struct ln_shared *s);
/* now, ttl: milliseconds; ttl 0: for ever. */
struct ln_shared_value ln_shared_get(struct ln_shared *s, struct ln_str key, uint64_t now);
/* LN_ELIMIT when the store is full. type NIL deletes. keep_ttl: an old entry keeps its expiry.
 */
int ln_shared_set(struct ln_shared *s, struct ln_str key, const struct ln_shared_value *v,
                  uint64_t now, uint64_t ttl, bool keep_ttl) LN_CHECK;
/* Starts with *i = 0; false at the end. */
bool ln_shared_next(struct ln_shared *s, size_t *i, uint64_t now, struct ln_str *key);
size_t ln_shared_bytes(const struct ln_shared *s);

#endif
