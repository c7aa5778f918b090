/* A hash map from bytes to pointers, open addressing with linear probing, hashed with a key
 * drawn at random per process: names come from peers. Keys are not copied: they must live as
 * long as their entry. Integer keys are the bytes of an int64_t inside the value. */
#ifndef LN_BASE_MAP_H
#define LN_BASE_MAP_H

#include "base/base.h"
#include "base/err.h"

struct ln_map_slot {
  struct ln_str key; /* p == NULL: empty; p == tombstone: removed */
  uint64_t hash;
  void *value;
};

struct ln_map {
  struct ln_map_slot *slots;
  size_t cap; /* a power of two, or 0 */
  size_t len;
  size_t used; /* len plus tombstones */
};

void ln_map_init(struct ln_map *m);
void ln_map_deinit(struct ln_map *m); /* frees slots, not keys or values */
void *ln_map_get(const struct ln_map *m, struct ln_str key);
/* Inserts or replaces (a replaced entry takes the new key pointer too). LN_ENOMEM. */
int ln_map_put(struct ln_map *m, struct ln_str key, void *value) LN_CHECK;
/* The removed value, or NULL. */
void *ln_map_remove(struct ln_map *m, struct ln_str key);
/* The hash the map uses; also for duplicate detection elsewhere. */
uint64_t ln_hash(struct ln_str s);

/* Iterates in no order: start with *i = 0; false at the end. No insertion meanwhile. */
bool ln_map_next(const struct ln_map *m, size_t *i, struct ln_map_slot **slot);

#endif
