/* How long the loop's turns last, and what the time went to; see loop.h.
 *
 * libuv says when a poll came back, for it keeps the time then: reading the clock once before the
 * next one is all that this costs a turn. What is done in between says so itself; steps are counted
 * by the coarse clock, which takes a few ns, and only of a long turn it matters which was
 * longest. */
#include <stdio.h>
#include <time.h>

#include "net/loop_impl.h"

/* Longer than this is told: a handler's time would pass it, or a message's budget failed. */
enum { LONG_MS = 250 };

const unsigned ln_turn_bounds_ms[LN_TURN_BOUNDS] = {5,   10,   25,   50,   100,  250,
                                                    500, 1000, 2500, 5000, 10000};

static uint64_t coarse_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void copy(char out[64], struct ln_str s) {
  size_t n = LN_MIN(s.n, 63);
  memcpy(out, s.p, n);
  out[n] = '\0';
}

static void close_step(struct ln_turn *t, uint64_t now) {
  if (!t->at.began || now - t->at.began <= t->longest_ms) return;
  t->longest_ms = now - t->at.began;
  t->longest = t->at;
}

void ln_loop_doing(struct ln_loop *l, const char *whose, struct ln_str what) {
  struct ln_turn *t = &l->turn;
  uint64_t now = coarse_ms();
  ln_turn_awake(l);
  close_step(t, now);
  copy(t->at.whose, ln_str_c(whose));
  copy(t->at.what, what);
  t->at.began = now;
}

void ln_loop_doing_what(struct ln_loop *l, struct ln_str what) {
  copy(l->turn.at.what, what);
}

static void put(char *out, size_t max, const struct ln_step *s) {
  snprintf(out, max, "%s%s%s", s->whose, *s->whose && *s->what ? ": " : "", s->what);
}

void ln_loop_at(const struct ln_loop *l, char *out, size_t max) {
  if (l->turn.at.began)
    put(out, max, &l->turn.at);
  else
    *out = '\0';
}

static void tell(struct ln_loop *l, uint64_t ms) {
  struct ln_turn *t = &l->turn;
  char text[160];
  put(text, sizeof text, &t->longest);
  if (2 * t->longest_ms >= ms)
    LN_LOG(l->log, WARN, "loop", "nobody else was served for %.3f s, %.3f s of it by this: %s",
           (double)ms / 1000, (double)t->longest_ms / 1000, text);
  else
    LN_LOG(l->log, WARN, "loop",
           "nobody was served for %.3f s: many things at once, or none that is known",
           (double)ms / 1000);
}

void ln_turn_awake(struct ln_loop *l) {
  if (!l->turn.woke) l->turn.woke = uv_now(&l->uv);
}

void ln_turn_end(struct ln_loop *l) {
  struct ln_turn *t = &l->turn;
  uint64_t now = uv_hrtime() / 1000000, ms = t->woke && now > t->woke ? now - t->woke : 0;
  size_t i = 0;
  atomic_store_explicit(&t->beat, t->beat + 1, memory_order_relaxed);
  while (i < LN_TURN_BOUNDS && ms > ln_turn_bounds_ms[i]) i++;
  if (i < LN_TURN_BOUNDS) t->seen.within[i]++;
  t->seen.count++;
  t->seen.total_ms += ms;
  if (ms >= LONG_MS) {
    close_step(t, coarse_ms());
    tell(l, ms);
  }
  t->woke = 0;
  t->at.began = 0;
  t->longest_ms = 0;
}

uint64_t ln_loop_beat(const struct ln_loop *l) {
  return atomic_load_explicit(&l->turn.beat, memory_order_relaxed);
}

const struct ln_turns *ln_loop_turns(const struct ln_loop *l) {
  return &l->turn.seen;
}
