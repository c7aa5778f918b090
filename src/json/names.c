/* Twin detection for the scan; see names.h for how it works.
 *
 * Cost: a name is compared directly with at most DIRECT others, each comparison no longer than
 * the name itself, or hashed once with a key that a peer can't know; either way the whole text
 * is linear. Memory: 16 bytes a name plus 4 to 8 a linked one, for names of open objects only. */
#include "json/names.h"

#include <stdlib.h>

#include "base/map.h"
#include "json/json.h"
#include "json/string.h"

enum { DIRECT = 16 };

#define ESCAPED 0x80000000u

void ln_json_names_init(struct ln_json_names *names, const char *text) {
  names->text = text;
  names->list = names->first;
  names->len = names->linked = names->n_heads = 0;
  names->cap = LN_JSON_NAMES_INLINE;
  names->heads = NULL;
}

void ln_json_names_deinit(struct ln_json_names *names) {
  if (names->list != names->first) free(names->list);
  free(names->heads);
}

static struct ln_str slice(const struct ln_json_names *names, const struct ln_json_name *name) {
  return (struct ln_str){names->text + name->at, name->n & ~ESCAPED};
}

static bool same(const struct ln_json_names *names, const struct ln_json_name *a,
                 const struct ln_json_name *b) {
  if ((a->n | b->n) & ESCAPED) return ln_json_str_eq(slice(names, a), slice(names, b));
  return a->n == b->n && a->hash == b->hash &&
         memcmp(names->text + a->at, names->text + b->at, a->n) == 0;
}

/* What tells most names apart without a call: their first bytes. */
static uint32_t first_bytes(struct ln_str raw) {
  uint32_t w = 0;
  if (raw.n >= sizeof w)
    memcpy(&w, raw.p, sizeof w);
  else if (raw.n)
    memcpy(&w, raw.p, raw.n);
  return w;
}

static int hash_of(struct ln_str raw, bool escaped, uint32_t *hash) {
  if (!escaped) {
    *hash = (uint32_t)ln_hash(raw);
    return LN_OK;
  }
  char small[256];
  char *plain = raw.n <= sizeof small ? small : malloc(raw.n);
  if (!plain) return LN_ENOMEM;
  *hash = (uint32_t)ln_hash((struct ln_str){plain, ln_json_flatten(raw, plain)});
  if (plain != small) free(plain);
  return LN_OK;
}

static int grow_list(struct ln_json_names *names) {
  /* Indices + 1 must fit, and stay apart from LN_JSON_UNLINKED. */
  if (names->cap >= UINT32_MAX / 4) return LN_ELIMIT;
  size_t cap = (size_t)names->cap * 2;
  bool inside = names->list == names->first;
  struct ln_json_name *list = realloc(inside ? NULL : names->list, cap * sizeof *list);
  if (!list) return LN_ENOMEM;
  if (inside) memcpy(list, names->first, sizeof names->first);
  names->list = list;
  names->cap = (uint32_t)cap;
  return LN_OK;
}

static void link_name(struct ln_json_names *names, uint32_t i) {
  uint32_t *head = &names->heads[names->list[i].hash & (names->n_heads - 1)];
  names->list[i].next = *head;
  *head = i + 1;
}

/* Heads for at least n linked names. Names are linked again from the oldest, so that every
 * chain still runs from new to old. */
static int reserve_heads(struct ln_json_names *names, uint32_t n) {
  if (n <= names->n_heads) return LN_OK;
  size_t n_heads = names->n_heads ? names->n_heads : 64;
  while (n_heads < n) n_heads *= 2;
  uint32_t *heads = calloc(n_heads, sizeof *heads);
  if (!heads) return LN_ENOMEM;
  free(names->heads);
  names->heads = heads;
  names->n_heads = (uint32_t)n_heads;
  for (uint32_t i = 0; i < names->len; i++)
    if (names->list[i].next != LN_JSON_UNLINKED) link_name(names, i);
  return LN_OK;
}

/* The object outgrew direct comparison: its names so far join the table. */
static int link_all(struct ln_json_names *names, uint32_t start) {
  for (uint32_t i = start; i < names->len; i++) {
    struct ln_json_name *name = &names->list[i];
    int rc = hash_of(slice(names, name), name->n & ESCAPED, &name->hash);
    if (rc == LN_OK) rc = reserve_heads(names, names->linked + 1);
    if (rc) return rc;
    link_name(names, i);
    names->linked++;
  }
  return LN_OK;
}

static int add_linked(struct ln_json_names *names, uint32_t start, struct ln_json_name *name) {
  int rc = names->len - start == DIRECT ? link_all(names, start) : LN_OK;
  if (rc == LN_OK) rc = reserve_heads(names, names->linked + 1);
  if (rc == LN_OK) rc = hash_of(slice(names, name), name->n & ESCAPED, &name->hash);
  if (rc) return rc;
  uint32_t i = names->heads[name->hash & (names->n_heads - 1)];
  for (; i > start; i = names->list[i - 1].next) {
    const struct ln_json_name *other = &names->list[i - 1];
    if (other->hash == name->hash && same(names, other, name)) return LN_EDUPLICATE;
  }
  names->list[names->len] = *name;
  link_name(names, names->len++);
  names->linked++;
  return LN_OK;
}

int ln_json_names_add(struct ln_json_names *names, uint32_t start, struct ln_str raw,
                      bool escaped) {
  if (names->len == names->cap) {
    int rc = grow_list(names);
    if (rc) return rc;
  }
  struct ln_json_name name = {
      .at = (uint32_t)(raw.p - names->text),
      .n = (uint32_t)raw.n | (escaped ? ESCAPED : 0),
      .hash = first_bytes(raw),
      .next = LN_JSON_UNLINKED,
  };
  if (names->len - start >= DIRECT) return add_linked(names, start, &name);
  for (uint32_t i = start; i < names->len; i++)
    if (same(names, &names->list[i], &name)) return LN_EDUPLICATE;
  names->list[names->len++] = name;
  return LN_OK;
}

void ln_json_names_close(struct ln_json_names *names, uint32_t start) {
  if (names->len - start > DIRECT) {
    names->linked -= names->len - start;
    while (names->len > start) {
      const struct ln_json_name *name = &names->list[--names->len];
      names->heads[name->hash & (names->n_heads - 1)] = name->next;
    }
  }
  names->len = start;
}
