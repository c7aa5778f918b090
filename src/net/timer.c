/* The timer wheel; loop_impl.h has its picture. Starting and stopping link and unlink a node
 * and set a bit; libuv has one timer for all, set anew only before a poll and only when the
 * earliest deadline changed.
 *
 * Invariants: a running timer is linked in one slot or in `due`; t->due > wheel.now while it is
 * in a slot; a bit in `used` is set exactly when its slot isn't empty. */
#include "net/loop_impl.h"

enum {
  BITS = 6,
  /* How many timers of a slot are looked at to find its earliest exactly. In a fuller one we
   * wake when the slot begins, to spread it over the lower levels: rare, and cheaper. */
  EXACT_SCAN = 16
};
static const uint64_t last_tick = (1ULL << (BITS * LN_WHEEL_LEVELS)) - 1;
static const uint64_t longest_ms = 100000000000ULL; /* three years */
static const uint64_t forever_ms = 1ULL << 40;

static void on_wake(uv_timer_t *h);

void ln_wheel_init(struct ln_loop *l) {
  struct ln_wheel *w = &l->wheel;
  for (size_t i = 0; i < LN_WHEEL_LEVELS; i++)
    for (size_t j = 0; j < LN_WHEEL_SLOTS; j++) ln_list_init(&w->slots[i][j]);
  ln_list_init(&w->due);
  w->base_ms = uv_now(&l->uv);
  w->armed = UINT64_MAX;
  uv_timer_init(&l->uv, &l->wake);
  /* Always active, so that a reference alone says whether timers keep the loop alive. */
  uv_timer_start(&l->wake, on_wake, forever_ms, 0);
  uv_unref((uv_handle_t *)&l->wake);
}

void ln_timer_init(struct ln_timer *t) {
  *t = (struct ln_timer){.due = 0};
  ln_list_init(&t->link);
}

bool ln_timer_running(const struct ln_timer *t) {
  return !ln_list_empty(&t->link);
}

static void place(struct ln_wheel *w, struct ln_timer *t) {
  unsigned level = (63u - (unsigned)__builtin_clzll(t->due ^ w->now)) / BITS;
  unsigned slot = (t->due >> (BITS * level)) & (LN_WHEEL_SLOTS - 1);
  ln_list_push(&w->slots[level][slot], &t->link);
  w->used[level] |= 1ULL << slot;
}

void ln_timer_start(struct ln_loop *l, struct ln_timer *t, uint64_t ms,
                    void (*fn)(struct ln_timer *t)) {
  ln_timer_stop(t);
  struct ln_wheel *w = &l->wheel;
  if (ms > longest_ms) ms = longest_ms;
  /* Not the loop's clock: after a long callback that one is behind, and the timer would be early.
   * Rounded up to a tick, in nanoseconds, for the same reason. */
  const uint64_t tick_ns = LN_TICK_MS * 1000000ULL;
  uint64_t ns = uv_hrtime() - w->base_ms * 1000000 + ms * 1000000;
  uint64_t tick = (ns + tick_ns - 1) / tick_ns;
  t->due = tick <= w->now ? w->now + 1 : LN_MIN(tick, last_tick);
  t->fn = fn;
  t->loop = l;
  place(w, t);
  if (w->running++ == 0) uv_ref((uv_handle_t *)&l->wake);
  if (t->due < w->armed) w->dirty = true;
}

void ln_timer_stop(struct ln_timer *t) {
  if (!ln_timer_running(t)) return;
  struct ln_wheel *w = &t->loop->wheel;
  struct ln_list *head = t->link.next;
  bool last = t->link.prev == head;
  ln_list_remove(&t->link);
  if (last && head != &w->due) {
    size_t i = (size_t)(head - &w->slots[0][0]);
    w->used[i / LN_WHEEL_SLOTS] &= ~(1ULL << (i % LN_WHEEL_SLOTS));
  }
  if (--w->running == 0) uv_unref((uv_handle_t *)&t->loop->wake);
  if (t->due <= w->armed || w->running == 0) w->dirty = true;
}

/* The earliest occupied slot and the tick it begins at. */
static struct ln_list *earliest(struct ln_wheel *w, uint64_t *begins) {
  for (unsigned level = 0; level < LN_WHEEL_LEVELS; level++) {
    if (!w->used[level]) continue;
    unsigned slot = (unsigned)__builtin_ctzll(w->used[level]);
    uint64_t above = ~((1ULL << (BITS * (level + 1))) - 1);
    *begins = (w->now & above) | ((uint64_t)slot << (BITS * level));
    return &w->slots[level][slot];
  }
  return NULL;
}

static uint64_t next_wake(struct ln_wheel *w) {
  uint64_t begins, min = UINT64_MAX;
  struct ln_list *slot = earliest(w, &begins);
  if (!slot) return UINT64_MAX;
  unsigned seen = 0;
  LN_LIST_EACH(it, slot) {
    if (++seen > EXACT_SCAN) return begins;
    min = LN_MIN(min, LN_CONTAINER(it, struct ln_timer, link)->due);
  }
  return min;
}

void ln_wheel_arm(struct ln_loop *l) {
  struct ln_wheel *w = &l->wheel;
  if (!w->dirty) return;
  w->dirty = false;
  uint64_t tick = next_wake(w);
  if (tick == w->armed) return;
  w->armed = tick;
  uint64_t timeout = forever_ms;
  if (tick != UINT64_MAX) {
    /* libuv counts from its own clock, which may be behind by what this iteration took. */
    uv_update_time(&l->uv);
    uint64_t at = w->base_ms + tick * LN_TICK_MS, now = uv_now(&l->uv);
    timeout = at > now ? at - now : 0;
  }
  uv_timer_start(&l->wake, on_wake, timeout, 0);
}

/* Moves everything due by the tick `until` to w->due, earliest first. */
static void advance(struct ln_wheel *w, uint64_t until) {
  uint64_t begins;
  struct ln_list *slot;
  while ((slot = earliest(w, &begins)) && begins <= until) {
    w->now = begins;
    size_t i = (size_t)(slot - &w->slots[0][0]);
    w->used[i / LN_WHEEL_SLOTS] &= ~(1ULL << (i % LN_WHEEL_SLOTS));
    LN_LIST_DRAIN(it, slot) {
      struct ln_timer *t = LN_CONTAINER(it, struct ln_timer, link);
      if (t->due <= begins)
        ln_list_push(&w->due, it);
      else
        place(w, t);
    }
  }
  if (until > w->now) w->now = until;
}

static void on_wake(uv_timer_t *h) {
  struct ln_loop *l = h->loop->data;
  struct ln_wheel *w = &l->wheel;
  advance(w, (uv_now(&l->uv) - w->base_ms) / LN_TICK_MS);
  LN_LIST_DRAIN(it, &w->due) {
    struct ln_timer *t = LN_CONTAINER(it, struct ln_timer, link);
    if (--w->running == 0) uv_unref((uv_handle_t *)&l->wake);
    t->fn(t);
  }
  w->armed = 0; /* the libuv timer has run out: whatever comes next is a change */
  w->dirty = true;
  ln_wheel_arm(l);
}
