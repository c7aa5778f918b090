/* See shared.h. An entry is one block: header, key, text. Expired entries are freed when they are
 * looked up, or all at once when the store is full. */
#include "script/shared.h"

#include <stdlib.h>

struct entry {
  uint64_t expires; /* 0: never */
  enum ln_shared_type type;
  bool boolean;
  double number;
  size_t key_len, text_len;
  char bytes[]; /* key, then text */
};

struct ln_shared {
  uint32_t refs;
  struct ln_map map;
  size_t bytes;
};

struct ln_shared *ln_shared_new(void) {
  struct ln_shared *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->refs = 1;
  ln_map_init(&s->map);
  return s;
}

struct ln_shared *ln_shared_ref(struct ln_shared *s) {
  s->refs++;
  return s;
}

void ln_shared_unref(struct ln_shared *s) {
  if (!s || --s->refs) return;
  struct ln_map_slot *slot;
  for (size_t i = 0; ln_map_next(&s->map, &i, &slot);) free(slot->value);
  ln_map_deinit(&s->map);
  free(s);
}

size_t ln_shared_bytes(const struct ln_shared *s) {
  return s->bytes;
}

static size_t size_of(const struct entry *e) {
  return sizeof *e + e->key_len + e->text_len;
}

static bool expired(const struct entry *e, uint64_t now) {
  return e->expires && e->expires <= now;
}

static void drop(struct ln_shared *s, struct ln_str key) {
  struct entry *e = ln_map_remove(&s->map, key);
  if (!e) return;
  s->bytes -= size_of(e);
  free(e);
}

static void sweep(struct ln_shared *s, uint64_t now) {
  struct ln_map_slot *slot;
  for (size_t i = 0; ln_map_next(&s->map, &i, &slot);)
    if (expired(slot->value, now)) drop(s, slot->key);
}

static struct entry *find(struct ln_shared *s, struct ln_str key, uint64_t now) {
  struct entry *e = ln_map_get(&s->map, key);
  if (!e || !expired(e, now)) return e;
  drop(s, key);
  return NULL;
}

struct ln_shared_value ln_shared_get(struct ln_shared *s, struct ln_str key, uint64_t now) {
  const struct entry *e = find(s, key, now);
  if (!e) return (struct ln_shared_value){.type = LN_SHARED_NIL};
  return (struct ln_shared_value){
      e->type, e->boolean, e->number, {e->bytes + e->key_len, e->text_len}};
}

int ln_shared_set(struct ln_shared *s, struct ln_str key, const struct ln_shared_value *v,
                  uint64_t now, uint64_t ttl, bool keep_ttl) {
  struct entry *old = find(s, key, now);
  if (v->type == LN_SHARED_NIL) {
    drop(s, key);
    return LN_OK;
  }
  size_t text = v->type == LN_SHARED_STRING || v->type == LN_SHARED_JSON ? v->text.n : 0;
  size_t need = sizeof *old + key.n + text, have = old ? size_of(old) : 0;
  if (s->bytes - have + need > LN_SHARED_MAX_BYTES) sweep(s, now);
  old = find(s, key, now);
  have = old ? size_of(old) : 0;
  if (s->bytes - have + need > LN_SHARED_MAX_BYTES) return LN_ELIMIT;
  struct entry *e = malloc(need);
  if (!e) return LN_ENOMEM;
  *e = (struct entry){.expires = ttl ? now + ttl : 0,
                      .type = v->type,
                      .boolean = v->boolean,
                      .number = v->number,
                      .key_len = key.n,
                      .text_len = text};
  if (keep_ttl && old) e->expires = old->expires;
  if (key.n) memcpy(e->bytes, key.p, key.n);
  if (text) memcpy(e->bytes + key.n, v->text.p, text);
  int rc = ln_map_put(&s->map, (struct ln_str){e->bytes, key.n}, e);
  if (rc) {
    free(e);
    return rc;
  }
  s->bytes = s->bytes - have + need;
  free(old);
  return LN_OK;
}

bool ln_shared_next(struct ln_shared *s, size_t *i, uint64_t now, struct ln_str *key) {
  struct ln_map_slot *slot;
  while (ln_map_next(&s->map, i, &slot)) {
    if (expired(slot->value, now)) continue;
    *key = slot->key;
    return true;
  }
  return false;
}
