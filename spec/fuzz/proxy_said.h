/* What a script's servers and clients have said and were told, for proxy.c. */
#ifndef LN_FUZZ_PROXY_SAID_H
#define LN_FUZZ_PROXY_SAID_H

#include "cuts.h"
#include "rpc/message.h"

enum { MAX_BAG = 2000 };

/* --- things that were said: raw values, as often as they were --- */

struct bag {
  struct ln_bytes *at[MAX_BAG];
  size_t n;
};

static inline bool same(const struct ln_bytes *b, struct ln_str s) {
  return b->len == s.n && memcmp(b->data, s.p, s.n) == 0;
}

static inline bool has(const struct bag *bag, struct ln_str s) {
  for (size_t i = 0; i < bag->n; i++)
    if (same(bag->at[i], s)) return true;
  return false;
}

static inline void put(struct bag *bag, struct ln_str s) {
  if (s.p && bag->n < MAX_BAG) bag->at[bag->n++] = ln_bytes_copy(s.p, s.n);
}

/* The i-th goes; the order stays. The caller's reference. */
static inline struct ln_bytes *take_at(struct bag *bag, size_t i) {
  struct ln_bytes *b = bag->at[i];
  memmove(bag->at + i, bag->at + i + 1, (--bag->n - i) * sizeof b);
  return b;
}

static inline bool take(struct bag *bag, struct ln_str s) {
  for (size_t i = 0; i < bag->n; i++) {
    if (!same(bag->at[i], s)) continue;
    ln_bytes_unref(take_at(bag, i));
    return true;
  }
  return false;
}

static inline void empty(struct bag *bag) {
  while (bag->n) ln_bytes_unref(bag->at[--bag->n]);
}

/* --- messages --- */

static const struct ln_msg_limits any = {
    .json = {.max_bytes = SIZE_MAX, .max_depth = 1000, .max_members = UINT32_MAX}};

static inline struct ln_msg *parsed(const char *p, size_t n, const struct ln_msg_limits *limits) {
  struct ln_bytes *b = ln_bytes_copy(p, n);
  struct ln_msg_fault fault = {0};
  struct ln_msg *m = NULL;
  if (ln_msg_parse(b, ln_json_trim((struct ln_str){b->data, b->len}), limits, &m, &fault)) m = NULL;
  ln_bytes_unref(fault.id_bytes);
  ln_bytes_unref(b);
  return m;
}

/* What Lunette sends: must be a message. */
static inline struct ln_msg *sent(const struct ln_iov *parts, size_t n) {
  struct ln_buf b;
  ln_buf_init(&b, SIZE_MAX / 2);
  for (size_t i = 0; i < n; i++) MUST(!ln_buf_append(&b, parts[i].p, parts[i].n));
  MUST(!memchr(b.data, '\n', b.len) && !memchr(b.data, '\r', b.len));
  struct ln_msg *m = parsed(b.data, b.len, &any);
  if (!m) fprintf(stderr, "no message: %.*s\n", (int)b.len, b.data);
  MUST(m);
  ln_buf_deinit(&b);
  return m;
}

static inline bool tells_progress(const struct ln_msg *m) {
  return m->kind == LN_MSG_NOTIFICATION && ln_str_is(m->method, "notifications/progress");
}

#endif
