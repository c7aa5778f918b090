/* The hash map; see map.h. The hash is SipHash-1-3, keyed once per process. */
#include "base/map.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static const char tombstone_byte;
#define TOMBSTONE (&tombstone_byte)

static uint64_t hash_key[2];

__attribute__((constructor)) static void hash_seed(void) {
  if (getrandom(hash_key, sizeof hash_key, GRND_NONBLOCK) == (ssize_t)sizeof hash_key) return;
  /* Very early at boot only; a guessable key costs speed under attack, nothing else. */
  hash_key[0] = (uint64_t)time(NULL);
  hash_key[1] = (uint64_t)(uintptr_t)&hash_key;
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIPROUND                                              \
  do {                                                        \
    v0 += v1, v1 = ROTL(v1, 13), v1 ^= v0, v0 = ROTL(v0, 32); \
    v2 += v3, v3 = ROTL(v3, 16), v3 ^= v2;                    \
    v0 += v3, v3 = ROTL(v3, 21), v3 ^= v0;                    \
    v2 += v1, v1 = ROTL(v1, 17), v1 ^= v2, v2 = ROTL(v2, 32); \
  } while (0)

uint64_t ln_hash(struct ln_str s) {
  uint64_t v0 = 0x736f6d6570736575ULL ^ hash_key[0], v1 = 0x646f72616e646f6dULL ^ hash_key[1];
  uint64_t v2 = 0x6c7967656e657261ULL ^ hash_key[0], v3 = 0x7465646279746573ULL ^ hash_key[1];
  size_t i = 0;
  for (; i + 8 <= s.n; i += 8) {
    uint64_t m;
    memcpy(&m, s.p + i, 8);
    v3 ^= m;
    SIPROUND;
    v0 ^= m;
  }
  uint64_t last = (uint64_t)s.n << 56, tail = 0;
  if (i < s.n) memcpy(&tail, s.p + i, s.n - i);
  last |= tail & 0x00ffffffffffffffULL;
  v3 ^= last;
  SIPROUND;
  v0 ^= last;
  v2 ^= 0xff;
  SIPROUND;
  SIPROUND;
  SIPROUND;
  return v0 ^ v1 ^ v2 ^ v3;
}

void ln_map_init(struct ln_map *m) {
  *m = (struct ln_map){0};
}

void ln_map_deinit(struct ln_map *m) {
  free(m->slots);
  ln_map_init(m);
}

/* The slot that holds key, or NULL. */
static struct ln_map_slot *find(const struct ln_map *m, struct ln_str key, uint64_t h) {
  if (!m->cap) return NULL;
  for (size_t i = h & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
    struct ln_map_slot *s = &m->slots[i];
    if (!s->key.p) return NULL;
    if (s->key.p != TOMBSTONE && s->hash == h && ln_str_eq(s->key, key)) return s;
  }
}

static void place(struct ln_map_slot *slots, size_t cap, struct ln_map_slot entry) {
  size_t i = entry.hash & (cap - 1);
  while (slots[i].key.p) i = (i + 1) & (cap - 1);
  slots[i] = entry;
}

static int grow(struct ln_map *m) {
  size_t cap = 8;
  while (cap < m->len * 2 + 2) cap *= 2;
  struct ln_map_slot *slots = calloc(cap, sizeof *slots);
  if (!slots) return LN_ENOMEM;
  for (size_t i = 0; i < m->cap; i++)
    if (m->slots[i].key.p && m->slots[i].key.p != TOMBSTONE) place(slots, cap, m->slots[i]);
  free(m->slots);
  m->slots = slots;
  m->cap = cap;
  m->used = m->len;
  return LN_OK;
}

void *ln_map_get(const struct ln_map *m, struct ln_str key) {
  struct ln_map_slot *s = find(m, key, ln_hash(key));
  return s ? s->value : NULL;
}

int ln_map_put(struct ln_map *m, struct ln_str key, void *value) {
  LN_ASSERT(key.p != NULL);
  uint64_t h = ln_hash(key);
  struct ln_map_slot *s = find(m, key, h);
  if (s) {
    s->key = key;
    s->value = value;
    return LN_OK;
  }
  if ((m->used + 1) * 4 > m->cap * 3) {
    int rc = grow(m);
    if (rc) return rc;
  }
  place(m->slots, m->cap, (struct ln_map_slot){key, h, value});
  m->len++;
  m->used++;
  return LN_OK;
}

/* No search goes past an empty slot: before one no tombstones are needed. So a map that is emptied
 * as fast as it is filled, as one of what is under way, needs not be made anew time and again. */
static void vacate(struct ln_map *m, size_t i) {
  size_t mask = m->cap - 1;
  m->slots[i] = (struct ln_map_slot){.key = {TOMBSTONE, 0}};
  if (m->slots[(i + 1) & mask].key.p) return;
  for (; m->slots[i].key.p == TOMBSTONE; i = (i - 1) & mask) {
    m->slots[i].key.p = NULL;
    m->used--;
  }
}

void *ln_map_remove(struct ln_map *m, struct ln_str key) {
  struct ln_map_slot *s = find(m, key, ln_hash(key));
  if (!s) return NULL;
  void *value = s->value;
  vacate(m, (size_t)(s - m->slots));
  m->len--;
  return value;
}

bool ln_map_next(const struct ln_map *m, size_t *i, struct ln_map_slot **slot) {
  for (; *i < m->cap; (*i)++) {
    struct ln_map_slot *s = &m->slots[*i];
    if (!s->key.p || s->key.p == TOMBSTONE) continue;
    (*i)++;
    *slot = s;
    return true;
  }
  return false;
}
